//! `PATCH /api/teams/{tid}/members/{userId}`: changes the role of a member.

use super::MemberView;
use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::body_type::{RequestBody, request_body};
use crate::http::member::{Member, change_context};
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::team::{Role, members};
use crate::telemetry::labels::TenancyChange;

request_body! {
    /// The change of the membership.
    pub struct ChangeMember {
        /// `owner`, `admin`, `member` or `viewer`. The role must not be above your own.
        role: Role,
    }
}

pub async fn handle(app: &App, request: &mut Request, member: Member) -> Result<Answer, Problem> {
    let user_id = request.id("userId")?;
    let ChangeMember { role } = ChangeMember::read(request.json()?)?;
    let changed =
        members::change_role(&change_context(app, request), member.actor, user_id, role).await?;
    app.metrics.tenancy_changes.one(TenancyChange::MemberRoleChanged);
    Ok(answer::json(&MemberView::from(changed)))
}

pub fn operation() -> Operation {
    Operation::of_roles("changeMember", Tag::Member, "Change a member's role")
        .describes(
            "You cannot give a role above your own, and you cannot change a member whose role is \
             above your own. A team always has at least one owner. After the member's next \
             refresh, the member's tokens have the new role. Tokens from before the change have a \
             lower `mep`.",
        )
        .path("userId", "The id of the user.")
        .takes::<ChangeMember>()
        .gives::<MemberView>("The member with the new role.")
        .fails(&[Code::MalformedRequest, Code::Conflict, Code::ValidationFailed])
}
