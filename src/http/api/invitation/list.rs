//! `GET /api/teams/{tid}/invitations`: lists the open invitations of a team.

use serde::Serialize;
use utoipa::ToSchema;

use super::InvitationView;
use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::member::Member;
use crate::http::openapi::{Operation, Tag};
use crate::http::paging::Page;
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::team::invitations;

/// A page of invitations.
#[derive(Serialize, ToSchema)]
pub struct Invitations {
    /// The invitations, in the order in which they were created.
    items: Vec<InvitationView>,
    /// Send this value as `cursor` to get the next page. It is null on the last page.
    #[schema(required = true)]
    next: Option<String>,
}

pub async fn handle(app: &App, request: &mut Request, member: Member) -> Result<Answer, Problem> {
    let page = Page::of(request)?;
    let mut found = invitations::list(&app.db, member.team_id(), page.after, page.rows()).await?;
    let next = page.cut(&mut found, |invitation| invitation.id);
    let items = found.into_iter().map(InvitationView::from).collect();
    Ok(answer::json(&Invitations { items, next }))
}

pub fn operation() -> Operation {
    Operation::of_roles("listInvitations", Tag::Invitation, "List a team's invitations")
        .describes(
            "Accepted, declined and revoked invitations are not in the list. Expired invitations \
             stay in the list for 30 days, so that you can send them again.",
        )
        .paged()
        .gives::<Invitations>("A page of invitations.")
        .fails(&[Code::ValidationFailed])
}
