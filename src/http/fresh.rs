//! The fresh proofs that sensitive actions need. The column `proof` of the route table says which
//! routes need one.

use crate::app::App;
use crate::factor::table;
use crate::problem::Problem;
use crate::session::freshness::methods_of;
use crate::session::{FreshProof, Principal, StepUpRequired};

/// Refuses a caller whose proof is too old or too low for the action.
pub async fn require(app: &App, caller: &Principal, proof: FreshProof) -> Result<(), Problem> {
    let fresh_for = app.config.sessions.fresh_for;
    let Err(level) = proof.check(caller, fresh_for, app.clock.now()) else { return Ok(()) };
    let (session, standing) = (&caller.session, &caller.standing);
    let factors = if standing.has_factor() {
        table::methods(app.db.reader(), standing.id).await?
    } else {
        Vec::new()
    };
    let methods = methods_of(level, (session, standing), &factors);
    Err(StepUpRequired { level, fresh_for, methods }.into())
}
