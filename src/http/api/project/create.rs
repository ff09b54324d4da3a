//! `POST /api/teams/{tid}/projects`: creates a project.

use super::ProjectView;
use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::api::team::NewName;
use crate::http::body_type::RequestBody;
use crate::http::member::{Member, change_context};
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::team::projects;
use crate::telemetry::labels::TenancyChange;

pub async fn handle(app: &App, request: &mut Request, member: Member) -> Result<Answer, Problem> {
    let NewName { name, slug } = NewName::read(request.json()?)?;
    let (said, most) = ((name.as_str(), slug), app.config.teams.projects_max);
    let made = projects::create(&change_context(app, request), member.actor, said, most).await?;
    app.metrics.tenancy_changes.one(TenancyChange::ProjectCreated);
    Ok(answer::json(&ProjectView::from(made)))
}

pub fn operation() -> Operation {
    Operation::of_roles("createProject", Tag::Project, "Create a project")
        .takes::<NewName>()
        .gives::<ProjectView>("The project.")
        .fails(&[Code::MalformedRequest, Code::Conflict, Code::ValidationFailed])
}
