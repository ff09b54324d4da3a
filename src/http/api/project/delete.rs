//! `DELETE /api/teams/{tid}/projects/{pid}`: deletes a project and its keys.

use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::api::team::Confirmation;
use crate::http::body_type::RequestBody;
use crate::http::member::{Member, change_context};
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::team::projects;
use crate::telemetry::labels::TenancyChange;

pub async fn handle(app: &App, request: &mut Request, member: Member) -> Result<Answer, Problem> {
    let id = request.id("pid")?;
    let Confirmation { name } = Confirmation::read(request.json()?)?;
    projects::delete(&change_context(app, request), member.actor, id, &name).await?;
    app.metrics.tenancy_changes.one(TenancyChange::ProjectDeleted);
    Ok(answer::no_content())
}

pub fn operation() -> Operation {
    Operation::of_roles("deleteProject", Tag::Project, "Delete a project")
        .describes(
            "Confirm the deletion with the name of the project. The keys of the project are \
             deleted too. Sessions that use the project continue in another \
             project of the team.",
        )
        .path("pid", "The id of the project.")
        .takes::<Confirmation>()
        .gives_nothing("The project is deleted.")
        .fails(&[Code::MalformedRequest, Code::ValidationFailed])
}
