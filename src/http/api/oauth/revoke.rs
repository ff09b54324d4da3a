//! `POST /api/revoke`: revokes a token before it expires (RFC 7009).
//!
//! To revoke a token, a client needs nothing but this token (ASVS 10.4.9), because public clients
//! have no secret. This is safe, because a client with a stolen token could do worse than revoke
//! it. If a client sends credentials, they have to be right. For an unknown token the response is a
//! 200, as for every other token.

use uuid::Uuid;

use super::client;
use crate::admission::Ask;
use crate::admission::budgets::Budget;
use crate::app::App;
use crate::clock::millis;
use crate::http::answer::{self, Answer};
use crate::http::body_type::request_form;
use crate::http::form::Form;
use crate::http::limit;
use crate::http::member::change_context;
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::session::account_status::{AccountStatus, StatusQuery};
use crate::session::{EndedBy, Refused, Which};
use crate::telemetry::labels::{EndReason, RevokedType};
use crate::token::{Expiry, UserClaims, revocation};

request_form! {
    /// The token to revoke. The request is a form.
    pub struct RevokeRequest {
        /// A vaultToken or a userToken. An expired userToken is accepted too.
        token: needed,
        /// latchkey accepts this parameter but does not need it, because the token itself shows its
        /// type.
        token_type_hint: optional,
        /// The id of the client. It is not needed, but it must be right if it is sent.
        client_id: optional,
        /// The secret of the client. It is not needed, but it must be right if it is sent.
        client_secret: optional,
    }
}

pub async fn handle(app: &App, request: &mut Request) -> Result<Answer, Problem> {
    let form = RevokeRequest(Form::read(request)?);
    if client::is_shown(request, &form.0) {
        client::authenticate(app, request, &form.0).await?;
    }
    let what = revoke(app, request, form.token()?.expose()).await?;
    app.metrics.revocations.one(what);
    Ok(answer::empty())
}

/// Revokes the token and returns its type.
async fn revoke(app: &App, request: &mut Request, token: &str) -> Result<RevokedType, Problem> {
    let check = app.check();
    match check.vault_claims(token).await {
        Ok(claims) => {
            // If the token is revoked already, nothing is written.
            if revocation::is_revoked(&app.db, &claims).await? {
                return Ok(RevokedType::Vault);
            }
            let subject = claims.sub.parse().map_err(|_| Code::InvalidToken)?;
            limit::admit(app, request, Ask::Account(Budget::Revocations, subject)).await?;
            revocation::revoke(&change_context(app, request), &claims).await?;
            return Ok(RevokedType::Vault);
        }
        Err(Refused::Invalid) => {}
        Err(unavailable) => return Err(unavailable.into()),
    }
    match check.claims(token, Expiry::Ignored).await {
        Ok((user_id, claims)) => {
            end_session(app, request, user_id, &claims).await?;
            Ok(RevokedType::User)
        }
        Err(Refused::Invalid) => Ok(RevokedType::Unknown),
        Err(unavailable) => Err(unavailable.into()),
    }
}

/// Ends the session of a userToken. The end is recorded even if the token store has lost the
/// session, so that a session restored from a backup of the store stays ended.
async fn end_session(
    app: &App,
    request: &Request,
    user_id: Uuid,
    claims: &UserClaims,
) -> Result<(), Problem> {
    let place = StatusQuery { sid: &claims.sid, ..StatusQuery::default() };
    if AccountStatus::by_id(&app.db, user_id, place).await?.is_none() {
        return Ok(());
    }
    // `auth_time` is in whole seconds, rounded down.
    let opened_before = claims.auth_time.saturating_add(1).saturating_mul(1000);
    let absolute_end = opened_before.saturating_add(millis(app.config.sessions.absolute_ttl));
    let which = Which::One { sid: claims.sid.clone(), reason: EndedBy::Revocation, absolute_end };
    app.sessions.end(request.call(), user_id, which).await?;
    app.metrics.sessions_revoked.one(EndReason::Revoked);
    Ok(())
}

pub fn operation() -> Operation {
    Operation::new("revoke", Tag::Session, "Revoke a token")
        .describes(
            "This endpoint follows RFC 7009. The holder of a token may revoke it without client \
             authentication. If the token is a userToken, its session ends. If it is a vaultToken, \
             it is inactive at introspection and forward-auth from now on. For an unknown token, \
             the response is also a 200.",
        )
        .takes_form::<RevokeRequest>()
        .gives_empty("The token is not valid any more, or it never was.")
        .fails(&[
            Code::MalformedRequest,
            Code::InvalidCredentials,
            Code::UnsupportedMediaType,
            Code::RateLimited,
        ])
}
