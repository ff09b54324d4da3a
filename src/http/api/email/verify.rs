//! `GET /api/verify-email/{token}`: proves an address by the mailed token, and opens a session.
//!
//! The first time a default team and project are made. A token that did its work answers `already-verified` until it
//! would have expired; every other one that is not good is `token-invalid`, whatever the reason. The token of a change of
//! address is taken here too.

use opentelemetry::KeyValue;
use uuid::Uuid;

use crate::account::{Confirmed, Verified};
use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::http::steps::{self, BY_MAIL};
use crate::limits::Action;
use crate::problem::{Code, Problem};
use crate::secret::sha256;
use crate::session::AccountStatus;
use crate::session::account_status::StatusQuery;
use crate::session::{LoginContext, Tokens};
use crate::store::{OneTimeToken, TokenKind};
use crate::user::UserState;

/// The handler.
pub async fn handle(app: &App, request: &mut Request) -> Result<Answer, Problem> {
    let token = request.param("token")?;
    steps::limit(app, request, Action::Verify)?;
    let (_, user_id) = prove(app, request, &token).await?;
    let standing = AccountStatus::by_id(&app.db, user_id, StatusQuery::default()).await?;
    let standing = standing.ok_or(Code::TokenInvalid)?;
    // Disabled since: what the link would say anyhow, since only the right password learns of that.
    if standing.state == UserState::Disabled {
        return Err(Code::TokenInvalid.into());
    }
    let tokens =
        steps::open_session(app, request, &standing, BY_MAIL, LoginContext::default()).await?;
    Ok(answer::json(&tokens))
}

/// Proves the address that a token was mailed to; what the token was for, and whose it is. For the page too, which opens
/// no session.
pub async fn prove(
    app: &App,
    request: &Request,
    token: &str,
) -> Result<(TokenKind, Uuid), Problem> {
    let result = spend(app, request, token).await;
    let outcome = match &result {
        Ok(_) => "success",
        Err(problem) => problem.code.name(),
    };
    app.metrics.email_verifications.add(1, &[KeyValue::new("outcome", outcome)]);
    result
}

async fn spend(app: &App, request: &Request, token: &str) -> Result<(TokenKind, Uuid), Problem> {
    let found = find(app, token).await?.ok_or(Code::TokenInvalid)?;
    match (found.kind, found.subject) {
        (TokenKind::Verify, _) => {
            let user_id = found.user_id;
            match app.accounts.verify(request.call(), user_id).await? {
                Verified::Now => Ok((found.kind, user_id)),
                Verified::Already => Err(Code::AlreadyVerified.into()),
                Verified::Gone => Err(Code::TokenInvalid.into()),
            }
        }
        (TokenKind::ChangeEmail, Some(change_id)) => {
            match app.accounts.confirm_email_change(request.call(), change_id).await? {
                Confirmed::Now(user_id) => Ok((found.kind, user_id)),
                Confirmed::Already => Err(Code::AlreadyVerified.into()),
                Confirmed::EmailTaken => Err(Code::EmailTaken.into()),
                Confirmed::Gone => Err(Code::TokenInvalid.into()),
            }
        }
        _ => Err(Code::TokenInvalid.into()),
    }
}

/// The token that was mailed, as the store knows it.
pub async fn find(app: &App, token: &str) -> Result<Option<OneTimeToken>, Problem> {
    Ok(app.store.find_token(&sha256(token.as_bytes()), app.clock.now()).await?)
}

/// What the endpoint says of itself.
pub fn operation() -> Operation {
    Operation::new("verifyEmail", Tag::Email, "Prove an address")
        .describes(
            "The first time, a default team (role `owner`) and in it a default project are made. A browser that \
             navigates here is led to the page instead (303), and nothing happens.",
        )
        .path("token", "The token out of the mail.")
        .also(303, "A browser's navigation: to the page, where nothing has happened yet.")
        .gives::<Tokens>("Tokens of a new session.")
        .fails(&[
            Code::TokenInvalid,
            Code::Forbidden,
            Code::EmailTaken,
            Code::AlreadyVerified,
            Code::RateLimited,
        ])
}
