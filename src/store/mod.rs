//! Placeholder of the store's room: only what the limits need of it.

use std::time::Duration;

/// A budget: `burst` at once, all of it back over `period`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// What may be spent at once.
    pub burst: u32,
    /// How long an empty budget takes to be full again.
    pub period: Duration,
}
