//! `POST /api/introspect`: reports whether a token is active at this moment (RFC 7662).
//!
//! If a token is not active, or if the client is not allowed to see it, the response is exactly
//! `{"active":false}`. This includes malformed, expired and forged tokens, and tokens of an ended
//! session, a removed member or another team. If a dependency does not respond, the response is a
//! 503 and never a statement about the token.

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
use crate::session::{Principal, Refused, proof};
use crate::telemetry::labels::Introspected;
use crate::telemetry::typed::Outcome;
use crate::token::{Expiry, UserClaims, VaultClaims};

request_form! {
    /// The token to introspect. The request is a form.
    pub struct IntrospectRequest {
        /// A vaultToken. A project key may introspect only the vaultTokens of its own team. A
        /// client of `introspection.clients` may also introspect userTokens.
        token: needed,
        /// latchkey accepts this parameter but does not need it, because the token itself shows its
        /// type.
        token_type_hint: optional,
        /// The id of the client, if it does not authenticate with HTTP Basic.
        client_id: optional,
        /// The secret of the client, if it does not authenticate with HTTP Basic.
        client_secret: optional,
    }
}

/// The state of a token. If `active` is false, the response has no other members.
#[derive(Default, Serialize, ToSchema)]
pub struct Introspection {
    /// Whether the token is active.
    active: bool,
    /// The scopes of the token, separated by spaces. Only a vaultToken has this member.
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    /// The client that the token was issued to: `latchkey` for users, or the id of a project key.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    /// The email address of the user. Only a userToken has this member.
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    /// Whether the email address of the user is verified. Only a userToken has this member.
    #[serde(skip_serializing_if = "Option::is_none")]
    email_verified: Option<bool>,
    /// Always `Bearer` (RFC 6749 §5.1). The other members show whether the token is a userToken or
    /// a vaultToken.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    /// When the token expires (NumericDate).
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<i64>,
    /// When the token was issued (NumericDate).
    #[serde(skip_serializing_if = "Option::is_none")]
    iat: Option<i64>,
    /// The time before which the token is not valid (NumericDate).
    #[serde(skip_serializing_if = "Option::is_none")]
    nbf: Option<i64>,
    /// The id of the user or of the project key.
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<String>,
    /// The audience: the services that may accept the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<String>,
    /// The issuer of the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<String>,
    /// The id of the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    /// The id of the session. A token of a project key does not have this member.
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
    /// The id of the team. Only a vaultToken has this member.
    #[serde(skip_serializing_if = "Option::is_none")]
    tid: Option<String>,
    /// The id of the project, if the token has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<String>,
    /// The role of the user in the team.
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    /// The epoch of the user's membership in the team.
    #[serde(skip_serializing_if = "Option::is_none")]
    mep: Option<i32>,
    /// The level of the session: `aal1` (one factor) or `aal2` (two factors). A token of a project
    /// key does not have this member.
    #[serde(skip_serializing_if = "Option::is_none")]
    acr: Option<&'static str>,
    /// The methods of the session's newest proof (RFC 8176). A token of a project key does not have
    /// this member.
    #[serde(skip_serializing_if = "Option::is_none")]
    amr: Option<Vec<String>>,
    /// When the user last proved themselves at the level of `acr` (NumericDate). A token of a
    /// project key does not have this member.
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_time: Option<i64>,
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
            let checked = app.check().vault_is_live(&claims).await;
            checked.map(|principal| match principal {
                Some(principal) => Introspection::from(claims).proven(&principal),
                None => claims.into(),
            })
        }
        Err(Refused::Invalid) if client.sees_users() => {
            return user(app, request, token).await;
        }
        Ok(_) => Err(Refused::Invalid),
        Err(refused) => Err(refused),
    };
    told(found)
}

/// Introspects a userToken. A token cannot be both a userToken and a vaultToken, because their
/// keys, `typ` and `aud` differ.
async fn user(app: &App, request: &Request, token: &str) -> Result<Introspection, Problem> {
    let check = app.check();
    let (user_id, claims) = match check.claims(token, Expiry::Enforced).await {
        Ok(read) => read,
        Err(refused) => return told(Err(refused)),
    };
    let _pass = limit::permit(app, request, Holder::Account(user_id)).await?;
    let checked = check.caller_of(user_id, &claims).await;
    told(checked.map(|principal| Introspection::from(claims).proven(&principal)))
}

/// An invalid token is reported as inactive, without a reason. A token that cannot be checked
/// becomes a problem.
fn told(found: Result<Introspection, Refused>) -> Result<Introspection, Problem> {
    match found {
        Err(Refused::Invalid | Refused::FactorRequired(_)) => Ok(Introspection::default()),
        found => found.map_err(Problem::from),
    }
}

impl Introspection {
    /// Adds how the user has authenticated. The session's record says this, not the token, because
    /// the level of a session can fall while the token is valid.
    fn proven(self, principal: &Principal) -> Self {
        let Principal { session, standing, .. } = principal;
        Self {
            acr: Some(principal.level().name()),
            amr: Some(proof::methods(session, standing)),
            auth_time: Some(session.auth_time.div_euclid(1000)),
            ..self
        }
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
    Operation::new("introspect", Tag::Meta, "Introspect a token")
        .describes(
            "This endpoint follows RFC 7662. A client of `introspection.clients` may introspect every \
             token. A project key may introspect only the vaultTokens of its own team. If a token \
             is not active, the response is exactly `{\"active\":false}`. A token is inactive as \
             soon as its session or its membership has ended, as soon as the token or its key is \
             revoked, or as soon as the team requires a second factor that the session lacks. Errors also have the member `error` of the RFC.",
        )
        .basic()
        .takes_form::<IntrospectRequest>()
        .gives::<Introspection>(
            "The claims of an active token, or only `active` with the value false.",
        )
        .fails(&[Code::MalformedRequest, Code::InvalidCredentials, Code::UnsupportedMediaType])
}
