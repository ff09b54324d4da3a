//! `POST /api/me/passkeys`: adds a passkey.

use hyper::StatusCode;

use super::Credential;
use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::api::factor::Confirmed;
use crate::http::body_type::{RequestBody, request_body};
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::secret::Secret;
use crate::session::Principal;
use crate::user::PersonName;

request_body! {
    /// A new passkey.
    pub struct AddPasskey {
        /// The member `challenge` of `POST /api/me/passkeys/options`.
        challenge: Secret<String>,
        /// A name by which you recognise the passkey, 1 to 100 characters.
        name: PersonName,
        /// `RegistrationResponseJSON` of WebAuthn Level 3: the result of
        /// `navigator.credentials.create`, after `toJSON()`.
        credential: Credential,
    }
}

pub async fn handle(
    app: &App,
    request: &mut Request,
    caller: Principal,
) -> Result<Answer, Problem> {
    let AddPasskey { challenge, name, credential } = AddPasskey::read(request.json()?)?;
    let (client, named) = (request.as_client(), (&challenge, name.as_str().to_owned()));
    let added = app.account().add_passkey(&client, caller, named, &credential.0).await?;
    Ok(answer::status_json(StatusCode::CREATED, &Confirmed::from(added)))
}

pub fn operation() -> Operation {
    Operation::new("addPasskey", Tag::Factor, "Add a passkey")
        .describes(
            "The passkey is in force at once: it is a second factor, and it opens a session without \
             a password. This session counts as authenticated with two factors. The first factor \
             ends every other session of the account, and the user gets a mail with a link that \
             removes the factor for 7 days. Whatever becomes of the passkey, the challenge ends. A \
             passkey that is registered already gets a 409.",
        )
        .bearer()
        .takes::<AddPasskey>()
        .created::<Confirmed>("The factor, with new tokens of this session.")
        .fails(&[
            Code::MalformedRequest,
            Code::InvalidToken,
            Code::EmailUnverified,
            Code::NotFound,
            Code::Conflict,
            Code::ValidationFailed,
        ])
}
