//! `GET /api/verify-email/{token}`: proves an address by the mailed token, and opens a session.
//!
//! The first time a default team and project are made. A token that did its work answers `already-verified` until it
//! would have expired; every other one that is not good is `token-invalid`, whatever the reason. The token of a change of
//! address is taken here too.

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
    Operation::new("verifyEmail", Tag::Email, "Prove an address")
        .describes(
            "The first time, a default team (role `owner`) and in it a default project are made. A browser that \
             navigates here is led to the page instead (303), and nothing happens.",
        )
        .path("token", "The token out of the mail.")
        .also(303, "A browser's navigation: to the page, where nothing has happened yet.")
        .gives::<Tokens>("Tokens of a new session.")
        .fails(&[
            Code::TokenInvalid,
            Code::Forbidden,
            Code::EmailTaken,
            Code::AlreadyVerified,
            Code::RateLimited,
        ])
}
