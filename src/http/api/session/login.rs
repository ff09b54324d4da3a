//! `POST /api/login`: opens a session for an email address and a password, and returns its tokens.
//!
//! For an unknown email address and for a wrong password, the response comes from the same line of
//! code, after the same work.

use crate::admission::Client;
use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::body_type::{RequestBody, request_body};
use crate::http::limit;
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::secret::Secret;
use crate::session::Tokens;
use crate::user::EmailAddress;

request_body! {
    /// The email address and the password.
    pub struct Login {
        /// The email address of the account. Upper and lower case count as the same.
        email: EmailAddress,
        /// The password, exactly as the user chose it.
        password: Secret<String>,
        /// The solution of a captcha, if the problem `captcha-invalid` asked for one.
        captcha: Option<String>,
    }
}

pub async fn handle(app: &App, request: &mut Request) -> Result<Answer, Problem> {
    let Login { email, password, captcha } = Login::read(request.json()?)?;
    let session = limit::known_session(app, request).await?;
    let mut client = Client { session, ..request.as_client() };
    let logged_in = app.account().log_in(&mut client, &email, password, captcha).await?;
    let mut answer = answer::json(&logged_in.tokens);
    answer::known_device(&mut answer, &logged_in.device_token);
    Ok(answer)
}

pub fn operation() -> Operation {
    Operation::new("login", Tag::Session, "Log in with email address and password")
        .describes(
            "The response carries `X-Latchkey-Device`. Store it together with the email address \
             and send it with the next login. Then failed logins of other clients cannot lock this \
             device out. A login without `X-Latchkey-Device` counts as a login on a new device, and \
             the user gets a mail about it.",
        )
        .takes::<Login>()
        .gives::<Tokens>("Tokens of a new session.")
        .fails(&[
            Code::MalformedRequest,
            Code::CaptchaInvalid,
            Code::InvalidCredentials,
            Code::FactorRequired,
            Code::AccountDisabled,
            Code::UnsupportedMediaType,
            Code::ValidationFailed,
            Code::RateLimited,
        ])
}
