//! `GET /api/me/invitations`: lists the invitations to the caller's email address.

use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::clock::rfc3339;
use crate::http::answer::{self, Answer};
use crate::http::openapi::{Operation, Tag};
use crate::http::paging::Page;
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::session::Principal;
use crate::team::joining::{self, Offer};

/// A page of the invitations to your email address.
#[derive(Serialize, ToSchema)]
pub struct MyInvitations {
    /// The invitations, in the order in which they were created.
    items: Vec<OfferView>,
    /// Send this value as `cursor` to get the next page. It is null on the last page.
    #[schema(required = true)]
    next: Option<String>,
}

/// An invitation, as the invited user sees it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct OfferView {
    /// The id of the invitation.
    id: String,
    /// The id of the team.
    team_id: String,
    /// The name of the team.
    team_name: String,
    /// The role that you get when you accept.
    role: String,
    /// The name of the inviter. It is null if the inviter's account is deleted.
    #[schema(required = true)]
    inviter_name: Option<String>,
    /// The email address of the inviter. It is null if the inviter's account is deleted.
    #[schema(required = true)]
    inviter_email: Option<String>,
    /// When the invitation was created (RFC 3339).
    created_at: String,
    /// When the invitation expires (RFC 3339).
    expires_at: String,
}

pub async fn handle(
    app: &App,
    request: &mut Request,
    caller: Principal,
) -> Result<Answer, Problem> {
    let page = Page::of(request)?;
    let (address, now) = (&caller.standing.email_normal, app.clock.now());
    let mut found = joining::offers(&app.db, address, (page.after, page.rows()), now).await?;
    let next = page.cut(&mut found, |offer| offer.id);
    let items = found.into_iter().map(OfferView::from).collect();
    Ok(answer::json(&MyInvitations { items, next }))
}

impl From<Offer> for OfferView {
    fn from(offer: Offer) -> Self {
        Self {
            id: offer.id.to_string(),
            team_id: offer.team_id.to_string(),
            team_name: offer.team_name,
            role: offer.role,
            inviter_name: offer.inviter_name,
            inviter_email: offer.inviter_email,
            created_at: rfc3339(offer.created_at),
            expires_at: rfc3339(offer.expires_at),
        }
    }
}

pub fn operation() -> Operation {
    Operation::new("listMyInvitations", Tag::Invitation, "List your invitations")
        .describes(
            "The list contains the invitations to your verified email address that you can accept \
             now.",
        )
        .bearer()
        .paged()
        .gives::<MyInvitations>("A page of invitations.")
        .fails(&[Code::InvalidToken, Code::EmailUnverified, Code::ValidationFailed])
}
