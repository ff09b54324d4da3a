//! `POST /api/change-password`: sets a new password, if the request contains the current one. Every
//! other session of the user ends. A verified email address gets a notice by mail.

use crate::app::App;
use crate::http::account_error::problem;
use crate::http::answer::{self, Answer};
use crate::http::body_type::{RequestBody, request_body};
use crate::http::fields;
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::secret::Secret;
use crate::session::{Principal, Tokens};
use crate::user::EmailAddress;

request_body! {
    /// The current password and the new one.
    pub struct ChangePassword {
        /// The current password. It may be missing if the account has a second factor.
        password: Option<Secret<String>>,
        /// The new password, 8 to 256 characters. It is refused if it is common, if it is known
        /// from a data breach, or if it is the email address or the name.
        new_password as "newPassword": Secret<String>,
    }
}

pub async fn handle(
    app: &App,
    request: &mut Request,
    caller: Principal,
) -> Result<Answer, Problem> {
    let address = EmailAddress::parse(&caller.standing.email).ok();
    let whose = (address.as_ref(), Some(caller.standing.name.as_str()));
    let ChangePassword { password, new_password } =
        ChangePassword::read_and_check(request.json()?, |body, (password, new_password)| {
            fields::require_password(body, &caller, password.as_ref());
            fields::policy(app, body, ("newPassword", new_password), whose);
        })?;
    let mut client = request.as_client();
    let passwords = (password, new_password);
    let changed = app.account().change_password(&mut client, caller, passwords).await;
    let changed = changed.map_err(|error| problem(error, "newPassword"))?;
    let mut answer = answer::json(&changed.tokens);
    answer::known_device(&mut answer, &changed.device_token);
    Ok(answer)
}

pub fn operation() -> Operation {
    Operation::new("changePassword", Tag::Password, "Change your password")
        .describes(
            "Every other session of the user ends. A verified email address gets a notice by mail, \
             at most one an hour. If there are more changes within the hour, one mail at the end \
             of the hour reports them together. An account can confirm at most ten changes an hour \
             with its password. The response carries a new `X-Latchkey-Device`. Store \
             it in place of the previous value. A device that sent a valid `X-Latchkey-Device` \
             stays known and keeps its limits. Every other device becomes unknown again.",
        )
        .bearer()
        .takes::<ChangePassword>()
        .gives::<Tokens>("Tokens of this session.")
        .fails(&[
            Code::MalformedRequest,
            Code::InvalidCredentials,
            Code::InvalidToken,
            Code::StepUpRequired,
            Code::Conflict,
            Code::ValidationFailed,
            Code::RateLimited,
        ])
}
