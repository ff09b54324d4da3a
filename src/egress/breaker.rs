//! [`Breaker`]: does not ask again and again who does not answer.
//!
//! Three failures in a row open it: requests are refused at once, instead of each waiting for its timeout and holding a
//! worker. After ten seconds one request is let through; its answer closes the breaker, its failure keeps it open. The
//! state is this process's own: replicas find out for themselves.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::{Clock, UnixMillis, millis};

/// Failures in a row that open it: one or two are a lost packet or a restart over there.
const FAILURES_MAX: u32 = 3;
/// How long it is open before one request tries again; also how long a good answer counts as fresh.
const OPEN_FOR: Duration = Duration::from_secs(10);

/// Whether somebody answers, as far as the last requests told.
#[derive(Debug)]
pub struct Breaker {
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    /// When it opened, or last stayed open; none while closed.
    opened_at: Option<UnixMillis>,
    answered_at: Option<UnixMillis>,
    trying: bool,
}

/// Leave for one request. Tell how it went; dropping it untold says nothing about the other side.
#[derive(Debug)]
pub struct Pass<'a> {
    breaker: &'a Breaker,
    is_trial: bool,
}

impl Breaker {
    /// A closed one.
    pub fn new(clock: Clock) -> Self {
        Self { clock, state: Mutex::default() }
    }

    /// Leave to ask; none while it is open, but for one request every ten seconds.
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

    /// Whether the other side is in doubt: open, from the third failure until the next answer.
    pub fn is_open(&self) -> bool {
        self.state().opened_at.is_some()
    }

    /// Whether it is closed and the last answer is at most ten seconds old.
    pub fn is_fresh(&self) -> bool {
        let now = self.clock.now();
        let state = self.state();
        state.opened_at.is_none() && state.answered_at.is_some_and(|at| is_within(at, now))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A state is written in one go: a panic elsewhere leaves none half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether `at` is less than [`OPEN_FOR`] ago. A clock that was set back ends it too.
fn is_within(at: UnixMillis, now: UnixMillis) -> bool {
    (0..millis(OPEN_FOR)).contains(&(now - at))
}

impl Pass<'_> {
    /// It answered.
    pub fn answered(self) {
        let now = self.breaker.clock.now();
        let mut state = self.breaker.state();
        state.failures = 0;
        state.opened_at = None;
        state.answered_at = Some(now);
    }

    /// It did not, and would not have answered another request either.
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
        assert!(breaker.is_open(), "still in doubt");
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
