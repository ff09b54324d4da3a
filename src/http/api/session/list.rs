//! `GET /api/sessions`: where one is logged in.

use std::collections::HashSet;

use latchkey_entity::ended_session;
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::clock::rfc3339;
use crate::http::answer::{self, Answer};
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::session::Caller;

/// The sessions of a person, newest first.
#[derive(Serialize, ToSchema)]
pub struct Sessions {
    /// At most 100: a person has no more.
    items: Vec<Item>,
    /// Always null: there is one page.
    next: Option<String>,
}

/// One session.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Item {
    /// Its name, for ending it.
    sid: String,
    /// Whether it is the one that asks.
    current: bool,
    /// When it was opened (RFC 3339).
    created_at: String,
    /// When it was last refreshed.
    last_seen_at: String,
    /// When it ends, if it is not refreshed before.
    expires_at: String,
    /// From where it was last refreshed.
    ip: String,
    /// With what.
    user_agent: String,
    /// How it was opened (RFC 8176).
    amr: Vec<String>,
}

/// The handler.
pub async fn handle(app: &App, _: &mut Request, caller: Caller) -> Result<Answer, Problem> {
    let user_id = caller.standing.id;
    let sessions = app.store.sessions(user_id, app.clock.now()).await?;
    let ended: HashSet<String> = ended_session::Entity::find()
        .filter(ended_session::Column::UserId.eq(user_id))
        .filter(ended_session::Column::Sid.is_in(sessions.iter().map(|session| &session.sid)))
        .all(app.db.reader())
        .await?
        .into_iter()
        .map(|row| row.sid)
        .collect();
    let items = sessions
        .into_iter()
        .filter(|session| session.epoch == caller.standing.session_epoch)
        .filter(|session| !ended.contains(&session.sid))
        .map(|session| Item {
            current: session.sid == caller.session.sid,
            created_at: rfc3339(session.created_at),
            last_seen_at: rfc3339(session.seen_at),
            expires_at: rfc3339(session.expires_at),
            sid: session.sid,
            ip: session.ip,
            user_agent: session.user_agent,
            amr: session.amr,
        })
        .collect();
    Ok(answer::json(&Sessions { items, next: None }))
}

/// What the endpoint says of itself.
pub fn operation() -> Operation {
    Operation::new("listSessions", Tag::Session, "List your sessions")
        .bearer()
        .gives::<Sessions>("The sessions, newest first.")
        .fails(&[Code::InvalidToken])
}
