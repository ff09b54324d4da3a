//! `POST /api/forgot-passsword` and `/api/forgot-password`: mails a recovery link if the email
//! address has an account.
//!
//! The response, its time and the limits are the same for an email address with an account and for
//! one without.

use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::body_type::{RequestBody, request_body};
use crate::http::openapi::{Done, Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::user::EmailAddress;

request_body! {
    /// The account that needs a new password.
    pub struct ForgotPassword {
        /// The email address of the account.
        email: EmailAddress,
        /// The solution of a captcha, if the operator requires one.
        captcha: Option<String>,
    }
}

pub async fn handle(app: &App, request: &mut Request) -> Result<Answer, Problem> {
    let ForgotPassword { email, captcha } = ForgotPassword::read(request.json()?)?;
    app.account().forgot(&mut request.as_client(), email, captcha).await?;
    Ok(answer::json(&Done::OK))
}

pub fn operation() -> Operation {
    Operation::new("forgotPassword", Tag::Password, "Request a recovery mail")
        .describes(
            "The response is the same whether the email address has an account or not. \
             `Authorization` is not needed and is ignored.",
        )
        .takes::<ForgotPassword>()
        .gives::<Done>("If the email address has an account, latchkey sends a mail.")
        .fails(&[
            Code::MalformedRequest,
            Code::CaptchaInvalid,
            Code::UnsupportedMediaType,
            Code::ValidationFailed,
            Code::RateLimited,
        ])
}
