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
use crate::session::{self, Principal, proof};

/// A page of the sessions of a user.
#[derive(Serialize, ToSchema)]
pub struct Sessions {
    /// The sessions, newest first. A user has at most 100 sessions. If a user with 100 sessions
    /// logs in again, the session that was not used for the longest time ends.
    items: Vec<SessionView>,
    /// Send this value as `cursor` to get the next page. It is null on the last page.
    #[schema(required = true)]
    next: Option<String>,
}

/// The position of a session in the list: `<created at, Unix milliseconds>.<sid>`. If that session
/// has ended in the meantime, the list still continues after its position.
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

/// A session.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SessionView {
    /// The id of the session.
    sid: String,
    /// Whether this is the session that the request itself uses.
    current: bool,
    /// When the session was opened (RFC 3339).
    created_at: String,
    /// When the session was last refreshed (RFC 3339).
    last_seen_at: String,
    /// When the session ends (RFC 3339), if it is not refreshed before that time.
    expires_at: String,
    /// The IP address of the client at the last refresh.
    ip: String,
    /// The user agent of the client at the last refresh.
    user_agent: String,
    /// The methods of the newest proof in this session (RFC 8176).
    amr: Vec<String>,
    /// The level of the session: `aal1` (one factor) or `aal2` (two factors).
    acr: &'static str,
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
            amr: proof::methods(&session, &caller.standing),
            acr: proof::level(&session, &caller.standing).name(),
            current: session.sid == caller.session.sid,
            created_at: rfc3339(session.created_at),
            last_seen_at: rfc3339(session.seen_at),
            expires_at: rfc3339(session.expires_at),
            sid: session.sid,
            ip: session.ip,
            user_agent: session.user_agent,
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
