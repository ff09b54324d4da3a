//! `POST /api/me/factors/{id}/confirm`: confirms an authenticator app with its first code.

use super::Confirmed;
use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::body_type::{RequestBody, request_body};
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::secret::Secret;
use crate::session::Principal;

request_body! {
    /// The first code of the authenticator app.
    pub struct ConfirmFactor {
        /// The current code. Spaces are ignored.
        code: Secret<String>,
    }
}

pub async fn handle(
    app: &App,
    request: &mut Request,
    caller: Principal,
) -> Result<Answer, Problem> {
    let id = request.id("id");
    let ConfirmFactor { code } = ConfirmFactor::read(request.json()?)?;
    let client = request.as_client();
    let confirmed = app.account().confirm_totp(&client, caller, id?, &code).await?;
    Ok(answer::json(&Confirmed::from(confirmed)))
}

pub fn operation() -> Operation {
    Operation::new("confirmFactor", Tag::Factor, "Confirm an authenticator app")
        .describes(
            "From now on a login needs the password and a code. This session counts as authenticated \
             with two factors. The first factor ends every other session of the account, and the \
             user gets a mail with a link that removes the factor for 7 days. A second \
             authenticator app replaces the first one.",
        )
        .bearer()
        .path("id", "The id of the factor.")
        .takes::<ConfirmFactor>()
        .gives::<Confirmed>("The factor, with new tokens of this session.")
        .fails(&[
            Code::MalformedRequest,
            Code::InvalidToken,
            Code::EmailUnverified,
            Code::NotFound,
            Code::Conflict,
            Code::ValidationFailed,
        ])
}
