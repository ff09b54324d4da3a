//! `POST /api/change-password`: a new password, by the old one. Every other session ends; a notice is mailed to a proven
//! address.

use utoipa::ToSchema;

use crate::app::App;
use crate::http::account_error::problem;
use crate::http::answer::{self, Answer};
use crate::http::fields;
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::session::{Principal, Tokens};
use crate::user::EmailAddress;

/// The old password and the new one.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "read member by member; this is its schema")]
pub struct ChangePassword {
    /// The present password.
    password: String,
    /// 8 to 256 characters; not a common or breached one, not the address or the name.
    new_password: String,
}

/// The handler.
pub async fn handle(
    app: &App,
    request: &mut Request,
    caller: Principal,
) -> Result<Answer, Problem> {
    let mut body = request.json()?;
    let password = body.secret("password");
    let new_password = body.secret("newPassword");
    let address = EmailAddress::parse(&caller.standing.email).ok();
    let name = Some(caller.standing.name.as_str());
    fields::policy(app, &mut body, "newPassword", &new_password, (address.as_ref(), name));
    body.finish()?;
    let mut client = request.as_client();
    let passwords = (password, new_password);
    let changed = app.account().change_password(&mut client, caller, passwords).await;
    let changed = changed.map_err(|error| problem(error, "newPassword"))?;
    let mut answer = answer::json(&changed.tokens);
    answer::known_device(&mut answer, &changed.device_token);
    Ok(answer)
}

/// What the endpoint says of itself.
pub fn operation() -> Operation {
    Operation::new("changePassword", Tag::Password, "Set a new password by the old one")
        .describes("Every other session ends; a notice is mailed to a verified address, at most one an hour: later changes within the hour are one mail at its end. Ten right passwords an hour confirm changes of one account. The answer carries `X-Latchkey-Device` for the new password: keep it in place of the one before. A device that sent a valid one keeps its limits; every other device is unknown again.")
        .bearer()
        .takes::<ChangePassword>()
        .gives::<Tokens>("Tokens of this session.")
        .fails(&[
            Code::MalformedRequest,
            Code::InvalidCredentials,
            Code::InvalidToken,
            Code::Conflict,
            Code::ValidationFailed,
            Code::RateLimited,
        ])
}
