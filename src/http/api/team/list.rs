//! `GET /api/teams`: the teams that one is in.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::App;
use crate::clock::rfc3339;
use crate::http::answer::{self, Answer};
use crate::http::json::Object;
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::session::Caller;
use crate::tenancy::teams;

/// A page has as many teams, unless `limit` says otherwise.
const LIMIT_DEFAULT: u64 = 50;
/// And never more.
const LIMIT_MAX: u64 = 100;

/// A page of teams.
#[derive(Serialize, ToSchema)]
pub struct Teams {
    /// In the order of their making.
    items: Vec<Item>,
    /// `cursor` of the next page; null on the last one.
    next: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Item {
    /// `tid` of the vaultToken.
    id: String,
    /// Its name.
    name: String,
    /// For URLs, unique.
    slug: String,
    /// What you are in it.
    role: String,
    /// RFC 3339.
    created_at: String,
}

/// The handler.
pub async fn handle(app: &App, request: &mut Request, caller: Caller) -> Result<Answer, Problem> {
    let (after, limit) = page(request)?;
    let mut found = teams::of_user(&app.db, caller.standing.id, after, limit + 1).await?;
    let has_more = u64::try_from(found.len()).is_ok_and(|found| found > limit);
    found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let next = found.last().filter(|_| has_more).map(|team| team.id.to_string());
    let items = found.into_iter().map(|team| Item {
        id: team.id.to_string(),
        name: team.name,
        slug: team.slug,
        role: team.role,
        created_at: rfc3339(team.created_at),
    });
    Ok(answer::json(&Teams { items: items.collect(), next }))
}

/// `cursor` and `limit` of a list.
fn page(request: &Request) -> Result<(Uuid, u64), Problem> {
    let mut broken = Object::default();
    let cursor = request.query("cursor")?.map_or(Ok(Uuid::nil()), |cursor| cursor.parse());
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
    Operation::new("listTeams", Tag::Team, "List your teams")
        .bearer()
        .query("cursor", "`next` of the page before.")
        .query("limit", "1 to 100; 50 where nothing is said.")
        .gives::<Teams>("A page of teams.")
        .fails(&[Code::InvalidToken, Code::ValidationFailed])
}
