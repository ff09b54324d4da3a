//! `POST /api/logout`: ends the caller's session.

use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::session::EndedBy;
use crate::session::Principal;

pub async fn handle(
    app: &App,
    request: &mut Request,
    caller: Principal,
) -> Result<Answer, Problem> {
    let session = &caller.session;
    super::revoke::end(app, request, session, EndedBy::Logout).await?;
    Ok(answer::no_content())
}

pub fn operation() -> Operation {
    Operation::new("logout", Tag::Session, "End this session")
        .describes("Its userToken is dead at once, its vaultToken within its lifetime.")
        .bearer()
        .gives_nothing("The session is ended.")
        .fails(&[Code::InvalidToken])
}
