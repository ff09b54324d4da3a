//! `POST /api/login/passkey`: opens a session for a passkey, without a password.

use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::api::passkey::Credential;
use crate::http::body_type::{RequestBody, request_body};
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::secret::Secret;
use crate::session::Tokens;

request_body! {
    /// The proof of a passkey.
    pub struct LoginPasskey {
        /// The member `challenge` of `POST /api/login/passkey/options`.
        challenge: Secret<String>,
        /// `AuthenticationResponseJSON` of WebAuthn Level 3: the result of
        /// `navigator.credentials.get`, after `toJSON()`.
        credential: Credential,
    }
}

pub async fn handle(app: &App, request: &mut Request) -> Result<Answer, Problem> {
    let LoginPasskey { challenge, credential } = LoginPasskey::read(request.json()?)?;
    let mut client = request.as_client();
    let account = app.account();
    let logged_in = account.log_in_with_passkey(&mut client, &challenge, &credential.0).await?;
    let mut answer = answer::json(&logged_in.tokens);
    answer::known_device(&mut answer, &logged_in.device_token);
    Ok(answer)
}

pub fn operation() -> Operation {
    Operation::new("loginPasskey", Tag::Session, "Log in with a passkey")
        .describes(
            "The passkey has to be discoverable, and the user has to be verified: then a passkey is \
             two factors, and the tokens have the level `aal2`. A challenge can be used once. \
             Whatever is wrong with the passkey gets `invalid-credentials`.",
        )
        .takes::<LoginPasskey>()
        .gives::<Tokens>("Tokens of a new session. The response carries `X-Latchkey-Device`.")
        .fails(&[
            Code::MalformedRequest,
            Code::InvalidCredentials,
            Code::ChallengeInvalid,
            Code::AccountDisabled,
            Code::NotFound,
            Code::ValidationFailed,
            Code::RateLimited,
        ])
}
