//! `POST /api/teams/{tid}/invitations/{iid}/resend`: mails an invitation again. The link in the
//! previous mail stops working.

use super::{InvitationView, post};
use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::member::{Member, change_context};
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::team::invitations;
use crate::telemetry::labels::TenancyChange;

pub async fn handle(app: &App, request: &mut Request, member: Member) -> Result<Answer, Problem> {
    let id = request.id("iid")?;
    let origin = request.origin();
    let (change, post) = (change_context(app, request), post(app, &origin));
    let sent = invitations::resend(&change, member.actor, id, post).await?;
    app.metrics.tenancy_changes.one(TenancyChange::InvitationResent);
    app.deliveries.wake();
    Ok(answer::json(&InvitationView::from(sent)))
}

pub fn operation() -> Operation {
    Operation::of_roles("resendInvitation", Tag::Invitation, "Send an invitation again")
        .describes(
            "The mail is sent in your name. Its link is valid for seven days, and the link in the \
             previous mail stops working. If the role of the invitation is above your own, the \
             response is a 403.",
        )
        .path("iid", "The id of the invitation.")
        .gives::<InvitationView>("The invitation. latchkey sends the mail.")
        .fails(&[Code::Conflict, Code::RateLimited])
}
