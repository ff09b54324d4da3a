//! `DELETE /api/teams/{tid}`: deletes a team and everything in it.

use super::Confirmation;
use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::body_type::RequestBody;
use crate::http::member::{Member, change_context};
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::team::teams;
use crate::telemetry::labels::TenancyChange;

pub async fn handle(app: &App, request: &mut Request, member: Member) -> Result<Answer, Problem> {
    let Confirmation { name } = Confirmation::read(request.json()?)?;
    teams::delete_confirmed(&change_context(app, request), member.actor, &name).await?;
    app.metrics.tenancy_changes.one(TenancyChange::TeamDeleted);
    Ok(answer::no_content())
}

pub fn operation() -> Operation {
    Operation::of_roles("deleteTeam", Tag::Team, "Delete a team")
        .describes(
            "Confirm the deletion with the name of the team. The projects, keys and invitations of \
             the team are deleted too. Sessions that use the team continue in another team of the \
             user, or in no team. A vaultToken of the team is inactive at introspection at once.",
        )
        .takes::<Confirmation>()
        .gives_nothing("The team is deleted.")
        .fails(&[Code::MalformedRequest, Code::StepUpRequired, Code::ValidationFailed])
}
