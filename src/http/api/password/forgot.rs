//! `POST /api/forgot-passsword` and `/api/forgot-password`: mails a recovery link, where there is somebody to mail it to.
//!
//! The answer, its time and what is spent are the same for a known and an unknown address (contract §2).

use utoipa::ToSchema;

use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::fields;
use crate::http::openapi::{Done, Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};

/// Whose password.
#[derive(ToSchema)]
#[expect(dead_code, reason = "read member by member; this is its schema")]
pub struct Forgot {
    /// The address of the account.
    email: String,
    /// Where the operator asks for one.
    captcha: Option<String>,
}

/// The handler.
pub async fn handle(app: &App, request: &mut Request) -> Result<Answer, Problem> {
    let mut body = request.json()?;
    let email = fields::email(&mut body);
    let captcha = body.optional_text("captcha");
    body.finish()?;
    let Some(email) = email else { return Err(Code::ValidationFailed.into()) };
    app.account().forgot(&mut request.as_client(), email, captcha).await?;
    Ok(answer::json(&Done::OK))
}

/// What the endpoint says of itself.
pub fn operation() -> Operation {
    Operation::new("forgotPassword", Tag::Password, "Ask for a recovery mail")
        .describes("The answer is the same whether there is an account or not. `Authorization` is not needed and ignored.")
        .takes::<Forgot>()
        .gives::<Done>("If there is an account, a mail is on its way.")
        .fails(&[
            Code::MalformedRequest,
            Code::CaptchaInvalid,
            Code::UnsupportedMediaType,
            Code::ValidationFailed,
            Code::RateLimited,
        ])
}
