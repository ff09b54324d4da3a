//! `POST /api/invitations/accept`: lets the caller join a team with the mailed token.

use super::{invitee, room};
use crate::admission::{Action, Ask};
use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::api::team::TeamView;
use crate::http::body_type::{RequestBody, request_body};
use crate::http::member::change_context;
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::http::{fresh, limit};
use crate::problem::{Code, Problem};
use crate::secret::Secret;
use crate::secret::sha256;
use crate::session::Principal;
use crate::team::Refusal;
use crate::team::joining::{self, Shown};
use crate::telemetry::labels::TenancyChange;

request_body! {
    /// The token of the invitation.
    pub struct AcceptInvitation {
        /// The token from the mail.
        token: Secret<String>,
    }
}

pub async fn handle(
    app: &App,
    request: &mut Request,
    caller: Principal,
) -> Result<Answer, Problem> {
    let AcceptInvitation { token } = AcceptInvitation::read(request.json()?)?;
    limit::admit(app, request, Ask::Action(Action::Verify)).await?;
    let digest = sha256(token.expose().as_bytes());
    let (change, shown) = (change_context(app, request), Shown::Link(&digest));
    let team = match joining::accept(&change, invitee(&caller), shown, room(app)).await {
        Err(Refusal::FactorRequired) => return Err(fresh::team_factor(app, &caller).await),
        accepted => accepted?,
    };
    app.metrics.tenancy_changes.one(TenancyChange::InvitationAccepted);
    Ok(answer::json(&TeamView::from(team)))
}

pub fn operation() -> Operation {
    Operation::new("acceptInvitation", Tag::Invitation, "Accept an invitation with its token")
        .describes(
            "Only the account with the invited email address can accept the invitation, and only \
             after the address is verified. Every other account gets `other-address`. The response \
             is a 409 if the inviter is no longer allowed to invite, if the team has no room for a \
             further member, or if you are already a member. If the team requires a second factor \
             and your session has none, the response is a 403 `team-factor-required`, and you can \
             accept after a step-up. After you have joined, switch to the \
             team to get tokens for it.",
        )
        .bearer()
        .takes::<AcceptInvitation>()
        .gives::<TeamView>("The team that you have joined.")
        .fails(&[
            Code::MalformedRequest,
            Code::TokenInvalid,
            Code::InvalidToken,
            Code::Forbidden,
            Code::EmailUnverified,
            Code::OtherAddress,
            Code::TeamFactorRequired,
            Code::Conflict,
            Code::ValidationFailed,
            Code::RateLimited,
        ])
}
