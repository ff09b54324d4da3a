//! `POST /api/teams/{tid}/invitations`: invites an email address by mail.
//!
//! The endpoint does not check whether the address has an account. So the response, its time and
//! the mail are the same with and without an account. Every reason for a refusal is checked before
//! the request counts against a budget.

use super::{InvitationView, post};
use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::body_type::{RequestBody, request_body};
use crate::http::member::{Member, change_context};
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::team::Role;
use crate::team::invitations;
use crate::telemetry::labels::TenancyChange;
use crate::user::EmailAddress;

request_body! {
    /// The invitation to send.
    pub struct CreateInvitation {
        /// The email address to invite. Only the account with this address can accept the
        /// invitation, and only after the address is verified.
        email: EmailAddress,
        /// `owner`, `admin`, `member` or `viewer`. The role must not be above your own.
        role: Role,
    }
}

pub async fn handle(app: &App, request: &mut Request, member: Member) -> Result<Answer, Problem> {
    let CreateInvitation { email, role } = CreateInvitation::read(request.json()?)?;
    if role > member.role {
        return Err(Code::Forbidden.into());
    }
    let origin = request.origin();
    let (change, post) = (change_context(app, request), post(app, &origin));
    let made = invitations::create(&change, member.actor, (&email, role), post).await?;
    app.metrics.tenancy_changes.one(TenancyChange::InvitationCreated);
    app.deliveries.wake();
    Ok(answer::json(&InvitationView::from(made)))
}

pub fn operation() -> Operation {
    Operation::of_roles("createInvitation", Tag::Invitation, "Invite a user to a team")
        .describes(
            "latchkey mails a link to the email address. The response is the same whether the \
             address has an account or not. If the role is above your own, the response is a 403. \
             If a member of the team has the address, the response is a 409. If the address was \
             invited before, it gets a new link with this role, and the previous link stops \
             working.",
        )
        .takes::<CreateInvitation>()
        .gives::<InvitationView>("The invitation. latchkey sends the mail.")
        .fails(&[Code::MalformedRequest, Code::Conflict, Code::ValidationFailed, Code::RateLimited])
}
