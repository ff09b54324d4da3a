//! The decisions of the token store, as pure functions of the stored value, the request and the
//! time.
//!
//! `records.rs` and [`Embedded`](super::embedded::Embedded) use these functions. The Redis scripts
//! of budgets contain the same rules in Lua. `suite.rs` tests both.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::types::{
    BudgetVerdict, Charge, OneTimeToken, PutToken, Quota, RECOVERIES_MAX, Refresh, Refreshed,
    Session,
};
use crate::clock::{UnixMillis, millis};

/// The longest period in milliseconds. Lua stores numbers as doubles, and a double can represent
/// this value exactly.
const SPAN_MS_MAX: i64 = 1 << 50;

/// A stored session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stored {
    pub(super) session: Session,
    /// Whether a replaced token of the session was used again. If it was, this record is a
    /// tombstone and not a live session.
    pub(super) reused: bool,
}

impl Stored {
    /// A session that is not a tombstone.
    pub(super) fn live_of(session: Session) -> Self {
        Self { session, reused: false }
    }

    /// The session, unless it has expired or is a tombstone.
    pub(super) fn live(self, now: UnixMillis) -> Option<Session> {
        (self.session.expires_at > now && !self.reused).then_some(self.session)
    }
}

/// What a change of a session does: the record that replaces the stored one, if there is one, and
/// the result of the change.
pub(super) type Change<T> = (Option<Stored>, T);

/// Decides about a refresh. The check for a tombstone comes before the generations are compared.
pub(super) fn refresh(
    stored: Option<Stored>,
    ask: &Refresh<'_>,
    now: UnixMillis,
) -> Change<Refreshed> {
    let Some(stored) = stored.filter(|it| it.session.expires_at > now) else {
        return (None, Refreshed::Gone);
    };
    if stored.reused {
        return (None, Refreshed::Reused(stored.session));
    }
    let session = &stored.session;
    if ask.generation > session.generation {
        return (None, Refreshed::Ahead);
    }
    if ask.generation == session.generation {
        // The client's token has the same generation as the stored token, but another `jti`. So the
        // store has lost a rotation, and then the token was rotated again.
        if ask.jti != session.jti {
            return (None, Refreshed::Ahead);
        }
        let rotated = Session {
            jti: ask.next_jti.to_owned(),
            generation: session.generation + 1,
            previous_jti: Some(session.jti.clone()),
            rotated_at: now,
            seen_at: now,
            expires_at: now.saturating_add(millis(ask.idle_ttl)).min(session.absolute_end),
            ip: ask.ip.to_owned(),
            user_agent: ask.user_agent.to_owned(),
            client: ask.client.to_owned(),
            used: false,
            recovered: false,
            recoveries: if session.recovered { session.recoveries } else { 0 },
            ..stored.session
        };
        return (Some(Stored::live_of(rotated.clone())), Refreshed::Rotated(rotated));
    }
    let is_previous = ask.generation + 1 == session.generation
        && session.previous_jti.as_deref() == Some(ask.jti);
    let in_grace = now.saturating_sub(session.rotated_at) <= millis(ask.grace);
    if !is_previous || (session.used && !in_grace) {
        return reused(stored);
    }
    if in_grace && ask.client == session.client {
        return (None, Refreshed::Current(stored.session));
    }
    recover(stored)
}

/// Decides about the previous token if the response with its successor is perhaps lost.
fn recover(stored: Stored) -> Change<Refreshed> {
    if stored.session.recovered {
        return (None, Refreshed::Recovered(stored.session));
    }
    if stored.session.recoveries >= RECOVERIES_MAX {
        return reused(stored);
    }
    let recovered = Session {
        recovered: true,
        recoveries: stored.session.recoveries + 1,
        fresh: false,
        ..stored.session
    };
    (Some(Stored::live_of(recovered.clone())), Refreshed::Recovered(recovered))
}

/// A replaced token was used again, so the record becomes a tombstone.
fn reused(stored: Stored) -> Change<Refreshed> {
    let session = stored.session.clone();
    (Some(Stored { reused: true, ..stored }), Refreshed::Reused(session))
}

/// Decides whether a token replaces the stored token. A token of the same outbox row also replaces
/// it, because the delivery of the same mail is perhaps tried again.
pub(super) fn put_token(
    stored: Option<&OneTimeToken>,
    token: &OneTimeToken,
    now: UnixMillis,
) -> PutToken {
    match stored {
        Some(it) if it.expires_at > now && it.row_id > token.row_id => PutToken::Superseded,
        _ => PutToken::Stored,
    }
}

/// A cost and a quota, converted to milliseconds, as GCRA (ITU-T I.371) uses them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gcra {
    /// The time in which one unit is regained.
    period: i64,
    /// The cost of this call.
    pub(super) cost: i64,
    /// The amount in a full budget.
    pub(super) capacity: i64,
}

impl Gcra {
    pub(super) fn of(charge: &Charge) -> Self {
        Self::new(charge.quota, charge.cost)
    }

    pub(super) fn new(quota: Quota, cost: u32) -> Self {
        let whole = millis(quota.period);
        let rest = i64::from(!quota.period.subsec_nanos().is_multiple_of(1_000_000));
        let period = whole.saturating_add(rest).clamp(1, SPAN_MS_MAX);
        let times = |units: u32| period.saturating_mul(i64::from(units)).min(SPAN_MS_MAX);
        Self { period, cost: times(cost), capacity: times(quota.burst) }
    }

    /// The time at which the budget is full again if the cost is spent. `full_at` is the time at
    /// which the budget is full again if the cost is not spent. `None` if the store has no entry
    /// for the budget.
    pub(super) fn after(&self, full_at: Option<UnixMillis>, now: UnixMillis) -> UnixMillis {
        full_at.map_or(now, |at| at.max(now)).saturating_add(self.cost)
    }

    /// Decides whether the cost can be spent. `after` is the result of [`Gcra::after`].
    ///
    /// The clocks of two callers can differ. If a caller's clock is behind the clock of the caller
    /// that spent last, the caller sees fewer units than the budget has, and waits longer. A caller
    /// never sees more units than the budget has.
    pub(super) fn decide(&self, after: UnixMillis, now: UnixMillis) -> BudgetVerdict {
        let missing_ms = after.saturating_sub(now);
        let spare_ms = self.capacity.saturating_sub(missing_ms);
        if spare_ms >= 0 {
            let remaining = u32::try_from(spare_ms / self.period).unwrap_or(u32::MAX);
            return BudgetVerdict::Allowed { remaining };
        }
        if self.cost > self.capacity {
            return BudgetVerdict::Limited { retry_after: Duration::MAX };
        }
        BudgetVerdict::Limited { retry_after: Duration::from_millis(spare_ms.unsigned_abs()) }
    }
}

/// Combines the verdicts of several budgets. Returns the index of the first budget that allows the
/// cost, and the verdict. If no budget allows the cost, the wait is the shortest wait of all
/// budgets.
pub(super) fn first_that_allows(found: &[BudgetVerdict]) -> (Option<usize>, BudgetVerdict) {
    let allows = |it: &BudgetVerdict| matches!(it, BudgetVerdict::Allowed { .. });
    if let Some(at) = found.iter().position(allows) {
        return (Some(at), found[at]);
    }
    let waits = found.iter().filter_map(|it| match it {
        BudgetVerdict::Allowed { .. } => None,
        BudgetVerdict::Limited { retry_after } => Some(*retry_after),
    });
    (None, BudgetVerdict::Limited { retry_after: waits.min().unwrap_or_default() })
}
