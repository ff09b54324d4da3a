//! `GET /api/me/events`: what happened to one's account, and what one did.

use sea_orm::{DbErr, FromQueryResult, Statement};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::App;
use crate::clock::rfc3339;
use crate::database::Db;
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
    items: Vec<Item>,
    /// `cursor` of the next page; null on the last one.
    next: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Item {
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

#[derive(FromQueryResult)]
struct Row {
    id: Uuid,
    at: i64,
    action: String,
    outcome: String,
    body: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    ip: Option<String>,
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
    let mut rows = read(&app.db, caller.standing.id, before, limit + 1).await?;
    let has_more = u64::try_from(rows.len()).is_ok_and(|found| found > limit);
    rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let next = rows.last().filter(|_| has_more).map(|row| row.id.to_string());
    let items = rows.into_iter().map(|row| {
        let body: Body = serde_json::from_str(&row.body).unwrap_or_default();
        Item {
            id: row.id.to_string(),
            at: rfc3339(row.at),
            action: row.action,
            outcome: row.outcome,
            ip: body.ip,
            user_agent: body.user_agent,
        }
    });
    Ok(answer::json(&Events { items: items.collect(), next }))
}

/// A person's own side of the events before `before`: who else took part is not theirs to see.
async fn read(db: &Db, user_id: Uuid, before: Uuid, limit: u64) -> Result<Vec<Row>, DbErr> {
    let statement = Statement::from_sql_and_values(
        db.backend(),
        "SELECT e.id, e.at, e.action, e.outcome, i.body FROM audit_identities i \
         JOIN audit_events e ON e.id = i.event_id \
         WHERE i.person_id = $1 AND i.event_id < $2 ORDER BY i.event_id DESC LIMIT $3",
        [user_id.into(), before.into(), i64::try_from(limit).unwrap_or(i64::MAX).into()],
    );
    Row::find_by_statement(statement).all(db.reader()).await
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
