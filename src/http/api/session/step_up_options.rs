//! `POST /api/step-up/options`: begins a step-up by passkey.

use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::api::passkey::options;
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::session::Principal;

pub async fn handle(
    app: &App,
    request: &mut Request,
    caller: Principal,
) -> Result<Answer, Problem> {
    let begun = app.account().begin_passkey_step_up(&mut request.as_client(), &caller).await?;
    Ok(answer::json(&options::Request::from(begun)))
}

pub fn operation() -> Operation {
    Operation::new("stepUpOptions", Tag::Session, "Begin a step-up by passkey")
        .describes(
            "Pass `publicKey` to `navigator.credentials.get`, and send its result to `POST \
             /api/step-up` within 5 minutes, in the same session. A new request replaces the \
             ceremony before. An account without a passkey gets a 409.",
        )
        .bearer()
        .gives::<options::Request>("The options of the ceremony.")
        .fails(&[Code::InvalidToken, Code::NotFound, Code::Conflict, Code::RateLimited])
}
