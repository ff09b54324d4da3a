//! `DELETE /api/sessions`: ends all sessions of the caller except the current one.

use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::session::{Principal, Which};
use crate::telemetry::labels::EndReason;

pub async fn handle(
    app: &App,
    request: &mut Request,
    caller: Principal,
) -> Result<Answer, Problem> {
    let user_id = caller.standing.id;
    let which = Which::Others { keep: caller.session.sid };
    app.sessions.end(request.call(), user_id, which).await?;
    app.metrics.sessions_revoked.one(EndReason::Others);
    Ok(answer::no_content())
}

pub fn operation() -> Operation {
    Operation::new("revokeOtherSessions", Tag::Session, "End all your other sessions")
        .bearer()
        .gives_nothing("All other sessions have ended.")
        .fails(&[Code::InvalidToken])
}
