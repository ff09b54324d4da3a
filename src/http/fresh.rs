//! The fresh proofs that sensitive actions need, and the second factor that a team can require. The
//! column `proof` of the route table says which routes need a fresh proof.

use crate::app::App;
use crate::factor::table;
use crate::problem::{Code, Problem, Unavailable};
use crate::session::freshness::methods_of;
use crate::session::{FreshProof, Level, Principal, StepUpRequired};

/// Refuses a caller whose proof is too old or too low for the action.
pub async fn require(app: &App, caller: &Principal, proof: FreshProof) -> Result<(), Problem> {
    let fresh_for = app.config.sessions.fresh_for;
    let Err(level) = proof.check(caller, fresh_for, app.clock.now()) else { return Ok(()) };
    Err(step_up(app, caller, level).await)
}

/// The problem that asks a caller for a proof of this level.
pub async fn step_up(app: &App, caller: &Principal, level: Level) -> Problem {
    let fresh_for = app.config.sessions.fresh_for;
    match methods(app, caller, level).await {
        Ok(methods) => StepUpRequired { level, fresh_for, methods }.into(),
        Err(unavailable) => unavailable.into(),
    }
}

/// The problem of a caller whose session has no second factor, although the team requires one.
pub async fn team_factor(app: &App, caller: &Principal) -> Problem {
    match methods(app, caller, Level::Aal2).await {
        Ok(methods) => Problem::new(Code::TeamFactorRequired).member("methods", methods),
        Err(unavailable) => unavailable.into(),
    }
}

/// The names of the methods by which a caller reaches a level.
async fn methods(
    app: &App,
    Principal { session, standing, .. }: &Principal,
    level: Level,
) -> Result<Vec<&'static str>, Unavailable> {
    let factors = if standing.has_factor() {
        table::methods(app.db.reader(), standing.id, app.config.passkeys()).await?
    } else {
        Vec::new()
    };
    Ok(methods_of(level, (session, standing), &factors))
}
