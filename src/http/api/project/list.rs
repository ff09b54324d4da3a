//! `GET /api/teams/{tid}/projects`: lists the projects of a team.

use serde::Serialize;
use utoipa::ToSchema;

use super::ProjectView;
use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::member::Member;
use crate::http::openapi::{Operation, Tag};
use crate::http::paging::Page;
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::team::projects;

/// A page of projects.
#[derive(Serialize, ToSchema)]
pub struct Projects {
    /// The projects, in the order in which they were created.
    items: Vec<ProjectView>,
    /// Send this value as `cursor` to get the next page. It is null on the last page.
    #[schema(required = true)]
    next: Option<String>,
}

pub async fn handle(app: &App, request: &mut Request, member: Member) -> Result<Answer, Problem> {
    let page = Page::of(request)?;
    let mut found = projects::list(&app.db, member.team_id(), page.after, page.rows()).await?;
    let next = page.cut(&mut found, |project| project.id);
    let items = found.into_iter().map(ProjectView::from).collect();
    Ok(answer::json(&Projects { items, next }))
}

pub fn operation() -> Operation {
    Operation::of_team("listProjects", Tag::Project, "List a team's projects")
        .paged()
        .gives::<Projects>("A page of projects.")
        .fails(&[Code::ValidationFailed])
}
