//! `GET /api/captcha`: returns a challenge of the built-in captcha. If `captcha.fallback` is set,
//! it returns a challenge only while the captcha vendor does not respond.

use crate::admission::{Action, Ask};
use crate::app::App;
use crate::captcha::{DIFFICULTY_MAX, Offer, VendorState};
use crate::http::answer::{self, Answer};
use crate::http::json::Object;
use crate::http::limit;
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};

pub async fn handle(app: &App, request: &mut Request) -> Result<Answer, Problem> {
    let offer = app.captcha.offer();
    if offer == Offer::Never {
        return Err(Code::NotFound.into());
    }
    let difficulty = difficulty(request)?;
    limit::admit(app, request, Ask::Action(Action::Captcha)).await?;
    if offer == Offer::InDoubt
        && app.captchas.probe(request.cx.deadline).await? == VendorState::Good
    {
        let detail = "The captcha vendor responds. Show the vendor's widget.";
        return Err(Problem::new(Code::NotFound).detail(detail));
    }
    Ok(answer::json(&app.captcha.challenge(difficulty, app.clock.now())))
}

/// Reads `?difficulty=`. Its value comes from the problem of a refused login. The default is 1.
fn difficulty(request: &Request) -> Result<u32, Problem> {
    let difficulty = request.query("difficulty")?.map_or(Ok(1), |text| text.parse());
    let mut broken = Object::default();
    if !difficulty.as_ref().is_ok_and(|it| (1..=DIFFICULTY_MAX).contains(it)) {
        let rule = format!("`difficulty` must be a number from 1 to {DIFFICULTY_MAX}.");
        broken.reject("difficulty", "range", rule);
    }
    broken.finish()?;
    Ok(difficulty.unwrap_or(1))
}

pub fn operation() -> Operation {
    Operation::new("captcha", Tag::Meta, "Get a captcha challenge")
        .describes(
            "The challenge is a proof of work for ALTCHA's own widget (v2, PBKDF2/SHA-256). Send \
             the widget's payload as `captcha`. The payload is base64 of `{challenge, solution}`. \
             It can be used once, within 10 minutes. If the operator has configured a captcha \
             vendor, the response is a 404. If the operator also allows the fallback, the response \
             is a 404 only while the vendor responds. With the fallback, request a challenge here \
             if the vendor's widget does not load, or if a captcha of the vendor was refused with \
             a 503. If a login needs a harder challenge, its problem `captcha-invalid` has the \
             member `difficulty`.",
        )
        .query(
            "difficulty",
            "The difficulty of the challenge, from 1 to 60. A challenge of difficulty 2 is twice as \
             hard as usual. The default is 1.",
        )
        .gives_json("The challenge: `{parameters, signature}`, in the format of ALTCHA's widget.")
        .fails(&[Code::NotFound, Code::ValidationFailed, Code::RateLimited])
}
