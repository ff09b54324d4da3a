//! `GET /api/me/events`: what happened to one's account, and what one did.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::App;
use crate::audit;
use crate::clock::rfc3339;
use crate::http::answer::{self, Answer};
use crate::http::json::Object;
use crate::http::limit::{self, Holder};
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::session::Principal;

/// A page has as many events, unless `limit` says otherwise.
const LIMIT_DEFAULT: u64 = 50;
/// And never more.
const LIMIT_MAX: u64 = 100;

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

/// The handler.
pub async fn handle(
    app: &App,
    request: &mut Request,
    caller: Principal,
) -> Result<Answer, Problem> {
    let (before, limit) = page(request)?;
    let _pass = limit::permit(app, request, Holder::Account(caller.standing.id)).await?;
    let mut rows = audit::own_events(&app.db, caller.standing.id, before, limit + 1).await?;
    let has_more = u64::try_from(rows.len()).is_ok_and(|found| found > limit);
    rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let next = rows.last().filter(|_| has_more).map(|row| row.id.to_string());
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

/// `cursor` and `limit` of a list.
fn page(request: &Request) -> Result<(Uuid, u64), Problem> {
    let mut broken = Object::default();
    let cursor = request.query("cursor")?.map_or(Ok(Uuid::max()), |cursor| cursor.parse());
    let limit = request.query("limit")?.map_or(Ok(LIMIT_DEFAULT), |limit| limit.parse());
    if cursor.is_err() {
        broken.reject("cursor", "format", "`cursor` is `next` of the page before.");
    }
    if !limit.as_ref().is_ok_and(|limit| (1..=LIMIT_MAX).contains(limit)) {
        broken.reject("limit", "range", "`limit` is a number from 1 to 100.");
    }
    broken.finish()?;
    Ok((cursor.unwrap_or_default(), limit.unwrap_or(LIMIT_DEFAULT)))
}

/// What the endpoint says of itself.
pub fn operation() -> Operation {
    Operation::new("listMyEvents", Tag::Account, "List what happened to your account")
        .describes("Sign-ins, changes and what others did to your memberships, for as long as the operator keeps them.")
        .bearer()
        .query("cursor", "`next` of the page before.")
        .query("limit", "1 to 100, 50 by default.")
        .gives::<Events>("The events, newest first.")
        .fails(&[Code::InvalidToken, Code::ValidationFailed])
}
