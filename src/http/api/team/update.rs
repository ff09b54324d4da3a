//! `PATCH /api/teams/{tid}`: changes the name, the slug or the policy of a team.
//!
//! The policy `requireFactor` says whether members need a session with two factors to use the team.
//! Only an owner whose own session has a fresh proof of two factors can change it. So owners cannot
//! lock themselves out.

use super::{ChangedTeam, TeamWithPolicy};
use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::body_type::RequestBody;
use crate::http::fresh;
use crate::http::member::{Member, change_context};
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::session::FreshProof;
use crate::team::teams::{self, TeamUpdate};
use crate::telemetry::labels::TenancyChange;

pub async fn handle(app: &App, request: &mut Request, member: Member) -> Result<Answer, Problem> {
    let ChangedTeam { name, slug, require_factor } = ChangedTeam::read(request.json()?)?;
    let name = name.map(|name| name.as_str().to_owned());
    let update = TeamUpdate { name, slug, require_factor };
    if !update.permission().is_granted_to(member.role) {
        return Err(Code::Forbidden.into());
    }
    if require_factor.is_some() {
        fresh::require(app, &member.caller, FreshProof::Always).await?;
    }
    let team = teams::update(&change_context(app, request), member.actor, update).await?;
    app.metrics.tenancy_changes.one(TenancyChange::TeamUpdated);
    Ok(answer::json(&TeamWithPolicy::from(team)))
}

pub fn operation() -> Operation {
    Operation::of_roles("updateTeam", Tag::Team, "Change a team's name, slug or policy")
        .describes(
            "If the body has `requireFactor`, you must be an owner and need a fresh proof of two \
             factors, and otherwise nothing of the request is done. While `requireFactor` is true, \
             a session below `aal2` gets no vaultToken of this team. Requests about the team get \
             `team-factor-required`. Such a session can only see the team and leave it. Project \
             keys are not affected.",
        )
        .takes::<ChangedTeam>()
        .gives::<TeamWithPolicy>("The changed team.")
        .fails(&[
            Code::MalformedRequest,
            Code::StepUpRequired,
            Code::Conflict,
            Code::ValidationFailed,
        ])
}
