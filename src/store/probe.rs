//! Whether the token store takes writes: the state, and the probe that finds it out.

use super::Store;
use crate::clock::UnixMillis;
use crate::health::{Probed, Reason, StoreHealth};
use crate::problem::Unavailable;

/// Why a probe of the token store failed.
#[derive(Debug)]
pub struct StoreProbeError {
    /// In a word.
    pub reason: Reason,
    /// What the store said, for the log; none where it said nothing wrong.
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

    /// Why the store takes no writes; `None` while it does. An embedded store is as well as its database.
    pub fn reason(&self) -> Option<Reason> {
        let beneath = match self {
            Self::Redis(_) => None,
            Self::Embedded(it) => it.database_health().reason(),
        };
        self.health().reason().or(beneath)
    }

    /// What to do about a reason.
    pub fn fix(&self, reason: Reason) -> &'static str {
        match self {
            Self::Redis(_) => reason.redis_fix(),
            Self::Embedded(_) => reason.database_fix(),
        }
    }

    /// Writes one entry as requests do, reads it back, and lets it expire. A daemon does it at its own pace, never for a
    /// request.
    ///
    /// # Errors
    /// Why operations that write fail now.
    pub async fn probe_write(&self, now: UnixMillis) -> Result<Probed, StoreProbeError> {
        match self {
            Self::Redis(it) => it.probe_write().await.map(|()| Probed::Writable),
            Self::Embedded(it) => it.probe_write(now).await,
        }
    }

    /// Refuses work that would end in a write that the store is known to refuse, before anything is changed elsewhere; and
    /// asks whether the store answers at all.
    ///
    /// # Errors
    /// When it does not answer, or takes no writes.
    pub async fn ready(&self) -> Result<(), Unavailable> {
        if let Some(reason) = self.reason().filter(|it| it.refuses_every_write()) {
            return Err(super::lost(format!("it takes no writes: {}", reason.name())));
        }
        self.ping().await
    }

    /// What the ACL of Redis does not give: commands, and keys. Each is tried; nothing of the embedded store.
    pub async fn missing_rights(&self) -> Vec<&'static str> {
        match self {
            Self::Redis(it) => it.missing_rights().await,
            Self::Embedded(_) => Vec::new(),
        }
    }

    /// Whether Redis is asked as a cluster; never of the embedded store.
    pub fn is_redis_cluster(&self) -> bool {
        matches!(self, Self::Redis(it) if it.is_cluster())
    }
}
