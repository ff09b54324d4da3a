//! `GET /api/captcha`: a challenge of the built-in provider; with `captcha.fallback`, while the vendor is in doubt.

use crate::admission::Action;
use crate::app::App;
use crate::captcha::{Offer, VendorState};
use crate::http::answer::{self, Answer};
use crate::http::limit;
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};

/// The handler.
pub async fn handle(app: &App, request: &mut Request) -> Result<Answer, Problem> {
    let offer = app.captcha.offer();
    if offer == Offer::Never {
        return Err(Code::NotFound.into());
    }
    limit::spend(app, request, Action::Captcha)?;
    if offer == Offer::InDoubt {
        if app.captchas.probe(request.cx.deadline).await? == VendorState::Good {
            let detail = "The captcha's provider answers: show its widget.";
            return Err(Problem::new(Code::NotFound).detail(detail));
        }
    }
    Ok(answer::json(&app.captcha.challenge(app.clock.now())))
}

/// What the endpoint says of itself.
pub fn operation() -> Operation {
    Operation::new("captcha", Tag::Meta, "Get a captcha's challenge")
        .describes(
            "A proof of work for ALTCHA's own widget (v2, PBKDF2/SHA-256). The captcha's value is the widget's payload: \
             base64 of `{challenge, solution}`. It is good once, for 10 minutes. With a captcha vendor configured this \
             is a 404; where the operator allows the fallback, it is one while the vendor answers: a page whose widget \
             does not load, or whose answer was refused with a 503, asks here.",
        )
        .gives_json("`{parameters, signature}`, as ALTCHA's widget takes it.")
        .fails(&[Code::NotFound, Code::RateLimited])
}
