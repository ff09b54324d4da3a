//! `GET /api/teams/{tid}/projects/{pid}`: shows one project.

use super::ProjectView;
use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::member::Member;
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::team::projects;

pub async fn handle(app: &App, request: &mut Request, member: Member) -> Result<Answer, Problem> {
    let found = projects::show(&app.db, member.team_id(), request.id("pid")?).await?;
    Ok(answer::json(&ProjectView::from(found.ok_or(Code::NotFound)?)))
}

pub fn operation() -> Operation {
    Operation::of_team("showProject", Tag::Project, "Show a project")
        .path("pid", "The id of the project.")
        .gives::<ProjectView>("The project.")
}
