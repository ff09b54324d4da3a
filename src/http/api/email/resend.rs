//! `GET /api/resend-email-verification`: sends a new confirmation mail. The link in the previous
//! mail stops working.

use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::fields;
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::session::{Principal, Tokens};

pub async fn handle(
    app: &App,
    request: &mut Request,
    caller: Principal,
) -> Result<Answer, Problem> {
    let captcha = fields::captcha_of_query(request)?;
    let mut client = request.as_client();
    app.account().resend_confirmation(&mut client, &caller.standing, captcha).await?;
    let user_token = request.bearer()?.ok_or(Code::InvalidToken)?;
    Ok(answer::json(&app.sessions.beside(user_token, &caller.session, &caller.standing)?))
}

pub fn operation() -> Operation {
    Operation::new("resendEmailVerification", Tag::Email, "Send the confirmation mail again")
        .describes("The link in the previous confirmation mail stops working.")
        .bearer()
        .captcha()
        .gives::<Tokens>("Tokens of the same session. The tokens that you have stay valid.")
        .fails(&[
            Code::CaptchaInvalid,
            Code::InvalidToken,
            Code::Forbidden,
            Code::AlreadyVerified,
            Code::RateLimited,
        ])
}
