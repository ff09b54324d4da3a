//! `POST /api/token`: exchanges a project's key for a vaultToken (RFC 6749 §4.4, client
//! credentials).
//!
//! Issued tokens are counted, but they are not audited, because a program requests a token every
//! few minutes. The same applies to refreshes.

use hyper::header::{HeaderValue, PRAGMA};
use serde::Serialize;
use utoipa::ToSchema;

use super::client::{self, Client};
use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::body_type::request_form;
use crate::http::form::Form;
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, OauthError, Problem, Unavailable};
use crate::session::issue;
use crate::team::keys::{self, KnownKey};
use crate::telemetry::labels::{Grant, TokenType};
use crate::telemetry::typed::Outcome;

/// The only supported `grant_type`.
const GRANT: &str = "client_credentials";

request_form! {
    /// The request for a token. It is a form.
    pub struct TokenRequest {
        /// Always `client_credentials`.
        grant_type: needed,
        /// The scopes that the token gets, separated by spaces. The key must have these scopes. If
        /// this parameter is missing, the token gets all scopes of the key.
        scope: optional,
        /// The id of the key, if the program does not authenticate with HTTP Basic.
        client_id: optional,
        /// The key (`lk_…`), if the program does not authenticate with HTTP Basic.
        client_secret: optional,
    }
}

/// A vaultToken of the key's team and project (RFC 6749 §5.1).
#[derive(Serialize, ToSchema)]
pub struct TokenAnswer {
    /// The vaultToken.
    access_token: String,
    /// Always `Bearer`.
    token_type: &'static str,
    /// The number of seconds until the token expires. There is no refresh token. Request a new
    /// token instead.
    expires_in: i64,
    /// The scopes of the token, separated by spaces.
    scope: String,
}

pub async fn handle(app: &App, request: &mut Request) -> Result<Answer, Problem> {
    let given = grant(app, request).await;
    let outcome = match &given {
        Ok(_) => Outcome::Is(Grant::Success),
        Err(problem) => problem.oauth.map_or(Outcome::Failed(problem.code), refusal),
    };
    app.metrics.token_grants.one(outcome);
    let mut answer = answer::json(&given?);
    // RFC 6749 §5.1 asks for this header beside `Cache-Control: no-store`, which every response has
    // by default.
    answer.headers_mut().insert(PRAGMA, HeaderValue::from_static("no-cache"));
    Ok(answer)
}

async fn grant(app: &App, request: &mut Request) -> Result<TokenAnswer, Problem> {
    let form = TokenRequest(Form::read(request)?);
    let client = client::authenticate(app, request, &form.0).await?;
    if form.grant_type()?.expose() != GRANT {
        return Err(refused(
            OauthError::UnsupportedGrantType,
            "`grant_type` must be `client_credentials`.",
        ));
    }
    let Client::ProjectKey(key) = client else {
        let detail = "This client may only introspect tokens. Only a project key can get tokens.";
        return Err(refused(OauthError::UnauthorizedClient, detail));
    };
    let scope = narrowed(&key, form.scope().map(|scope| scope.expose().as_str()))?;
    let now = app.clock.now();
    let (keys, config) = (app.keys.current(), &app.config.tokens);
    let (token, exp) = issue::key_token(&keys, config, &key, scope.clone(), now)
        .map_err(|error| Unavailable::because("signing keys", error))?;
    app.metrics.tokens_issued.one(TokenType::Vault);
    let expires_in = exp - now.div_euclid(1000);
    Ok(TokenAnswer { access_token: token, token_type: "Bearer", expires_in, scope })
}

/// The scopes of the token. These are the requested scopes, or all scopes of the key if none were
/// requested. If the key does not have a requested scope, the request is refused. The scope is not
/// left out silently.
fn narrowed(key: &KnownKey, asked: Option<&str>) -> Result<String, Problem> {
    let Some(asked) = asked else { return Ok(key.scopes.join(" ")) };
    if !asked.split(' ').all(|scope| key.scopes.contains(&scope)) {
        let detail = "`scope` must contain only scopes of the key, separated by single spaces.";
        return Err(refused(OauthError::InvalidScope, detail));
    }
    Ok(keys::scopes(asked).join(" "))
}

fn refusal(error: OauthError) -> Outcome<Grant> {
    Outcome::Is(match error {
        OauthError::InvalidRequest => Grant::InvalidRequest,
        OauthError::InvalidClient => Grant::InvalidClient,
        OauthError::InvalidScope => Grant::InvalidScope,
        OauthError::UnauthorizedClient => Grant::UnauthorizedClient,
        OauthError::UnsupportedGrantType => Grant::UnsupportedGrantType,
    })
}

fn refused(error: OauthError, detail: &str) -> Problem {
    Problem::new(Code::MalformedRequest).detail(detail).oauth(error)
}

pub fn operation() -> Operation {
    Operation::new("token", Tag::Key, "Get a vaultToken with a project key")
        .describes(
            "This endpoint follows RFC 6749 §4.4. The client is a project key: `client_id` is the id \
             of the key, and `client_secret` is the whole key (`lk_…`). Send both with HTTP Basic \
             or in the form. Errors also have the member `error` of the RFC: `invalid_client`, \
             `invalid_request`, `invalid_scope`, `unauthorized_client` or \
             `unsupported_grant_type`.",
        )
        .basic()
        .takes_form::<TokenRequest>()
        .gives::<TokenAnswer>("A vaultToken of the key's team and project.")
        .fails(&[Code::MalformedRequest, Code::InvalidCredentials, Code::UnsupportedMediaType])
}
