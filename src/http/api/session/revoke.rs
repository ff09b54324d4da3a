//! `DELETE /api/sessions/{sid}`: ends one of the caller's sessions.

use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::secret::is_id;
use crate::session::{EndedBy, Principal, Which};
use crate::store::Session;
use crate::telemetry::labels::EndReason;

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
    let (sid, absolute_end) = (session.sid.clone(), session.absolute_end);
    let which = Which::One { sid, reason, absolute_end };
    let user_id = session.user_id;
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
