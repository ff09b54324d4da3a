//! `POST /api/reset-passsword` and `/api/reset-password`: sets a new password with the mailed
//! token.
//!
//! The token can be used only once, because the update compares the version of the password
//! (compare-and-set). A new password that breaks a rule does not use up the token. The token proves
//! that the client can read the mails to the email address, so it also verifies an unverified
//! account.

use crate::app::App;
use crate::http::account_error::problem;
use crate::http::answer::{self, Answer};
use crate::http::body_type::{RequestBody, request_body};
use crate::http::fields;
use crate::http::openapi::{Done, Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::secret::Secret;

request_body! {
    /// The mailed token and the new password.
    pub struct ResetPassword {
        /// The token from the mail.
        token: Secret<String>,
        /// The new password, 8 to 256 characters. It is refused if it is common, if it is known
        /// from a data breach, or if it is the email address or the name.
        new_password as "newPassword": Secret<String>,
    }
}

pub async fn handle(app: &App, request: &mut Request) -> Result<Answer, Problem> {
    let ResetPassword { token, new_password: password } =
        ResetPassword::read_and_check(request.json()?, |body, (_, new_password)| {
            fields::policy(app, body, ("newPassword", new_password), (None, None));
        })?;
    let mut client = request.as_client();
    let reset = app.account().reset_password(&mut client, &token, password).await;
    let device_token = reset.map_err(|error| problem(error, "newPassword"))?;
    let mut answer = answer::json(&Done::OK);
    answer::known_device(&mut answer, &device_token);
    Ok(answer)
}

pub fn operation() -> Operation {
    Operation::new("resetPassword", Tag::Password, "Set a new password with a mailed token")
        .describes(
            "Every session of the user ends, and the user gets a notice by mail. An unverified \
             account becomes verified. The response carries `X-Latchkey-Device`. Store it together \
             with the email address and send it with the next login, so that latchkey knows the \
             device. A device that sent a valid `X-Latchkey-Device` stays known and keeps its \
             limits. Every other device becomes unknown again.",
        )
        .takes::<ResetPassword>()
        .gives::<Done>("The new password is set.")
        .fails(&[
            Code::MalformedRequest,
            Code::TokenInvalid,
            Code::UnsupportedMediaType,
            Code::ValidationFailed,
            Code::RateLimited,
        ])
}
