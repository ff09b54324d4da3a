//! `GET /api/refresh`: new tokens, for a userToken that may have expired while its session lives.
//!
//! The rules of rotation, grace and reuse are the token store's, in one atomic step (contract §2). The database is asked
//! before that step: after it, an outage longer than the grace would make the client's honest retry look like theft.

use opentelemetry::KeyValue;

use crate::account::standing::Place;
use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::http::steps;
use crate::problem::{Code, Problem};
use crate::session::check::Check;
use crate::session::{self, Outcome, RefreshRequest, Tokens};
use crate::token::Expiry;

/// The handler.
pub async fn handle(app: &App, request: &mut Request) -> Result<Answer, Problem> {
    let token = request.bearer()?.ok_or(Code::InvalidToken)?;
    let (user_id, claims) = app.check().claims(token, Expiry::Ignored).await?;
    steps::limit_session(app, request, &claims.sid)?;
    let place = Place { sid: &claims.sid, ..Place::default() };
    let standing = app.check().person(user_id, place).await?;
    let refresh = Box::new(RefreshRequest {
        user_id,
        sid: claims.sid,
        jti: claims.jti,
        generation: claims.generation,
        origin: request.origin(),
    });
    let ask = |reply| session::Message::Refresh { refresh, reply };
    let outcome = app.pools.session.ask(request.cx.deadline, ask).await??;
    let name = match &outcome {
        Outcome::Alive(_) => "success",
        Outcome::Reused => "reused",
        Outcome::Gone => "gone",
    };
    app.metrics.refreshes.add(1, &[KeyValue::new("outcome", name)]);
    match outcome {
        Outcome::Alive(session) => {
            let mut caller = Check::join(*session, standing)?;
            // The session is in another team than the person's oldest: read that one.
            let team = caller.standing.membership.as_ref().map(|membership| membership.team_id);
            if caller.session.team_id.is_some() && caller.session.team_id != team {
                caller = app.check().standing(caller.session).await?;
            }
            Ok(answer::json(&steps::tokens(app, &caller.session, &caller.standing)?))
        }
        Outcome::Reused => {
            app.metrics.refresh_reuse_detected.add(1, &[]);
            app.metrics.sessions_revoked.add(1, &[KeyValue::new("reason", name)]);
            tracing::warn!("a refresh token was shown again, its session is ended");
            steps::nudge_mailer(app);
            Err(Code::RefreshReused.into())
        }
        Outcome::Gone => Err(Code::InvalidToken.into()),
    }
}

/// What the endpoint says of itself.
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
