//! `POST /api/change-password`: a new password, by the old one. Every other session ends; a notice is mailed to a proven
//! address.

use opentelemetry::KeyValue;
use utoipa::ToSchema;

use crate::account::{NewPassword, Proof, Reset};
use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::guess;
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::http::steps;
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
    mut caller: Principal,
) -> Result<Answer, Problem> {
    let mut body = request.json()?;
    let password = body.secret("password");
    let new_password = body.secret("newPassword");
    let address = EmailAddress::parse(&caller.standing.email).ok();
    let name = Some(caller.standing.name.as_str());
    steps::policy(app, &mut body, "newPassword", &new_password, address.as_ref(), name);
    body.finish()?;
    let device = guess::confirm(app, request, &caller, password, "change-password").await?;
    let user_id = caller.standing.id;
    steps::not_a_teams_name(app, "newPassword", &new_password, user_id).await?;
    steps::not_breached(app, "newPassword", &new_password).await?;
    let password_hash = steps::hash(app, request, new_password).await?;
    let password_version = caller.standing.password_version;
    let new = NewPassword { user_id, password_version, password_hash, proof: Proof::Password };
    let Reset::Now { epoch } = app.accounts.set_password(request.call(), new).await? else {
        return Err(Problem::new(Code::Conflict).detail("The password was changed a moment ago."));
    };
    steps::nudge_mailer(app);
    guess::pardon(app, request, &caller.standing.email_normal).await;
    // Under the new epoch every session is dead; this one is stamped again, the others are tidied away.
    let (sid, now) = (&caller.session.sid, app.clock.now());
    let session = app.store.restamp_session(user_id, sid, epoch, now).await?;
    caller.session = session.ok_or(Code::InvalidToken)?;
    app.store.end_sessions(user_id, Some(&caller.session.sid)).await?;
    app.metrics.sessions_revoked.add(1, &[KeyValue::new("reason", "password_changed")]);
    caller.standing.password_version = password_version + 1;
    let mut answer = answer::json(&steps::tokens(app, &caller.session, &caller.standing)?);
    // The device's token went with the old password. The device keeps its id, so that its limit goes on.
    let address = caller.standing.email_normal.clone();
    guess::make_known(app, &mut answer, &address, &caller.standing, device);
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
