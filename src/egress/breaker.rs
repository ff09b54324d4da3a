//! [`Breaker`]: a circuit breaker. It stops requests to a service that does not respond.
//!
//! Three failures in a row open the breaker. While the breaker is open, requests are refused at
//! once, so they do not occupy a worker until their timeout. After ten seconds the breaker lets one
//! request through. If the service responds to this request, the breaker closes. If the request
//! fails, the breaker stays open for ten more seconds. Each process has its own breaker. Replicas
//! do not share the state.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::{Clock, UnixMillis, millis};

/// The number of failures in a row after which the breaker opens. Fewer failures do not open it,
/// because a lost packet or a restart of the service can cause one or two failures.
const FAILURES_MAX: u32 = 3;
/// How long the breaker stays open before it lets one request through. A response also counts as
/// fresh for this time.
const OPEN_FOR: Duration = Duration::from_secs(10);

/// A circuit breaker for one service.
#[derive(Debug)]
pub struct Breaker {
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    /// The time at which the breaker opened. If a request fails while the breaker is open, it is
    /// the time of that failure. `None` while the breaker is closed.
    opened_at: Option<UnixMillis>,
    answered_at: Option<UnixMillis>,
    trying: bool,
}

/// A permit for one request. Report the result of the request with [`Pass::answered`] or
/// [`Pass::failed`]. If the permit is dropped without a report, the breaker stays open or closed as
/// it was.
#[derive(Debug)]
pub struct Pass<'a> {
    breaker: &'a Breaker,
    is_trial: bool,
}

impl Breaker {
    /// Creates a closed breaker.
    pub fn new(clock: Clock) -> Self {
        Self { clock, state: Mutex::default() }
    }

    /// Returns a permit for one request. While the breaker is open, it returns `None`, except for
    /// one request every ten seconds.
    pub fn pass(&self) -> Option<Pass<'_>> {
        let now = self.clock.now();
        let mut state = self.state();
        let Some(opened_at) = state.opened_at else {
            return Some(Pass { breaker: self, is_trial: false });
        };
        if state.trying || is_within(opened_at, now) {
            return None;
        }
        state.trying = true;
        Some(Pass { breaker: self, is_trial: true })
    }

    /// Whether the breaker is open. It is open from the third failure in a row until the next
    /// response.
    pub fn is_open(&self) -> bool {
        self.state().opened_at.is_some()
    }

    /// Whether the breaker is closed and the service responded less than ten seconds ago.
    pub fn is_fresh(&self) -> bool {
        let now = self.clock.now();
        let state = self.state();
        state.opened_at.is_none() && state.answered_at.is_some_and(|at| is_within(at, now))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change of the state is complete before the lock is released. So the state is valid
        // even if the lock is poisoned.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether `at` is less than [`OPEN_FOR`] ago. The result is false if the clock was set back to a
/// time before `at`.
fn is_within(at: UnixMillis, now: UnixMillis) -> bool {
    (0..millis(OPEN_FOR)).contains(&(now - at))
}

impl Pass<'_> {
    /// Reports that the service responded.
    pub fn answered(self) {
        let now = self.breaker.clock.now();
        let mut state = self.breaker.state();
        state.failures = 0;
        state.opened_at = None;
        state.answered_at = Some(now);
    }

    /// Reports that the service failed for a reason that does not depend on the request.
    pub fn failed(self) {
        let now = self.breaker.clock.now();
        let mut state = self.breaker.state();
        state.failures = state.failures.saturating_add(1);
        if state.failures >= FAILURES_MAX {
            state.opened_at = Some(now);
        }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.is_trial {
            self.breaker.state().trying = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaker() -> (Breaker, Clock) {
        let clock = Clock::manual(1_000_000);
        (Breaker::new(clock.clone()), clock)
    }

    fn fail(breaker: &Breaker, times: u32) {
        for _ in 0..times {
            breaker.pass().unwrap().failed();
        }
    }

    #[test]
    fn three_failures_in_a_row_open_it_and_an_answer_between_them_does_not() {
        let (breaker, _) = breaker();
        fail(&breaker, 2);
        breaker.pass().unwrap().answered();
        fail(&breaker, 2);
        assert!(!breaker.is_open());
        fail(&breaker, 1);
        assert!(breaker.is_open());
        assert!(breaker.pass().is_none());
    }

    #[test]
    fn after_ten_seconds_one_request_tries_and_decides() {
        let (breaker, clock) = breaker();
        fail(&breaker, 3);
        clock.advance(Duration::from_millis(9_999));
        assert!(breaker.pass().is_none());
        clock.advance(Duration::from_millis(1));
        let trial = breaker.pass().unwrap();
        assert!(breaker.pass().is_none(), "one at a time");
        assert!(breaker.is_open(), "still open");
        trial.failed();
        assert!(breaker.pass().is_none());
        clock.advance(OPEN_FOR);
        breaker.pass().unwrap().answered();
        assert!(!breaker.is_open());
        assert!(breaker.pass().is_some() && breaker.pass().is_some());
    }

    #[test]
    fn a_trial_that_is_given_up_leaves_room_for_the_next() {
        let (breaker, clock) = breaker();
        fail(&breaker, 3);
        clock.advance(OPEN_FOR);
        drop(breaker.pass().unwrap());
        assert!(breaker.is_open());
        assert!(breaker.pass().is_some());
    }

    #[test]
    fn an_answer_is_fresh_for_ten_seconds() {
        let (breaker, clock) = breaker();
        assert!(!breaker.is_fresh());
        breaker.pass().unwrap().answered();
        assert!(breaker.is_fresh());
        clock.advance(OPEN_FOR);
        assert!(!breaker.is_fresh() && !breaker.is_open());
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_keep_it_open() {
        let now = std::sync::Arc::new(std::sync::atomic::AtomicI64::new(1_000_000));
        let breaker = Breaker::new(Clock::Manual(now.clone()));
        fail(&breaker, 3);
        now.store(0, std::sync::atomic::Ordering::SeqCst);
        assert!(breaker.pass().is_some());
    }
}
