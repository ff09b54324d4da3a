//! `POST /api/login/passkey/options`: begins a login by passkey.

use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::api::passkey::options;
use crate::http::body_type::{RequestBody, request_body};
use crate::http::json::Object;
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::secret::Secret;

request_body! {
    /// The login that the passkey completes.
    pub struct LoginPasskeyOptions {
        /// The member `challenge` of the problem `factor-required`. Without it, the passkey opens a
        /// session without a password.
        challenge: Option<Secret<String>>,
    }
}

pub async fn handle(app: &App, request: &mut Request) -> Result<Answer, Problem> {
    let body = if request.body.is_empty() { Object::default() } else { request.json()? };
    let LoginPasskeyOptions { challenge } = LoginPasskeyOptions::read(body)?;
    let begun = app.account().begin_passkey_login(&mut request.as_client(), challenge).await?;
    Ok(answer::json(&options::Request::from(begun)))
}

pub fn operation() -> Operation {
    Operation::new("loginPasskeyOptions", Tag::Session, "Begin a login by passkey")
        .describes(
            "Pass `publicKey` to `navigator.credentials.get`. With the challenge of a login, \
             complete it at `POST /api/login/factor`. The challenge stays the same, and a new \
             request replaces what the passkey signs. An account without a passkey gets a 409. \
             Without a challenge, complete the new one at `POST /api/login/passkey` within 10 \
             minutes. Then the response does not depend on any account.",
        )
        .takes::<LoginPasskeyOptions>()
        .optional()
        .gives::<options::Request>("The options of the ceremony.")
        .fails(&[
            Code::MalformedRequest,
            Code::ChallengeInvalid,
            Code::NotFound,
            Code::Conflict,
            Code::ValidationFailed,
            Code::RateLimited,
        ])
}
