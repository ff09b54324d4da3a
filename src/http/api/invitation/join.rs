//! `POST /api/me/invitations/{iid}/accept`: lets the caller join a team with an invitation from the
//! caller's own list.

use super::{invitee, room};
use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::api::team::TeamView;
use crate::http::fresh;
use crate::http::member::change_context;
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::session::Principal;
use crate::team::Refusal;
use crate::team::joining::{self, Shown};
use crate::telemetry::labels::TenancyChange;

pub async fn handle(
    app: &App,
    request: &mut Request,
    caller: Principal,
) -> Result<Answer, Problem> {
    let shown = Shown::Id(request.id("iid")?);
    let change = change_context(app, request);
    let team = match joining::accept(&change, invitee(&caller), shown, room(app)).await {
        Err(Refusal::FactorRequired) => return Err(fresh::team_factor(app, &caller).await),
        accepted => accepted?,
    };
    app.metrics.tenancy_changes.one(TenancyChange::InvitationAccepted);
    Ok(answer::json(&TeamView::from(team)))
}

pub fn operation() -> Operation {
    Operation::new("acceptMyInvitation", Tag::Invitation, "Accept one of your invitations")
        .describes(
            "The same rules apply as for `POST /api/invitations/accept`. The only difference is that \
             an invitation to another email address gets a 404.",
        )
        .bearer()
        .path("iid", "The id of the invitation.")
        .gives::<TeamView>("The team that you have joined.")
        .fails(&[
            Code::InvalidToken,
            Code::Forbidden,
            Code::EmailUnverified,
            Code::TeamFactorRequired,
            Code::NotFound,
            Code::Conflict,
        ])
}
