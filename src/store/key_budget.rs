//! [`KeyBudget`]: a limit for the number of keys that clients can add to the token store.
//!
//! A client can send a million email addresses without an account, or solve a million captchas.
//! Each of them adds an entry to the store. The entry stays until it expires. So the number of new
//! entries is limited.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::clock::{UnixMillis, millis};

/// The number of time units in a millisecond. [`KeyBudget`] counts time in these units.
const SCALE: i64 = 1_000;

/// A budget of keys. `capacity` keys can be added at once, and `capacity` more keys during the
/// lifetime of a key.
///
/// So at most twice `capacity` keys exist at any time. The state is one number: the time at which
/// the budget is full again (GCRA). The crate governor is not used, because it cannot give back
/// units when a key is deleted.
#[derive(Debug)]
pub struct KeyBudget {
    /// When the budget is full again. All times are in 1/1000 ms, because a large budget regains a
    /// key in less than a millisecond.
    full_at: AtomicI64,
    ttl: i64,
    /// The time in which the budget regains one key.
    period: i64,
}

impl KeyBudget {
    /// Creates the budget of one replica. All `replicas` together can have `keys_max` keys in the
    /// store. Each key stays in the store for `ttl`.
    pub fn new(keys_max: u32, replicas: u32, ttl: Duration) -> Self {
        let capacity = (keys_max / 2 / replicas.max(1)).max(1);
        let ttl = millis(ttl) * SCALE;
        Self { full_at: AtomicI64::new(0), ttl, period: ttl / i64::from(capacity) }
    }

    pub fn has_room(&self, now: UnixMillis) -> bool {
        let now = now.saturating_mul(SCALE);
        self.full_at.load(Ordering::Relaxed).saturating_sub(now) <= self.ttl - self.period
    }

    /// Takes `units` keys from the budget, because they were added to the store.
    pub fn spend(&self, units: u32, now: UnixMillis) {
        self.add(self.period.saturating_mul(i64::from(units)), now);
    }

    /// Gives `keys` keys back to the budget, because they were deleted from the store before they
    /// expired.
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

    /// Spends keys at one point in time until the budget is empty. Returns their number.
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
