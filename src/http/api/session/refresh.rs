//! `GET /api/refresh`: new tokens, for a userToken that may have expired while its session lives.
//!
//! The rules of rotation, grace and reuse are the token store's, in one atomic step. The database is asked
//! before that step, and never after it: an outage longer than the grace would make the client's honest retry look like
//! theft.
//!
//! The SELECT has to know which team and project the session is in, and the store alone knows. So the session is read
//! first: two steps of the store and one SELECT, for every session. Reading the person in their own choice of team, and again
//! where the session is elsewhere, is a step less for the first and a SELECT more for the others; a SELECT costs several
//! times what a look at the store does. A switch that comes in between shows at the next refresh, as one that comes after.

use crate::admission::Ask;
use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::limit;
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::problem::{Code, Problem};
use crate::session::account_status::StatusQuery;
use crate::session::check::Check;
use crate::session::{Outcome, RefreshRequest, Tokens};
use crate::telemetry::labels::{EndReason, RefreshOutcome};
use crate::token::Expiry;

pub async fn handle(app: &App, request: &mut Request) -> Result<Answer, Problem> {
    let token = request.bearer()?.ok_or(Code::InvalidToken)?;
    let (user_id, claims) = app.check().claims(token, Expiry::Ignored).await?;
    limit::admit(app, request, Ask::Refresh(&claims.sid)).await?;
    let seen = app.store.session(user_id, &claims.sid, app.clock.now()).await?;
    let place = StatusQuery {
        sid: &claims.sid,
        team: seen.as_ref().and_then(|session| session.team_id),
        project: seen.as_ref().and_then(|session| session.project_id),
        ..StatusQuery::default()
    };
    let standing = app.check().person(user_id, place).await?;
    let refresh =
        RefreshRequest { user_id, sid: claims.sid, jti: claims.jti, generation: claims.generation };
    let outcome = app.sessions.refresh(request.call(), refresh).await?;
    app.metrics.refreshes.one(match &outcome {
        Outcome::Alive(_) => RefreshOutcome::Success,
        Outcome::Reused => RefreshOutcome::Reused,
        Outcome::Gone => RefreshOutcome::Gone,
    });
    match outcome {
        Outcome::Alive(session) => {
            let caller = Check::join(*session, standing)?;
            Ok(answer::json(&app.sessions.tokens(&caller.session, &caller.standing)?))
        }
        Outcome::Reused => {
            app.metrics.refresh_reuse_detected.one(());
            app.metrics.sessions_revoked.one(EndReason::Reused);
            tracing::warn!("a refresh token was shown again, its session is ended");
            app.deliveries.wake();
            Err(Code::RefreshReused.into())
        }
        Outcome::Gone => Err(Code::InvalidToken.into()),
    }
}

pub fn operation() -> Operation {
    Operation::new("refresh", Tag::Session, "Get new tokens")
        .describes(
            "Each refresh replaces the userToken. The one before answers for 30 s more (parallel tabs, a lost answer) \
             with the current one; an older one is taken for stolen and ends the session.",
        )
        .bearer()
        .gives::<Tokens>("New tokens of the same session.")
        .fails(&[Code::InvalidToken, Code::RefreshReused, Code::Forbidden, Code::RateLimited])
}
