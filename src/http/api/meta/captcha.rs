//! `GET /api/captcha`: a challenge of the built-in provider.

use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::http::steps;
use crate::limits::Action;
use crate::problem::{Code, Problem};

/// The handler.
pub async fn handle(app: &App, request: &mut Request) -> Result<Answer, Problem> {
    let altcha = app.altcha.as_ref().ok_or(Code::NotFound)?;
    steps::limit(app, request, Action::Captcha)?;
    Ok(answer::json(&altcha.challenge(app.clock.now())))
}

/// What the endpoint says of itself.
pub fn operation() -> Operation {
    Operation::new("captcha", Tag::Meta, "Get a captcha's challenge")
        .describes(
            "A proof of work for ALTCHA's own widget (v2, PBKDF2/SHA-256). The captcha's value is the widget's payload: \
             base64 of `{challenge, solution}`. It is good once, for 10 minutes.",
        )
        .gives_json("`{parameters, signature}`, as ALTCHA's widget takes it.")
        .fails(&[Code::NotFound, Code::RateLimited])
}
