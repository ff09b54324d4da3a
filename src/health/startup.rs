//! [`Startup`]: the reason why a starting daemon waits. `/readyz` and the public port report it.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{Reason, SchemaWindow, StoreHealth};

/// Why a daemon that has not started yet is waiting. There is no reason until the daemon's first
/// attempt to start has failed.
#[derive(Debug)]
pub struct Startup {
    database: Arc<StoreHealth>,
    schema: SchemaWindow,
    waits: CancellationToken,
}

impl Default for Startup {
    fn default() -> Self {
        Self {
            database: StoreHealth::new(),
            schema: SchemaWindow::default(),
            waits: CancellationToken::new(),
        }
    }
}

impl Startup {
    /// Reports that the database cannot be used, and why.
    pub fn wait_for_database(&self, reason: Reason) {
        self.database.mark_up();
        self.database.mark_down(reason);
        self.schema.set(false, false);
        self.waits.cancel();
    }

    /// Reports that the database responds, but that its schema lacks migrations or is too new.
    pub fn wait_for_schema(&self, is_contracted: bool) {
        self.database.mark_up();
        self.schema.set(true, is_contracted);
        self.waits.cancel();
    }

    /// Waits until the daemon's first attempt to start has failed.
    pub async fn waits(&self) {
        self.waits.cancelled().await;
    }

    /// The daemon's status in `/readyz`.
    pub fn status(&self) -> &'static str {
        self.schema.outside().unwrap_or("starting")
    }

    /// The reason why the database cannot be used. `None` if it can be used.
    pub fn database(&self) -> Option<Reason> {
        self.database.reason()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_waits_for_the_last_obstacle_that_it_met() {
        let startup = Startup::default();
        assert_eq!((startup.status(), startup.database()), ("starting", None));
        startup.wait_for_database(Reason::Unreachable);
        startup.wait_for_database(Reason::Timeout);
        assert_eq!((startup.status(), startup.database()), ("starting", Some(Reason::Timeout)));
        startup.wait_for_schema(false);
        assert_eq!((startup.status(), startup.database()), ("unmigrated", None));
        startup.wait_for_schema(true);
        assert_eq!(startup.status(), "outdated");
    }
}
