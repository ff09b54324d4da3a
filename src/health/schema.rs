//! [`SchemaWindow`]: whether this binary supports the database schema. If it does not, the type
//! also says whether the schema is too old or too new.

use std::sync::atomic::{AtomicU8, Ordering};

const WITHIN: u8 = 0;
const UNMIGRATED: u8 = 1;
const OUTDATED: u8 = 2;

/// The result of the last time that the schema was read. Before the first time, the schema counts
/// as supported.
#[derive(Debug, Default)]
pub struct SchemaWindow(AtomicU8);

impl SchemaWindow {
    /// Stores what was read. `lacks` says whether migrations of this binary are missing in the
    /// schema. `is_contracted` says whether a later release has removed something from the schema
    /// that this binary needs.
    pub fn set(&self, lacks: bool, is_contracted: bool) {
        let state = match (lacks, is_contracted) {
            (_, true) => OUTDATED,
            (true, false) => UNMIGRATED,
            (false, false) => WITHIN,
        };
        self.0.store(state, Ordering::Relaxed);
    }

    /// The status in `/readyz` if this binary does not support the schema. `None` if it does.
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
