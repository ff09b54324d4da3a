//! `DELETE /api/sessions/{sid}`: ends one of the caller's sessions.

use uuid::Uuid;

use crate::app::App;
use crate::clock::{UnixMillis, millis};
use crate::http::answer::{self, Answer};
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::secret::is_id;
use crate::session::account_status::{AccountStatus, SessionRow, StatusQuery};
use crate::session::{EndedBy, Principal, Which};
use crate::store::Session;
use crate::telemetry::labels::EndReason;
use crate::token::UserClaims;

/// Responds with the same 404 for another user's session and for a session that never existed.
pub async fn handle(
    app: &App,
    request: &mut Request,
    caller: Principal,
) -> Result<Answer, Problem> {
    let sid = request.param("sid")?;
    if !is_id(&sid) {
        return Err(Code::NotFound.into());
    }
    let user_id = caller.standing.id;
    let session = app.store.session(user_id, &sid, app.clock.now()).await?.ok_or(Code::NotFound)?;
    end(app, request, &session, EndedBy::Revocation).await?;
    Ok(answer::no_content())
}

/// Ends a session permanently.
pub(super) async fn end(
    app: &App,
    request: &Request,
    session: &Session,
    reason: EndedBy,
) -> Result<(), Problem> {
    let at = (session.user_id, session.sid.clone(), session.absolute_end);
    record_end(app, request, at, reason).await
}

/// Ends the session of a genuine userToken permanently. The end is recorded even if the token store
/// does not contain the session, so that a session that comes back to the store stays ended.
pub(in crate::http::api) async fn end_by_token(
    app: &App,
    request: &Request,
    (user_id, claims): (Uuid, &UserClaims),
    reason: EndedBy,
) -> Result<(), Problem> {
    let place = StatusQuery { sid: &claims.sid, ..StatusQuery::default() };
    let user = AccountStatus::by_id(&app.db, user_id, place).await?;
    if user.is_none_or(|it| it.session == SessionRow::Ended) {
        return Ok(());
    }
    // `auth_time` is in whole seconds, rounded down.
    let opened_before = claims.auth_time.saturating_add(1).saturating_mul(1000);
    let absolute_end = opened_before.saturating_add(millis(app.config.sessions.absolute_ttl));
    record_end(app, request, (user_id, claims.sid.clone(), absolute_end), reason).await
}

async fn record_end(
    app: &App,
    request: &Request,
    (user_id, sid, absolute_end): (Uuid, String, UnixMillis),
    reason: EndedBy,
) -> Result<(), Problem> {
    let which = Which::One { sid, reason, absolute_end };
    app.sessions.end(request.call(), user_id, which).await?;
    app.metrics.sessions_revoked.one(match reason {
        EndedBy::Logout => EndReason::Logout,
        EndedBy::Revocation => EndReason::Revoked,
    });
    Ok(())
}

pub fn operation() -> Operation {
    Operation::new("revokeSession", Tag::Session, "End one of your sessions")
        .bearer()
        .path("sid", "The id of the session, from the list.")
        .gives_nothing("The session has ended.")
        .fails(&[Code::InvalidToken, Code::NotFound])
}
