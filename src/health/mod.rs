//! Whether a store takes writes: its last known state, and the reason where it does not.
//!
//! A [`StoreHealth`] belongs to one store. Code that talks to the store reports each outage that a request meets, and
//! each error that asks for a closer look. The prober (`daemon/probe.rs`) writes to the store at its own pace, and is the
//! only one that reports that the store works. `/readyz`, the metrics and the log read the state and ask nobody.

mod reason;
mod schema;
mod startup;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

pub use self::reason::Reason;
pub use self::schema::SchemaWindow;
pub use self::startup::Startup;

/// The state of a store that takes writes.
const UP: u8 = 0;

/// The last known state of one store.
#[derive(Debug)]
pub struct StoreHealth {
    /// [`UP`], or one more than the reason's place in [`Reason::ALL`].
    state: AtomicU8,
    is_suspect: AtomicBool,
}

impl StoreHealth {
    /// A store that nobody has found out of order.
    pub fn new() -> Arc<Self> {
        Arc::new(Self { state: AtomicU8::new(UP), is_suspect: AtomicBool::new(false) })
    }

    /// Why it takes no writes; `None` while it does.
    pub fn reason(&self) -> Option<Reason> {
        let state = self.state.load(Ordering::Relaxed);
        Reason::ALL.get(usize::from(state).checked_sub(1)?).copied()
    }

    /// A request met an outage, or the prober did. The prober looks again soon.
    pub fn mark_down(&self, reason: Reason) {
        let place = Reason::ALL.iter().position(|it| *it == reason).unwrap_or_default();
        self.state.store(u8::try_from(place + 1).unwrap_or(u8::MAX), Ordering::Relaxed);
        self.suspect();
    }

    /// The prober wrote and read what it wrote.
    pub fn mark_up(&self) {
        self.state.store(UP, Ordering::Relaxed);
    }

    /// Asks the prober to look soon, without a verdict.
    pub fn suspect(&self) {
        self.is_suspect.store(true, Ordering::Relaxed);
    }

    /// Whether somebody asked for a look since the last call.
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
            health.mark_down(reason);
            assert_eq!(health.reason(), Some(reason));
        }
        assert!(health.take_suspicion(), "the prober looks soon");
        assert!(!health.take_suspicion());
        health.mark_up();
        assert_eq!(health.reason(), None);
    }
}
