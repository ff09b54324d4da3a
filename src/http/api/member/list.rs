//! `GET /api/teams/{tid}/members`: lists the members of a team.

use serde::Serialize;
use utoipa::ToSchema;

use super::MemberView;
use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::member::Member;
use crate::http::openapi::{Operation, Tag};
use crate::http::paging::Page;
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::team::members;

/// A page of members.
#[derive(Serialize, ToSchema)]
pub struct Members {
    /// The members, in the order in which they joined.
    items: Vec<MemberView>,
    /// Send this value as `cursor` to get the next page. It is null on the last page.
    #[schema(required = true)]
    next: Option<String>,
}

pub async fn handle(app: &App, request: &mut Request, member: Member) -> Result<Answer, Problem> {
    let page = Page::of(request)?;
    let mut found = members::list(&app.db, member.team_id(), page.after, page.rows()).await?;
    let next = page.cut(&mut found, |member| member.id);
    let items = found.into_iter().map(MemberView::from).collect();
    Ok(answer::json(&Members { items, next }))
}

pub fn operation() -> Operation {
    Operation::of_team("listMembers", Tag::Member, "List a team's members")
        .paged()
        .gives::<Members>("A page of members.")
        .fails(&[Code::ValidationFailed])
}
