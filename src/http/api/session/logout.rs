//! `POST /api/logout`: ends the caller's session.
//!
//! An expired userToken is accepted as long as its session lives, as for a refresh. Otherwise a
//! client that was asleep could not log out, and its session would live on.

use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::limit;
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::session::EndedBy;
use crate::token::Expiry;

pub async fn handle(app: &App, request: &mut Request) -> Result<Answer, Problem> {
    let (user_id, claims, _permit) = limit::account(app, request, Expiry::Ignored).await?;
    let caller = app.check().caller_of(user_id, &claims).await?;
    super::revoke::end(app, request, &caller.session, EndedBy::Logout).await?;
    Ok(answer::no_content())
}

pub fn operation() -> Operation {
    Operation::new("logout", Tag::Session, "Log out")
        .describes(
            "The session ends. Its userToken stops working at once. Its vaultToken stops working \
             at the latest when it expires. An expired userToken of a live session is accepted \
             too.",
        )
        .bearer()
        .gives_nothing("The session has ended.")
        .fails(&[Code::InvalidToken])
}
