//! `DELETE /api/teams/{tid}/members/{userId}`: removes a member. A member who sends their own id
//! leaves the team.

use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::member::{Member, change_context};
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::team::members::{self, Ended};
use crate::team::{Permission, Refusal};
use crate::telemetry::labels::TenancyChange;

pub async fn handle(app: &App, request: &mut Request, member: Member) -> Result<Answer, Problem> {
    let user_id = request.id("userId");
    // The route is open to every member, because every member is allowed to leave. A caller who is
    // not allowed to manage members gets the same response for every other id, so the response does
    // not reveal whether the id belongs to a member.
    let is_self = user_id.as_ref().is_ok_and(|id| *id == member.actor.user_id);
    if !is_self {
        member.require_factor(app).await?;
    }
    if !is_self && !Permission::ManageMembers.is_granted_to(member.role) {
        return Err(Code::Forbidden.into());
    }
    if !is_self && !member.is_active() {
        return Err(Refusal::TeamDisabled.into());
    }
    let change =
        match members::remove(&change_context(app, request), member.actor, user_id?).await? {
            Ended::Left => TenancyChange::MemberLeft,
            Ended::Removed => TenancyChange::MemberRemoved,
        };
    app.metrics.tenancy_changes.one(change);
    Ok(answer::no_content())
}

pub fn operation() -> Operation {
    Operation::of_roles("removeMember", Tag::Member, "Remove a member or leave the team")
        .describes(
            "Send your own id to leave the team. The membership ends at once. The user's sessions \
             continue in another team of the user, or in no team. The last owner can neither leave \
             nor be removed. If the team requires a second factor, you can leave without one.",
        )
        .path("userId", "The id of the user.")
        .gives_nothing("The membership has ended.")
        .fails(&[Code::Conflict])
}
