//! `GET /api/me/events`: lists what happened to the caller's account and what the caller did.

use std::str::FromStr;

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::App;
use crate::audit;
use crate::clock::rfc3339;
use crate::http::answer::{self, Answer};
use crate::http::limit::{self, Holder};
use crate::http::openapi::{Operation, Tag};
use crate::http::paging::Page;
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::session::Principal;

/// The id before which a page begins. The default is the greatest id, so that the first page begins
/// with the newest event.
#[derive(Clone, Copy, Debug)]
struct Before(Uuid);

impl Default for Before {
    fn default() -> Self {
        Self(Uuid::max())
    }
}

impl FromStr for Before {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        text.parse().map(Self)
    }
}

/// A page of events.
#[derive(Serialize, ToSchema)]
pub struct Events {
    /// The newest first.
    items: Vec<EventView>,
    /// `cursor` of the next page; null on the last one.
    next: Option<String>,
}

/// Something that happened to your account.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct EventView {
    /// The event.
    id: String,
    /// RFC 3339.
    at: String,
    /// What: `session.login`, `password.changed`, …
    action: String,
    /// `success` or `refused`.
    outcome: String,
    /// From where; null where somebody else did it to you.
    ip: Option<String>,
    /// With what; null likewise.
    user_agent: Option<String>,
}

pub async fn handle(
    app: &App,
    request: &mut Request,
    caller: Principal,
) -> Result<Answer, Problem> {
    let page: Page<Before> = Page::of(request)?;
    let _pass = limit::permit(app, request, Holder::Account(caller.standing.id)).await?;
    let (user_id, before) = (caller.standing.id, page.after.0);
    let mut rows = audit::own_events(&app.db, user_id, before, page.rows()).await?;
    let next = page.cut(&mut rows, |row| row.id);
    let items = rows.into_iter().map(|event| EventView {
        id: event.id.to_string(),
        at: rfc3339(event.at),
        action: event.action,
        outcome: event.outcome,
        ip: event.ip,
        user_agent: event.user_agent,
    });
    Ok(answer::json(&Events { items: items.collect(), next }))
}

pub fn operation() -> Operation {
    Operation::new("listMyEvents", Tag::Account, "List what happened to your account")
        .describes("Sign-ins, changes and what others did to your memberships, for as long as the operator keeps them.")
        .bearer()
        .paged()
        .gives::<Events>("The events, newest first.")
        .fails(&[Code::InvalidToken])
}
