//! `POST /api/me/factors/totp`: begins to add an authenticator app.

use hyper::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::clock::rfc3339;
use crate::http::answer::{self, Answer};
use crate::http::body_type::{RequestBody, request_body};
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::session::Principal;
use crate::user::PersonName;

request_body! {
    /// The name of the authenticator app.
    pub struct AddTotp {
        /// A name by which you recognise the app, 1 to 100 characters.
        name: PersonName,
    }
}

/// An authenticator app that waits for its first code.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct NewTotpView {
    /// The id of the factor.
    id: String,
    /// The secret in base32 without padding, for users who cannot scan a QR code.
    secret: String,
    /// The `otpauth://` URI. Show it as a QR code.
    uri: String,
    /// Until when the app can be confirmed (RFC 3339).
    expires_at: String,
}

pub async fn handle(
    app: &App,
    request: &mut Request,
    caller: Principal,
) -> Result<Answer, Problem> {
    let AddTotp { name } = AddTotp::read(request.json()?)?;
    let new = app.account().begin_totp(&caller, name.as_str().to_owned()).await?;
    let view = NewTotpView {
        id: new.id.to_string(),
        secret: new.secret.expose().clone(),
        uri: new.uri.expose().clone(),
        expires_at: rfc3339(new.expires_at),
    };
    Ok(answer::status_json(StatusCode::CREATED, &view))
}

pub fn operation() -> Operation {
    Operation::new("addTotp", Tag::Factor, "Begin to add an authenticator app")
        .describes(
            "The response has the secret of the app (RFC 6238: SHA-1, 6 digits, 30 seconds). Confirm \
             the app with its current code within 10 minutes, in the same session. After ten wrong \
             codes, begin again. A new request replaces an app that waits for its confirmation. The \
             first factor needs a proof by password within `sessions.fresh_for`. A further factor \
             needs a fresh proof with a factor.",
        )
        .bearer()
        .takes::<AddTotp>()
        .created::<NewTotpView>("The secret. Only this response shows it.")
        .fails(&[
            Code::MalformedRequest,
            Code::InvalidToken,
            Code::StepUpRequired,
            Code::EmailUnverified,
            Code::Conflict,
            Code::ValidationFailed,
        ])
}
