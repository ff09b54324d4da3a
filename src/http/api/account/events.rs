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

/// A page contains the events before this id. The default is the maximum id, so the first page
/// begins with the newest event.
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

/// A page of the events of your account.
#[derive(Serialize, ToSchema)]
pub struct Events {
    /// The events, newest first.
    items: Vec<EventView>,
    /// Send this value as `cursor` to get the next page. It is null on the last page.
    #[schema(required = true)]
    next: Option<String>,
}

/// An event of your account.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct EventView {
    /// The id of the event.
    id: String,
    /// When the event happened (RFC 3339).
    at: String,
    /// The type of the event. Examples are `session.login` and `password.changed`.
    action: String,
    /// `success` or `refused`.
    outcome: String,
    /// The IP address of the client. It is null if another user or an operator caused the event.
    #[schema(required = true)]
    ip: Option<String>,
    /// The user agent of the client. It is null if another user or an operator caused the event.
    #[schema(required = true)]
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
    Operation::new("listMyEvents", Tag::Account, "List the events of your account")
        .describes(
            "The list contains logins, changes of your account, and changes of your memberships by \
             other users. The operator sets how long events are kept.",
        )
        .bearer()
        .paged()
        .gives::<Events>("The events, newest first.")
        .fails(&[Code::InvalidToken])
}
