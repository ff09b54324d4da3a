//! Whether the token store accepts writes: its state, and the probe that determines it.

use super::Store;
use crate::clock::UnixMillis;
use crate::health::{Probed, Reason, StoreHealth};
use crate::problem::Unavailable;

/// Why a probe of the token store failed.
#[derive(Debug)]
pub struct StoreProbeError {
    pub reason: Reason,
    /// The error of the store, for the log. `None` if the store returned no error.
    pub source: Option<Unavailable>,
}

impl Store {
    /// The state that the prober and requests report to.
    pub fn health(&self) -> &StoreHealth {
        match self {
            Self::Redis(it) => it.health(),
            Self::Embedded(it) => it.health(),
        }
    }

    /// Why the store accepts no writes. `None` while it accepts them. The embedded store also has
    /// the reasons of its database.
    pub fn reason(&self) -> Option<Reason> {
        let beneath = match self {
            Self::Redis(_) => None,
            Self::Embedded(it) => it.database_health().reason(),
        };
        self.health().reason().or(beneath)
    }

    /// What the operator can do about a reason.
    pub fn fix(&self, reason: Reason) -> &'static str {
        match self {
            Self::Redis(_) => reason.redis_fix(),
            Self::Embedded(_) => reason.database_fix(),
        }
    }

    /// Writes one entry as requests do, reads it back and lets it expire. The daemon calls this at
    /// intervals, never for a request.
    ///
    /// # Errors
    /// Why writes fail now.
    pub async fn probe_write(&self, now: UnixMillis) -> Result<Probed, StoreProbeError> {
        match self {
            Self::Redis(it) => it.probe_write().await.map(|()| Probed::Writable),
            Self::Embedded(it) => it.probe_write(now).await,
        }
    }

    /// Refuses a request that ends with a write, if the store is known to refuse writes. So nothing
    /// else is changed before. Also checks that the store responds.
    ///
    /// # Errors
    /// When the store does not respond or accepts no writes.
    pub async fn ready(&self) -> Result<(), Unavailable> {
        if let Some(reason) = self.reason().filter(|it| it.refuses_every_write()) {
            return Err(super::lost(format!("it accepts no writes: {}", reason.name())));
        }
        self.ping().await
    }

    /// The commands and keys that the Redis ACL does not allow. Each command is tried. Empty for
    /// the embedded store.
    pub async fn missing_rights(&self) -> Vec<&'static str> {
        match self {
            Self::Redis(it) => it.missing_rights().await,
            Self::Embedded(_) => Vec::new(),
        }
    }

    /// Whether the store is a Redis cluster.
    pub fn is_redis_cluster(&self) -> bool {
        matches!(self, Self::Redis(it) if it.is_cluster())
    }
}
