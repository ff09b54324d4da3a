//! `PATCH /api/teams/{tid}/projects/{pid}`: changes the name or the slug of a project.

use super::ProjectView;
use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::api::team::ChangedName;
use crate::http::body_type::RequestBody;
use crate::http::member::{Member, change_context};
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::team::projects;
use crate::telemetry::labels::TenancyChange;
use crate::user::PersonName;

pub async fn handle(app: &App, request: &mut Request, member: Member) -> Result<Answer, Problem> {
    let id = request.id("pid")?;
    let ChangedName { name, slug } = ChangedName::read(request.json()?)?;
    let said = (name.as_ref().map(PersonName::as_str), slug);
    let project = projects::update(&change_context(app, request), member.actor, id, said).await?;
    app.metrics.tenancy_changes.one(TenancyChange::ProjectUpdated);
    Ok(answer::json(&ProjectView::from(project)))
}

pub fn operation() -> Operation {
    Operation::of_roles("updateProject", Tag::Project, "Change a project's name or slug")
        .path("pid", "The id of the project.")
        .takes::<ChangedName>()
        .gives::<ProjectView>("The changed project.")
        .fails(&[Code::MalformedRequest, Code::Conflict, Code::ValidationFailed])
}
