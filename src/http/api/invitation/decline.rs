//! `DELETE /api/me/invitations/{iid}`: declines an invitation to the caller's email address.

use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::member::change_context;
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::session::Principal;
use crate::team::joining;
use crate::telemetry::labels::TenancyChange;

pub async fn handle(
    app: &App,
    request: &mut Request,
    caller: Principal,
) -> Result<Answer, Problem> {
    let id = request.id("iid")?;
    joining::decline(&change_context(app, request), caller.standing.id, id).await?;
    app.metrics.tenancy_changes.one(TenancyChange::InvitationDeclined);
    Ok(answer::no_content())
}

pub fn operation() -> Operation {
    Operation::new("declineInvitation", Tag::Invitation, "Decline one of your invitations")
        .describes(
            "The mailed link stops working too. The team sees that the invitation is gone, and can \
             invite you again.",
        )
        .bearer()
        .path("iid", "The id of the invitation.")
        .gives_nothing("The invitation is deleted.")
        .fails(&[Code::InvalidToken, Code::EmailUnverified, Code::NotFound])
}
