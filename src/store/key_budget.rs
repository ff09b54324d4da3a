//! [`KeyBudget`]: how many keys clients can add to the token store.
//!
//! A client can name a million addresses that have no account, and solve a million captchas. Each leaves an entry until it
//! expires, so the number of new ones is bounded.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::clock::{UnixMillis, millis};

/// Parts of a millisecond.
const SCALE: i64 = 1_000;

/// A budget of keys: `capacity` at once, and as many again over the time that a key is kept.
///
/// So at most twice `capacity` are kept at any moment. One number holds it: when the budget is full
/// again (GCRA). governor has no refund, which the deletion of a key needs.
#[derive(Debug)]
pub struct KeyBudget {
    /// All times are in 1/1000 ms: a large budget gives a key back in less than a millisecond.
    full_at: AtomicI64,
    ttl: i64,
    /// Until one comes back.
    period: i64,
}

impl KeyBudget {
    /// A budget for `keys_max` keys of all `replicas` together, each kept for `ttl`.
    pub fn new(keys_max: u32, replicas: u32, ttl: Duration) -> Self {
        let capacity = (keys_max / 2 / replicas.max(1)).max(1);
        let ttl = millis(ttl) * SCALE;
        Self { full_at: AtomicI64::new(0), ttl, period: ttl / i64::from(capacity) }
    }

    /// Whether a key may be added.
    pub fn has_room(&self, now: UnixMillis) -> bool {
        let now = now.saturating_mul(SCALE);
        self.full_at.load(Ordering::Relaxed).saturating_sub(now) <= self.ttl - self.period
    }

    /// Keys were added, as many as `units`.
    pub fn spend(&self, units: u32, now: UnixMillis) {
        self.add(self.period.saturating_mul(i64::from(units)), now);
    }

    /// Gives back the units of keys that were deleted before they expired.
    pub fn refund(&self, keys: u32, now: UnixMillis) {
        self.add(-self.period.saturating_mul(i64::from(keys)), now);
    }

    fn add(&self, time: i64, now: UnixMillis) {
        let now = now.saturating_mul(SCALE);
        let add = |full_at: i64| Some(full_at.max(now).saturating_add(time));
        let _previous = self.full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_hours(24);
    const DAY_MS: i64 = 24 * 3_600_000;

    /// How many fit at one moment.
    fn fill(budget: &KeyBudget, now: i64) -> usize {
        let spend = || budget.has_room(now).then(|| budget.spend(1, now));
        std::iter::from_fn(spend).count()
    }

    #[test]
    fn half_fit_at_once_and_as_many_again_over_a_day() {
        let budget = KeyBudget::new(2_000, 1, DAY);
        assert_eq!(fill(&budget, 1_000), 1_000);
        assert_eq!(fill(&budget, 1_000 + DAY_MS / 4), 250);
        budget.refund(100, 1_000 + DAY_MS / 4);
        assert_eq!(fill(&budget, 1_000 + DAY_MS / 4), 100);
        assert_eq!(fill(&budget, 10 * DAY_MS), 1_000, "no more than at the start");
    }

    #[test]
    fn replicas_share_it_and_each_has_one_at_least() {
        assert_eq!(fill(&KeyBudget::new(2_000, 10, DAY), 0), 100);
        assert_eq!(fill(&KeyBudget::new(1, 10, DAY), 0), 1);
    }
}
