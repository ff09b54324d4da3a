//! `POST /api/teams`: creates a team that the caller owns.

use super::{NewName, TeamWithPolicy};
use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::body_type::RequestBody;
use crate::http::member::change_context;
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::session::Principal;
use crate::team::teams;
use crate::telemetry::labels::TenancyChange;

pub async fn handle(
    app: &App,
    request: &mut Request,
    caller: Principal,
) -> Result<Answer, Problem> {
    let NewName { name, slug } = NewName::read(request.json()?)?;
    let (user_id, teams_max) = (caller.standing.id, app.config.teams.max_per_user);
    let made =
        teams::create(&change_context(app, request), user_id, (name.as_str(), slug), teams_max)
            .await?;
    app.metrics.tenancy_changes.one(TenancyChange::TeamCreated);
    Ok(answer::json(&TeamWithPolicy::from(made)))
}

pub fn operation() -> Operation {
    Operation::new("createTeam", Tag::Team, "Create a team")
        .describes(
            "You become the owner of the team, and the team gets a first project. Your session stays \
             in its current team. Switch to the new team to use it.",
        )
        .bearer()
        .takes::<NewName>()
        .gives::<TeamWithPolicy>("The team.")
        .fails(&[
            Code::MalformedRequest,
            Code::InvalidToken,
            Code::EmailUnverified,
            Code::Conflict,
            Code::ValidationFailed,
        ])
}
