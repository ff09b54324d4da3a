//! `POST /api/teams/{tid}/projects`: one more project.

use super::ProjectView;
use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::api::team::{Named, named};
use crate::http::member::{Member, change_context};
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::team::projects;

/// The handler.
pub async fn handle(app: &App, request: &mut Request, member: Member) -> Result<Answer, Problem> {
    let (name, slug) = named(request)?;
    let (said, most) = ((name.as_str(), slug), app.config.teams.projects_max);
    let made = projects::create(&change_context(app, request), member.actor, said, most).await?;
    app.metrics.changed("project_created");
    Ok(answer::json(&ProjectView::from(made)))
}

/// What the endpoint says of itself.
pub fn operation() -> Operation {
    Operation::of_team("createProject", Tag::Project, "Make a project")
        .takes::<Named>()
        .gives::<ProjectView>("The project.")
        .fails(&[Code::MalformedRequest, Code::Conflict, Code::ValidationFailed])
}
