//! The health of a store: whether the store accepts writes, and if not, the reason.
//!
//! A [`StoreHealth`] contains the last known state of one store. Code that uses the store reports
//! to it if a request finds an outage, or if an error suggests that the store should be probed. The
//! prober (`daemon/probe.rs`) writes to the store at fixed intervals. Only the prober reports that
//! the store works. `/readyz`, the metrics and the log only read the last known state and send
//! nothing to the store.

mod reason;
mod schema;
mod startup;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

pub use self::reason::Reason;
pub use self::schema::SchemaWindow;
pub use self::startup::Startup;

/// The value of the field `state` of a [`StoreHealth`] if the store accepts writes.
const UP: u8 = 0;

/// The result of a probe that found no outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probed {
    /// The probe wrote a value and read it back.
    Writable,
    /// The table for the probe is missing, so the probe wrote nothing. The health of the store does
    /// not change.
    NoTable,
}

/// The last known state of one store.
#[derive(Debug)]
pub struct StoreHealth {
    /// [`UP`], or the reason's index in [`Reason::ALL`] plus one.
    state: AtomicU8,
    is_suspect: AtomicBool,
}

impl StoreHealth {
    /// Creates the health of a store that has no known outage.
    pub fn new() -> Arc<Self> {
        Arc::new(Self { state: AtomicU8::new(UP), is_suspect: AtomicBool::new(false) })
    }

    /// The reason why the store accepts no writes. `None` if it accepts writes.
    pub fn reason(&self) -> Option<Reason> {
        let state = self.state.load(Ordering::Relaxed);
        Reason::ALL.get(usize::from(state).checked_sub(1)?).copied()
    }

    /// Reports an outage that a request or the prober found. The prober runs again soon after this
    /// report.
    ///
    /// [`Reason::Timeout`] never replaces another reason. If a store is down for another reason,
    /// requests wait for connections and time out, so their timeouts say nothing new.
    pub fn mark_down(&self, reason: Reason) {
        let index = Reason::ALL.iter().position(|it| *it == reason).unwrap_or_default();
        let state = u8::try_from(index + 1).unwrap_or(u8::MAX);
        if reason == Reason::Timeout {
            let (success, failure) = (Ordering::Relaxed, Ordering::Relaxed);
            let _has_a_reason = self.state.compare_exchange(UP, state, success, failure);
        } else {
            self.state.store(state, Ordering::Relaxed);
        }
        self.suspect();
    }

    /// Reports that the prober wrote a value and read it back.
    pub fn mark_up(&self) {
        self.state.store(UP, Ordering::Relaxed);
    }

    /// Asks the prober to run soon. The known state does not change.
    pub fn suspect(&self) {
        self.is_suspect.store(true, Ordering::Relaxed);
    }

    /// Whether a probe was requested since the last call of this function.
    pub fn take_suspicion(&self) -> bool {
        self.is_suspect.swap(false, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_has_the_reason_it_was_marked_with_until_it_is_up() {
        let health = StoreHealth::new();
        assert_eq!((health.reason(), health.take_suspicion()), (None, false));
        for reason in Reason::ALL.iter().copied() {
            health.mark_up();
            health.mark_down(reason);
            assert_eq!(health.reason(), Some(reason));
            health.mark_down(Reason::Timeout);
            assert_eq!(health.reason(), Some(reason), "it says more than a time-out");
            health.mark_down(Reason::Refused);
            assert_eq!(health.reason(), Some(Reason::Refused));
        }
        assert!(health.take_suspicion(), "the prober looks soon");
        assert!(!health.take_suspicion());
        health.mark_up();
        assert_eq!(health.reason(), None);
    }
}
