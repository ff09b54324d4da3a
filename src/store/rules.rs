//! The decisions, as pure functions of what is stored, what is asked and when.
//!
//! [`Embedded`](super::embedded::Embedded) decides by them; Redis' scripts say the same in Lua, and the suite runs both
//! side by side.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::types::{BudgetVerdict, Charge, OneTimeToken, PutToken, Quota, Refresh, Session};
use crate::clock::{UnixMillis, millis};

/// The longest stretch of milliseconds we count with: exact in a double, which is all that Lua has.
const SPAN_MS_MAX: i64 = 1 << 50;

/// A session at rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stored {
    #[serde(flatten)]
    pub(super) session: Session,
    /// A token of it was shown again: a tombstone.
    #[serde(default)]
    pub(super) reused: bool,
}

impl Stored {
    /// The session, unless it has expired or is a tombstone.
    pub(super) fn live(self, now: UnixMillis) -> Option<Session> {
        (self.session.expires_at > now && !self.reused).then_some(self.session)
    }
}

/// What a refresh does to the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RefreshRule {
    /// Write this session.
    Rotate(Box<Session>),
    /// Answer the session, write nothing.
    Current,
    /// Write the tombstone, unless it is one already.
    Reused,
    /// Write nothing.
    Ahead,
    /// There is nothing to write to.
    Gone,
}

/// Judges a refresh. The order matters: a tombstone answers before the generations are compared.
pub(super) fn refresh(stored: Option<&Stored>, ask: &Refresh<'_>, now: UnixMillis) -> RefreshRule {
    let Some(Stored { session, reused }) = stored.filter(|it| it.session.expires_at > now) else {
        return RefreshRule::Gone;
    };
    if *reused {
        return RefreshRule::Reused;
    }
    if ask.generation > session.generation {
        return RefreshRule::Ahead;
    }
    if ask.generation == session.generation {
        // The same generation under another name: the store lost a rotation and made another one since.
        if ask.jti != session.jti {
            return RefreshRule::Ahead;
        }
        return RefreshRule::Rotate(Box::new(Session {
            jti: ask.next_jti.to_owned(),
            generation: session.generation + 1,
            previous_jti: Some(session.jti.clone()),
            rotated_at: now,
            seen_at: now,
            expires_at: now.saturating_add(millis(ask.idle_ttl)).min(session.absolute_end),
            ip: ask.ip.to_owned(),
            user_agent: ask.user_agent.to_owned(),
            ..session.clone()
        }));
    }
    let is_previous = ask.generation + 1 == session.generation
        && session.previous_jti.as_deref() == Some(ask.jti);
    if is_previous && now.saturating_sub(session.rotated_at) <= millis(ask.grace) {
        return RefreshRule::Current;
    }
    RefreshRule::Reused
}

/// Whether a token replaces the stored one. A row put again is a retry of the same mail, and may.
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

/// A cost against a quota, each in milliseconds, as GCRA (ITU-T I.371) counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gcra {
    /// One unit.
    period: i64,
    /// What this call costs.
    pub(super) cost: i64,
    /// What can be saved up.
    pub(super) capacity: i64,
}

impl Gcra {
    pub(super) fn of(charge: &Charge) -> Self {
        Self::new(charge.quota, charge.cost)
    }

    /// Of a cost under a quota.
    pub(super) fn new(quota: Quota, cost: u32) -> Self {
        let whole = millis(quota.period);
        let rest = i64::from(!quota.period.subsec_nanos().is_multiple_of(1_000_000));
        let period = whole.saturating_add(rest).clamp(1, SPAN_MS_MAX);
        let times = |units: u32| period.saturating_mul(i64::from(units)).min(SPAN_MS_MAX);
        Self { period, cost: times(cost), capacity: times(quota.burst) }
    }

    /// When the budget is full again if the cost is spent: `full_at` is when it would be without, if that is known.
    pub(super) fn after(&self, full_at: Option<UnixMillis>, now: UnixMillis) -> UnixMillis {
        full_at.map_or(now, |at| at.max(now)).saturating_add(self.cost)
    }

    /// Whether so much may be missing: the verdict on the moment from [`Gcra::after`].
    ///
    /// A clock that is behind the one that spent last finds more missing than there is, and waits: it never finds less.
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

/// What budgets say together, and which of them is spent: the first that allows. Where none does, the wait is until the first
/// allows.
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
