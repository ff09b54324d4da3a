//! `GET /api/me/invitations`: lists the invitations to the caller's address.

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

/// A page of one's own invitations.
#[derive(Serialize, ToSchema)]
pub struct MyInvitations {
    /// In the order of their making.
    items: Vec<OfferView>,
    /// `cursor` of the next page; null on the last one.
    next: Option<String>,
}

/// An invitation, as whoever was invited sees it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct OfferView {
    /// The invitation.
    id: String,
    /// The team.
    team_id: String,
    /// Its name.
    team_name: String,
    /// What you would be in it.
    role: String,
    /// What whoever invites is called; null where their account is gone.
    inviter_name: Option<String>,
    /// Their address; null likewise.
    inviter_email: Option<String>,
    /// RFC 3339.
    created_at: String,
    /// RFC 3339: void from then on.
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
    Operation::new("listMyInvitations", Tag::Invitation, "List one's own invitations")
        .describes("Those of your proven address that can be accepted now.")
        .bearer()
        .paged()
        .gives::<MyInvitations>("A page of invitations.")
        .fails(&[Code::InvalidToken, Code::EmailUnverified, Code::ValidationFailed])
}
