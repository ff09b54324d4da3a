//! `POST /api/change-email`: requests a change of the email address. latchkey mails a link to the
//! new address. The change takes effect when this link is confirmed. The old address gets a notice
//! with a link that undoes the change.
//!
//! The endpoint sends a mail to an email address that the caller chooses, and it reveals whether an
//! email address has an account. So a request counts against the limit for resending the
//! confirmation mail and against the limit of `/api/exist-email`, even if it comes from a known
//! device. It also counts against a budget of three requests an hour for each account.

use crate::account::AccountError;
use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::body_type::{RequestBody, request_body};
use crate::http::fields;
use crate::http::openapi::{Done, Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::secret::Secret;
use crate::session::Principal;
use crate::user::EmailAddress;

request_body! {
    /// The new email address and the current password.
    pub struct ChangeEmail {
        /// The current password. It may be missing if the account has a second factor.
        password: Option<Secret<String>>,
        /// The new email address.
        email: EmailAddress,
    }
}

pub async fn handle(
    app: &App,
    request: &mut Request,
    caller: Principal,
) -> Result<Answer, Problem> {
    let ChangeEmail { password, email } =
        ChangeEmail::read_and_check(request.json()?, |body, (password, _)| {
            fields::require_password(body, &caller, password.as_ref());
        })?;
    let mut client = request.as_client();
    match app.account().change_email(&mut client, &caller, password, email).await {
        Ok(()) => Ok(answer::json(&Done::OK)),
        Err(AccountError::EmailTaken) => {
            Err(Problem::new(Code::EmailTaken).detail("`email` already belongs to an account."))
        }
        Err(other) => Err(other.into()),
    }
}

pub fn operation() -> Operation {
    Operation::new("changeEmail", Tag::Email, "Request a change of your email address")
        .describes(
            "latchkey mails a link to the new address. The change takes effect when this link is \
             confirmed. The old address gets a notice with a link that undoes the change.",
        )
        .bearer()
        .takes::<ChangeEmail>()
        .gives::<Done>("latchkey sends the mails.")
        .fails(&[
            Code::MalformedRequest,
            Code::InvalidCredentials,
            Code::InvalidToken,
            Code::StepUpRequired,
            Code::Forbidden,
            Code::EmailTaken,
            Code::ValidationFailed,
            Code::RateLimited,
        ])
}
