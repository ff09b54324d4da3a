//! `DELETE /api/teams/{tid}/invitations/{iid}`: withdraws an invitation.

use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::member::{Member, change_context};
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::Problem;
use crate::team::invitations;
use crate::telemetry::labels::TenancyChange;

pub async fn handle(app: &App, request: &mut Request, member: Member) -> Result<Answer, Problem> {
    let id = request.id("iid")?;
    invitations::revoke(&change_context(app, request), member.actor, id).await?;
    app.metrics.tenancy_changes.one(TenancyChange::InvitationRevoked);
    Ok(answer::no_content())
}

pub fn operation() -> Operation {
    Operation::of_roles("revokeInvitation", Tag::Invitation, "Revoke an invitation")
        .describes(
            "The mailed link stops working at once. If the role of the invitation is above your own, \
             the response is a 403.",
        )
        .path("iid", "The id of the invitation.")
        .gives_nothing("The invitation is deleted.")
}
