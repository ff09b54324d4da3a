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
    /// What changes.
    pub struct ChangeMember {
        /// `owner`, `admin`, `member` or `viewer`; none above your own.
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
            "Nobody gives a role above their own, or touches a member above. A team keeps at least one owner. Tokens \
             say the new role from their next refresh on; `mep` tells older ones apart.",
        )
        .path("userId", "The member.")
        .takes::<ChangeMember>()
        .gives::<MemberView>("The member as they are now.")
        .fails(&[Code::MalformedRequest, Code::Conflict, Code::ValidationFailed])
}
