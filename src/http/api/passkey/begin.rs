//! `POST /api/me/passkeys/options`: begins to add a passkey.

use super::options::Creation;
use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::session::Principal;

pub async fn handle(
    app: &App,
    request: &mut Request,
    caller: Principal,
) -> Result<Answer, Problem> {
    let new = app.account().begin_passkey(&mut request.as_client(), &caller).await?;
    Ok(answer::json(&Creation::from(new)))
}

pub fn operation() -> Operation {
    Operation::new("beginPasskey", Tag::Factor, "Begin to add a passkey")
        .describes(
            "Pass `publicKey` to `navigator.credentials.create`, and send its result to `POST \
             /api/me/passkeys` within 10 minutes, in the same session. A new request replaces the \
             ceremony before. The first factor needs a proof by password within \
             `sessions.fresh_for`. A further factor needs a fresh proof with a factor. An account \
             with ten factors gets a 409.",
        )
        .bearer()
        .gives::<Creation>("The options of the ceremony.")
        .fails(&[
            Code::InvalidToken,
            Code::StepUpRequired,
            Code::EmailUnverified,
            Code::NotFound,
            Code::Conflict,
            Code::RateLimited,
        ])
}
