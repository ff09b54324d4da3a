//! `GET /api/teams/{tid}/projects/{pid}/keys`: lists the keys of a project.

use serde::Serialize;
use utoipa::ToSchema;

use super::KeyView;
use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::member::Member;
use crate::http::openapi::{Operation, Tag};
use crate::http::paging::Page;
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::team::keys;

/// A page of keys.
#[derive(Serialize, ToSchema)]
pub struct Keys {
    /// The keys, in the order in which they were created.
    items: Vec<KeyView>,
    /// Send this value as `cursor` to get the next page. It is null on the last page.
    #[schema(required = true)]
    next: Option<String>,
}

pub async fn handle(app: &App, request: &mut Request, member: Member) -> Result<Answer, Problem> {
    let (page, project) = (Page::of(request)?, request.id("pid")?);
    let found = keys::list(&app.db, member.team_id(), project, page.after, page.rows()).await?;
    let mut found = found.ok_or(Code::NotFound)?;
    let next = page.cut(&mut found, |key| key.id);
    let items = found.into_iter().map(KeyView::from).collect();
    Ok(answer::json(&Keys { items, next }))
}

pub fn operation() -> Operation {
    Operation::of_roles("listKeys", Tag::Key, "List a project's keys")
        .describes(
            "Expired keys stay in the list until they are revoked. The list does not contain secrets.",
        )
        .path("pid", "The id of the project.")
        .paged()
        .gives::<Keys>("A page of keys.")
        .fails(&[Code::ValidationFailed])
}
