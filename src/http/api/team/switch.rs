//! `POST /api/teams/{tid}/switch`: moves the caller's session to another team or project.

use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::body_type::{RequestBody, request_body};
use crate::http::json::Object;
use crate::http::member::Member;
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::session::Tokens;
use crate::team::members;
use crate::telemetry::labels::TenancyChange;

request_body! {
    /// The project to switch to.
    pub struct SwitchTeam {
        /// The id of a project of the team. If it is missing, the session uses the project that you
        /// chose last.
        project_id as "projectId": Option<String>,
    }
}

pub async fn handle(app: &App, request: &mut Request, member: Member) -> Result<Answer, Problem> {
    // Every member of the body is optional, so the request needs no body.
    let body = if request.body.is_empty() { Object::default() } else { request.json()? };
    let SwitchTeam { project_id: wanted } = SwitchTeam::read(body)?;
    // A value that is not an id gives the same 404 as an unknown project.
    let wanted = wanted.map(|text| text.parse().map_err(|_| Code::NotFound)).transpose()?;
    let now = app.clock.now();
    members::choose(&app.db, member.actor, wanted, now).await?;
    let Member { caller, actor, .. } = member;
    let in_use =
        caller.standing.membership.as_ref().and_then(|membership| membership.project.as_ref());
    let in_use = in_use.map(|(id, _)| *id);
    let project = wanted.or(in_use);
    let session = app
        .store
        .set_session_team(&caller.session, Some(actor.team_id), project, now)
        .await?
        .ok_or(Code::InvalidToken)?;
    app.metrics.tenancy_changes.one(TenancyChange::TeamSwitched);
    let user_token = request.bearer()?.ok_or(Code::InvalidToken)?;
    if project == in_use {
        let tokens = app.sessions.beside(user_token, &session, &caller.standing)?;
        return Ok(answer::json(&tokens));
    }
    let caller = app.check().standing(session).await?;
    Ok(answer::json(&app.sessions.beside(user_token, &caller.session, &caller.standing)?))
}

pub fn operation() -> Operation {
    Operation::of_roles("switchTeam", Tag::Team, "Switch to another team or project")
        .describes(
            "The response has tokens of the same session for this team. Your current userToken is \
             not replaced. If the team requires a second factor and your session has none, the \
             response is a 403 `team-factor-required`. Your next login starts in the team and project that you chose last.",
        )
        .takes::<SwitchTeam>()
        .optional()
        .gives::<Tokens>("Tokens of the same session, for this team and project.")
        .fails(&[Code::MalformedRequest, Code::ValidationFailed])
}
