//! Whether a store accepts writes: its last known state, and the reason if it does not.
//!
//! A [`StoreHealth`] belongs to one store. Code that calls the store reports each outage that a
//! request meets, and each error after which the store should be probed. The prober
//! (`daemon/probe.rs`) writes to the store at fixed intervals. Only the prober reports that the
//! store works. `/readyz`, the metrics and the log read the state and send nothing to the store.

mod reason;
mod schema;
mod startup;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

pub use self::reason::Reason;
pub use self::schema::SchemaWindow;
pub use self::startup::Startup;

/// The state of a store that accepts writes.
const UP: u8 = 0;

/// The result of a probe that met no outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probed {
    /// The probe wrote a value and read it back.
    Writable,
    /// The table for the probe is missing, so the probe wrote nothing. The state does not change.
    NoTable,
}

/// The last known state of one store.
#[derive(Debug)]
pub struct StoreHealth {
    /// [`UP`], or one more than the reason's index in [`Reason::ALL`].
    state: AtomicU8,
    is_suspect: AtomicBool,
}

impl StoreHealth {
    /// A store without a known outage.
    pub fn new() -> Arc<Self> {
        Arc::new(Self { state: AtomicU8::new(UP), is_suspect: AtomicBool::new(false) })
    }

    /// Why the store accepts no writes. `None` while it accepts them.
    pub fn reason(&self) -> Option<Reason> {
        let state = self.state.load(Ordering::Relaxed);
        Reason::ALL.get(usize::from(state).checked_sub(1)?).copied()
    }

    /// Reports an outage that a request or the prober met. The prober runs again soon.
    ///
    /// [`Reason::Timeout`] never replaces another reason. A store that is down for another reason
    /// makes requests wait for connections, and these requests time out.
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

    /// Asks the prober to run soon. The state does not change.
    pub fn suspect(&self) {
        self.is_suspect.store(true, Ordering::Relaxed);
    }

    /// Whether a probe was requested since the last call.
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
