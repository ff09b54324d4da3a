//! `DELETE /api/me`: removes the person's data, every session, and the teams that nobody else is in.

use utoipa::ToSchema;

use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::session::Principal;

/// Proof that it is meant.
#[derive(ToSchema)]
#[expect(dead_code, reason = "read member by member; this is its schema")]
pub struct Delete {
    /// The present password.
    password: String,
}

/// The handler.
pub async fn handle(
    app: &App,
    request: &mut Request,
    caller: Principal,
) -> Result<Answer, Problem> {
    let mut body = request.json()?;
    let password = body.secret("password");
    body.finish()?;
    app.account().delete(&mut request.as_client(), &caller, password).await?;
    Ok(answer::no_content())
}

/// What the endpoint says of itself.
pub fn operation() -> Operation {
    Operation::new("deleteMe", Tag::Account, "Delete your account")
        .describes("Teams without another member go with you; teams with others that you alone own forbid it.")
        .bearer()
        .takes::<Delete>()
        .gives_nothing("The account is gone.")
        .fails(&[
            Code::MalformedRequest,
            Code::InvalidCredentials,
            Code::InvalidToken,
            Code::Conflict,
            Code::ValidationFailed,
            Code::RateLimited,
        ])
}
