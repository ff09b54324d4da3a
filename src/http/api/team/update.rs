//! `PATCH /api/teams/{tid}`: changes the name or the slug of a team.

use super::{ChangedName, TeamView};
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
    let ChangedName { name, slug } = ChangedName::read(request.json()?)?;
    let name = name.as_ref().map(crate::user::PersonName::as_str);
    let team = teams::update(&change_context(app, request), member.actor, (name, slug)).await?;
    app.metrics.tenancy_changes.one(TenancyChange::TeamUpdated);
    Ok(answer::json(&TeamView::from(team)))
}

pub fn operation() -> Operation {
    Operation::of_roles("updateTeam", Tag::Team, "Change a team's name or slug")
        .takes::<ChangedName>()
        .gives::<TeamView>("The changed team.")
        .fails(&[Code::MalformedRequest, Code::Conflict, Code::ValidationFailed])
}
