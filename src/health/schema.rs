//! [`SchemaWindow`]: whether the database's schema was within this binary's window when it was last
//! read, or on which side of it.

use std::sync::atomic::{AtomicU8, Ordering};

const WITHIN: u8 = 0;
const UNMIGRATED: u8 = 1;
const OUTDATED: u8 = 2;

/// The last known state; within the window before the first reading.
#[derive(Debug, Default)]
pub struct SchemaWindow(AtomicU8);

impl SchemaWindow {
    /// Stores a reading: whether migrations of this binary are missing, and whether a later release
    /// took away what this binary needs.
    pub fn set(&self, lacks: bool, is_contracted: bool) {
        let state = match (lacks, is_contracted) {
            (_, true) => OUTDATED,
            (true, false) => UNMIGRATED,
            (false, false) => WITHIN,
        };
        self.0.store(state, Ordering::Relaxed);
    }

    /// The word in `/readyz` for a schema outside the window.
    pub fn outside(&self) -> Option<&'static str> {
        match self.0.load(Ordering::Relaxed) {
            UNMIGRATED => Some("unmigrated"),
            OUTDATED => Some("outdated"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_without_what_the_binary_needs_is_outdated_before_it_is_unmigrated() {
        let window = SchemaWindow::default();
        assert_eq!(window.outside(), None);
        for (lacks, is_contracted, word) in [
            (true, false, Some("unmigrated")),
            (false, true, Some("outdated")),
            (true, true, Some("outdated")),
            (false, false, None),
        ] {
            window.set(lacks, is_contracted);
            assert_eq!(window.outside(), word);
        }
    }
}
