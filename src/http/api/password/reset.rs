//! `POST /api/reset-passsword` and `/api/reset-password`: a new password, by the mailed token.
//!
//! The token is good once: the compare-and-set is on the password's version. A new password that breaks a rule does not
//! burn it. Proof of the mailbox also verifies an unverified account (security §1.5).

use opentelemetry::KeyValue;
use utoipa::ToSchema;

use crate::account::{self, NewPassword, Proof};
use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::api::email;
use crate::http::guess;
use crate::http::json::Object;
use crate::http::openapi::{Done, Operation, Tag};
use crate::http::request::Request;
use crate::http::steps;
use crate::limits::Action;
use crate::problem::{Code, Problem};
use crate::secret::Secret;
use crate::session::AccountStatus;
use crate::session::account_status::StatusQuery;
use crate::store::TokenKind;
use crate::user::EmailAddress;

/// The token and the new password.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "read member by member; this is its schema")]
pub struct Reset {
    /// The token out of the mail.
    token: String,
    /// 8 to 256 characters; not a common or breached one, not the address or the name.
    new_password: String,
}

/// The handler.
pub async fn handle(app: &App, request: &mut Request) -> Result<Answer, Problem> {
    let mut body = request.json()?;
    let token = body.secret("token");
    let password = body.secret("newPassword");
    steps::policy(app, &mut body, "newPassword", &password, None, None);
    body.finish()?;
    let standing = reset(app, request, &token, password).await?;
    let mut answer = answer::json(&Done::OK);
    // Proof of the mailbox is worth at least as much as a log-in: the owner is known here, whatever strangers have used up.
    let device = guess::known_device(app, request, &standing);
    let address = standing.email_normal.clone();
    let standing = AccountStatus { password_version: standing.password_version + 1, ..standing };
    guess::make_known(app, &mut answer, &address, &standing, device);
    Ok(answer)
}

/// Sets a new password by a mailed token, for the page too. Returns the account as it was before.
pub async fn reset(
    app: &App,
    request: &mut Request,
    token: &Secret<String>,
    password: Secret<String>,
) -> Result<AccountStatus, Problem> {
    steps::limit(app, request, Action::Reset)?;
    let result = spend(app, request, token, password).await;
    let outcome = match &result {
        Ok(_) => "success",
        Err(problem) => problem.code.name(),
    };
    let attributes = [KeyValue::new("stage", "reset"), KeyValue::new("outcome", outcome)];
    app.metrics.password_resets.add(1, &attributes);
    result
}

async fn spend(
    app: &App,
    request: &Request,
    token: &Secret<String>,
    password: Secret<String>,
) -> Result<AccountStatus, Problem> {
    let invalid = || Problem::from(Code::TokenInvalid);
    let found = email::verify::find(app, token.expose()).await?;
    let found = found.filter(|found| found.kind == TokenKind::Recover).ok_or_else(invalid)?;
    let standing = AccountStatus::by_id(&app.db, found.user_id, StatusQuery::default()).await?;
    // Asked for under another password: it was used, or the password was changed since.
    let standing =
        standing.filter(|standing| standing.password_version == found.stamp).ok_or_else(invalid)?;
    let mut rules = Object::default();
    let address = EmailAddress::parse(&standing.email).ok();
    let name = Some(standing.name.as_str());
    steps::policy(app, &mut rules, "newPassword", &password, address.as_ref(), name);
    rules.finish()?;
    steps::not_a_teams_name(app, "newPassword", &password, standing.id).await?;
    steps::not_breached(app, "newPassword", &password).await?;
    let password_hash = steps::hash(app, request, password).await?;
    let (user_id, password_version) = (standing.id, found.stamp);
    let new = NewPassword { user_id, password_version, password_hash, proof: Proof::Mailbox };
    match app.accounts.set_password(request.call(), new).await? {
        account::Reset::Stale => Err(invalid()),
        account::Reset::Now { .. } => {
            guess::pardon(app, request, &standing.email_normal).await;
            after_reset(app, user_id).await;
            Ok(standing)
        }
    }
}

/// Tidies the token store. The row decides: sessions are dead by their epoch, the token by the password's version.
async fn after_reset(app: &App, user_id: uuid::Uuid) {
    let tidied = async {
        app.store.end_sessions(user_id, None).await?;
        app.store.drop_token(user_id, TokenKind::Recover, None).await
    };
    if let Err(error) = tidied.await {
        tracing::warn!(error = %error, "ended sessions stay in the token store until they expire");
    }
    app.metrics.sessions_revoked.add(1, &[KeyValue::new("reason", "reset")]);
    steps::nudge_mailer(app);
}

/// What the endpoint says of itself.
pub fn operation() -> Operation {
    Operation::new("resetPassword", Tag::Password, "Set a new password by a mailed token")
        .describes("Every session of the user ends; a notice is mailed; an unverified account is verified by it. The answer carries `X-Latchkey-Device`: keep it with the address and send it with the next login, so that the device is known. A device that sent a valid one keeps its limits; every other device is unknown again.")
        .takes::<Reset>()
        .gives::<Done>("The password is set.")
        .fails(&[
            Code::MalformedRequest,
            Code::TokenInvalid,
            Code::UnsupportedMediaType,
            Code::ValidationFailed,
            Code::RateLimited,
        ])
}
