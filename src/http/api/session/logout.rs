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
    Operation::new("logout", Tag::Session, "Log out")
        .describes(
            "The session ends. Its userToken stops working at once. Its vaultToken stops working \
             at the latest when it expires.",
        )
        .bearer()
        .gives_nothing("The session has ended.")
        .fails(&[Code::InvalidToken])
}
