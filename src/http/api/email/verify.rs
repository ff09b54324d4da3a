//! `GET /api/verify-email/{token}`: verifies an email address with the mailed token and opens a
//! session.
//!
//! The first verification creates a default team and a default project. A used token gets the error
//! `already-verified` until its expiry time. Every other invalid token gets `token-invalid`,
//! whatever the reason is. The endpoint also accepts the token that confirms a change of the email
//! address.

use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::session::Tokens;

pub async fn handle(app: &App, request: &mut Request) -> Result<Answer, Problem> {
    let token = request.param("token")?;
    let tokens = app.account().verify_email(&mut request.as_client(), &token).await?;
    Ok(answer::json(&tokens))
}

pub fn operation() -> Operation {
    Operation::new("verifyEmail", Tag::Email, "Verify an email address")
        .describes(
            "The first verification creates a default team, in which the user is `owner`, and a \
             default project in that team. A browser that opens this path is redirected to the \
             confirmation page (303). The redirect changes nothing.",
        )
        .path("token", "The token from the mail.")
        .also(303, "A browser is redirected to the confirmation page. Nothing has changed yet.")
        .gives::<Tokens>("Tokens of a new session.")
        .fails(&[
            Code::TokenInvalid,
            Code::FactorRequired,
            Code::Forbidden,
            Code::EmailTaken,
            Code::AlreadyVerified,
            Code::RateLimited,
        ])
}
