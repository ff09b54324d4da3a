//! `POST /api/change-email`: asks for another address. It takes effect when the link mailed to the new one is confirmed;
//! the old one gets a notice with an undo.
//!
//! It mails whom it is told to and says whether an address has an account, so it spends as the endpoints do that do the one or
//! the other, known device or not, and three an hour of the account's own.

use utoipa::ToSchema;

use crate::account::Asked;
use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::api::account::register;
use crate::http::guess;
use crate::http::openapi::{Done, Operation, Tag};
use crate::http::request::Request;
use crate::http::steps;
use crate::limits::Action;
use crate::limits::budgets::Budget;
use crate::problem::{Code, Problem};
use crate::session::AccountStatus;
use crate::session::Principal;

/// The new address, and proof that it is meant.
#[derive(ToSchema)]
#[expect(dead_code, reason = "read member by member; this is its schema")]
pub struct ChangeEmail {
    /// The present password.
    password: String,
    /// The new address.
    email: String,
}

/// The handler.
pub async fn handle(
    app: &App,
    request: &mut Request,
    caller: Principal,
) -> Result<Answer, Problem> {
    let mut body = request.json()?;
    let password = body.secret("password");
    let email = steps::email(&mut body);
    body.finish()?;
    let Some(email) = email else { return Err(Code::ValidationFailed.into()) };
    steps::limit(app, request, Action::Resend)?;
    guess::confirm(app, request, &caller, password, "change-email").await?;
    register::may_move(app, &caller.standing, &email).await?;
    steps::limit(app, request, Action::ExistEmail)?;
    let deadline = request.cx.deadline;
    let (own, id) = (Budget::AddressChanges, caller.standing.id);
    steps::within(app.budgets.account(own, id, deadline).await)?;
    // Before the mailbox's own is spent, which nobody but its owner should use up.
    if AccountStatus::by_email(&app.db, email.normal()).await?.is_some() {
        return Err(Code::EmailTaken.into());
    }
    let mails = Budget::Confirmations;
    let spent = app.budgets.mailbox(mails, email.normal(), None, deadline).await;
    steps::within(spent)?;
    match app.accounts.ask_email_change(request.call(), caller.standing.id, email).await? {
        Asked::Now => {
            steps::nudge_mailer(app);
            Ok(answer::json(&Done::OK))
        }
        Asked::EmailTaken => {
            Err(Problem::new(Code::EmailTaken).detail("`email` is the address of an account."))
        }
        Asked::Gone => Err(Code::InvalidToken.into()),
    }
}

/// What the endpoint says of itself.
pub fn operation() -> Operation {
    Operation::new("changeEmail", Tag::Email, "Ask for another address")
        .describes("Takes effect when the link mailed to the new address is confirmed; the old one gets a notice with an undo.")
        .bearer()
        .takes::<ChangeEmail>()
        .gives::<Done>("The mails are on their way.")
        .fails(&[
            Code::MalformedRequest,
            Code::InvalidCredentials,
            Code::InvalidToken,
            Code::EmailTaken,
            Code::ValidationFailed,
            Code::RateLimited,
        ])
}
