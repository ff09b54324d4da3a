//! `POST /api/login`: opens a session for an email address and a password, and returns its tokens.
//!
//! An unknown address and a wrong password return from the same line of code, after the same work.

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
    /// Address and password.
    pub struct Login {
        /// The address of the account; upper and lower case are one.
        email: EmailAddress,
        /// The password, as it was chosen.
        password: Secret<String>,
        /// Where the problem `captcha-invalid` asked for one.
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
    Operation::new("login", Tag::Session, "Log in with address and password")
        .describes("The answer carries `X-Latchkey-Device`: keep it with the address and send it with the next log-in, so that strangers who guess cannot lock this device out. A log-in without it is mailed to the person as one on a new device.")
        .takes::<Login>()
        .gives::<Tokens>("Tokens of a new session.")
        .fails(&[
            Code::MalformedRequest,
            Code::CaptchaInvalid,
            Code::InvalidCredentials,
            Code::AccountDisabled,
            Code::UnsupportedMediaType,
            Code::ValidationFailed,
            Code::RateLimited,
        ])
}
