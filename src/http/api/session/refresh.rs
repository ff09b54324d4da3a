//! `GET /api/refresh`: returns new tokens for a userToken. An expired userToken is accepted too, as
//! long as its session is live.
//!
//! The rules for rotation, grace period and reuse are applied in one atomic step of the token
//! store. The database is queried before that step and never after it. If it were queried after the
//! step, an outage of the database could lose the new tokens. A client that then retries after the
//! grace period would look like a client with a stolen userToken.
//!
//! The SELECT of the user needs the team and the project of the session, and only the token store
//! knows them. So the session is read first, and every refresh costs two steps of the store and one
//! SELECT. The alternative is to read the user with the team that the user chose last, and to read
//! again if the session is in another team. This would save one step of the store for sessions in
//! the team that was chosen last, but it would cost one more SELECT for all other sessions. A
//! SELECT costs several times as much as a read of the store. If the user switches the team between
//! the two steps of the store, the switch takes effect at the next refresh.

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
use crate::token::{Expiry, UserClaims};

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
    let UserClaims { sid, jti, generation, .. } = claims;
    let refresh = RefreshRequest { user_id, sid, jti, generation, seen };
    let outcome = app.sessions.refresh(request.call(), refresh).await?;
    app.metrics.refreshes.one(match &outcome {
        Outcome::Alive(_) => RefreshOutcome::Success,
        Outcome::Recovered(_) => RefreshOutcome::Recovered,
        Outcome::Reused => RefreshOutcome::Reused,
        Outcome::Gone => RefreshOutcome::Gone,
    });
    match outcome {
        Outcome::Alive(session) | Outcome::Recovered(session) => {
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
            "Each refresh replaces the userToken. A refresh with the previous userToken still \
             returns the current tokens: for 30 seconds, and after that as long as no client has \
             used the current userToken. So a lost response does no harm. Any other replaced \
             userToken is treated as stolen, and a refresh with it ends the session. The third lost \
             response in a row is treated as a theft too.",
        )
        .bearer()
        .gives::<Tokens>("New tokens of the same session.")
        .fails(&[Code::InvalidToken, Code::RefreshReused, Code::Forbidden, Code::RateLimited])
}
