//! `POST /api/introspect`: reports whether a token is active at this moment (RFC 7662).
//!
//! A token that is not active, or that the client may not see, gives exactly `{"active":false}`.
//! This includes malformed, expired and forged tokens, and tokens of an ended session, a removed
//! member or another team. If a dependency does not respond, the response is a 503 and never a
//! statement about the token.

use serde::Serialize;
use utoipa::ToSchema;

use super::client;
use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::body_type::request_form;
use crate::http::form::Form;
use crate::http::limit::{self, Holder};
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::session::Refused;
use crate::telemetry::labels::Introspected;
use crate::telemetry::typed::Outcome;
use crate::token::{Expiry, UserClaims, VaultClaims};

request_form! {
    /// What a client asks; sent as a form.
    pub struct IntrospectRequest {
        /// A vaultToken (a project's key asks about its own team's alone), or for a client of `introspection.clients` also a
        /// userToken.
        token: needed,
        /// Accepted and not needed: a token says itself what it is.
        token_type_hint: optional,
        /// The client, where it does not authenticate by HTTP Basic.
        client_id: optional,
        /// Its secret, likewise.
        client_secret: optional,
    }
}

/// What a token is worth. With `active` false nothing else is there.
#[derive(Default, Serialize, ToSchema)]
pub struct Introspection {
    /// Whether it is live.
    active: bool,
    /// What it allows, space-separated; of a vaultToken.
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    /// For whom it was made: `latchkey` for people, a project's key by its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    /// The person's address; of a userToken alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    /// Whether that address is proven; of a userToken alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    email_verified: Option<bool>,
    /// Always `Bearer` (RFC 6749 §5.1): which kind it is shows in what else is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    /// When it ends (NumericDate).
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<i64>,
    /// When it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    iat: Option<i64>,
    /// From when on it is good.
    #[serde(skip_serializing_if = "Option::is_none")]
    nbf: Option<i64>,
    /// The person.
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<String>,
    /// Who may accept it.
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<String>,
    /// Who made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<String>,
    /// The token.
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    /// The session; absent for a project's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
    /// The team; of a vaultToken.
    #[serde(skip_serializing_if = "Option::is_none")]
    tid: Option<String>,
    /// The project, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<String>,
    /// The role in the team.
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    /// The membership's epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    mep: Option<i32>,
}

pub async fn handle(app: &App, request: &mut Request) -> Result<Answer, Problem> {
    let found = introspect(app, request).await;
    let outcome = match &found {
        Ok(Introspection { active: true, .. }) => Outcome::Is(Introspected::Active),
        Ok(_) => Outcome::Is(Introspected::Inactive),
        Err(problem) => Outcome::Failed(problem.code),
    };
    app.metrics.introspections.one(outcome);
    found.map(|found| answer::json(&found))
}

/// The type of userTokens and vaultTokens (RFC 6749 §5.1).
const BEARER: &str = "Bearer";

async fn introspect(app: &App, request: &mut Request) -> Result<Introspection, Problem> {
    let form = IntrospectRequest(Form::read(request)?);
    let client = client::authenticate(app, request, &form.0).await?;
    let token = form.token()?.expose();
    let found = match app.check().vault_claims(token).await {
        Ok(claims) if client.sees_team(claims.tid.as_deref()) => {
            let _pass = limit::permit_of(app, request, &claims).await?;
            app.check().vault_is_live(&claims).await.map(|()| claims.into())
        }
        Err(Refused::Invalid) if client.sees_users() => {
            return user(app, request, token).await;
        }
        Ok(_) => Err(Refused::Invalid),
        Err(refused) => Err(refused),
    };
    told(found)
}

/// Introspects a userToken. A token has one type at most: keys, `typ` and `aud` distinguish them.
async fn user(app: &App, request: &Request, token: &str) -> Result<Introspection, Problem> {
    let check = app.check();
    let (user_id, claims) = match check.claims(token, Expiry::Enforced).await {
        Ok(read) => read,
        Err(refused) => return told(Err(refused)),
    };
    let _pass = limit::permit(app, request, Holder::Account(user_id)).await?;
    told(check.caller_of(user_id, &claims).await.map(|_| claims.into()))
}

/// An invalid token is reported as inactive, without a reason. A token that cannot be checked
/// becomes a problem.
fn told(found: Result<Introspection, Refused>) -> Result<Introspection, Problem> {
    match found {
        Err(Refused::Invalid) => Ok(Introspection::default()),
        found => found.map_err(Problem::from),
    }
}

impl From<VaultClaims> for Introspection {
    fn from(claims: VaultClaims) -> Self {
        Self {
            active: true,
            scope: Some(claims.scope),
            client_id: Some(claims.client_id),
            token_type: Some(BEARER),
            exp: Some(claims.exp),
            iat: Some(claims.iat),
            nbf: Some(claims.nbf),
            sub: Some(claims.sub),
            aud: Some(claims.aud),
            iss: Some(claims.iss),
            jti: Some(claims.jti),
            sid: claims.sid,
            tid: claims.tid,
            pid: claims.pid,
            role: claims.role,
            mep: claims.mep,
            ..Self::default()
        }
    }
}

impl From<UserClaims> for Introspection {
    fn from(claims: UserClaims) -> Self {
        Self {
            active: true,
            client_id: Some("latchkey".to_owned()),
            username: Some(claims.email),
            email_verified: Some(claims.email_verified),
            token_type: Some(BEARER),
            exp: Some(claims.exp),
            iat: Some(claims.iat),
            nbf: Some(claims.nbf),
            sub: Some(claims.sub),
            aud: Some(claims.aud),
            iss: Some(claims.iss),
            jti: Some(claims.jti),
            sid: Some(claims.sid),
            ..Self::default()
        }
    }
}

pub fn operation() -> Operation {
    Operation::new("introspect", Tag::Meta, "Ask what a token is worth now")
        .describes(
            "RFC 7662, for clients of `introspection.clients`, and for a project's key about its own team's vaultTokens. Anything that is not live is exactly `{\"active\":false}`: \
             an ended session, a removed member, a revoked key or token are so at once. Errors carry the RFC's `error` besides.",
        )
        .basic()
        .takes_form::<IntrospectRequest>()
        .gives::<Introspection>("What the token says, as of now; or `active` false alone.")
        .fails(&[Code::MalformedRequest, Code::InvalidCredentials, Code::UnsupportedMediaType])
}
