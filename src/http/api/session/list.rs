//! `GET /api/sessions`: lists the caller's sessions.

use std::cmp::Reverse;
use std::str::FromStr;

use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::clock::{UnixMillis, rfc3339};
use crate::http::answer::{self, Answer};
use crate::http::openapi::{Operation, Tag};
use crate::http::paging::Page;
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::session::{self, Principal};

/// The sessions of a person, newest first.
#[derive(Serialize, ToSchema)]
pub struct Sessions {
    /// A page of them. A person has 100 at most: beyond that the one ends that was not seen for the longest time.
    items: Vec<SessionView>,
    /// The cursor of the next page; null on the last.
    next: Option<String>,
}

/// The position of a session in the list: `<created at, Unix milliseconds>.<sid>`. If that session
/// has ended meanwhile, the list still continues after its position.
#[derive(Clone, Debug, Default)]
struct After(Option<(Reverse<UnixMillis>, String)>);

impl FromStr for After {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (created_at, sid) = text.split_once('.').ok_or(())?;
        let created_at = created_at.parse().map_err(|_| ())?;
        Ok(Self(Some((Reverse(created_at), sid.to_owned()))))
    }
}

/// One session.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SessionView {
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

pub async fn handle(
    app: &App,
    request: &mut Request,
    caller: Principal,
) -> Result<Answer, Problem> {
    let page = Page::<After>::of(request)?;
    let sessions = session::live(&app.store, &app.db, &caller.standing, app.clock.now()).await?;
    let mut sessions: Vec<_> = sessions
        .into_iter()
        .filter(|it| Some((Reverse(it.created_at), it.sid.clone())) > page.after.0)
        .collect();
    let next = page.cut(&mut sessions, |last| format!("{}.{}", last.created_at, last.sid));
    let items = sessions
        .into_iter()
        .map(|session| SessionView {
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
    Ok(answer::json(&Sessions { items, next }))
}

pub fn operation() -> Operation {
    Operation::new("listSessions", Tag::Session, "List your sessions")
        .bearer()
        .paged()
        .gives::<Sessions>("The sessions, newest first.")
        .fails(&[Code::InvalidToken])
}
