//! The state that says whether the token store accepts writes, and the probe that determines this
//! state.

use super::{Backend, Store};
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
    /// The state of the store. The prober and the requests write to it.
    pub fn health(&self) -> &StoreHealth {
        match &self.backend {
            Backend::Redis(it) => it.health(),
            Backend::Embedded(it) => it.health(),
        }
    }

    /// Why the store accepts no writes. `None` while it accepts writes. If the database accepts no
    /// writes, the embedded store accepts none either.
    pub fn reason(&self) -> Option<Reason> {
        let beneath = match &self.backend {
            Backend::Redis(_) => None,
            Backend::Embedded(it) => it.database_health().reason(),
        };
        self.health().reason().or(beneath)
    }

    /// What the operator can do if the store accepts no writes for this reason.
    pub fn fix(&self, reason: Reason) -> &'static str {
        match &self.backend {
            Backend::Redis(_) => reason.redis_fix(),
            Backend::Embedded(_) => reason.database_fix(),
        }
    }

    /// Writes one entry in the same way as a request, reads the entry back and lets it expire. The
    /// daemon calls this function at intervals, but never for a request.
    ///
    /// # Errors
    /// The error says why writes fail now.
    pub async fn probe_write(&self, now: UnixMillis) -> Result<Probed, StoreProbeError> {
        match &self.backend {
            Backend::Redis(it) => it.probe_write().await.map(|()| Probed::Writable),
            Backend::Embedded(it) => it.probe_write(now).await,
        }
    }

    /// Checks that the store responds and is not known to refuse writes. A request that ends with a
    /// write to the store calls this function first, so that it changes nothing if the store fails.
    ///
    /// # Errors
    /// Returns an error if the store does not respond or accepts no writes.
    pub async fn ready(&self) -> Result<(), Unavailable> {
        if let Some(reason) = self.reason().filter(|it| it.refuses_every_write()) {
            return Err(super::lost(format!("it accepts no writes: {}", reason.name())));
        }
        self.ping().await
    }

    /// Tries each command, and returns the commands and keys that the Redis ACL does not allow.
    /// Empty for the embedded store.
    pub async fn missing_rights(&self) -> Vec<&'static str> {
        match &self.backend {
            Backend::Redis(it) => it.missing_rights().await,
            Backend::Embedded(_) => Vec::new(),
        }
    }

    /// Whether the store is a Redis cluster.
    pub fn is_redis_cluster(&self) -> bool {
        matches!(&self.backend, Backend::Redis(it) if it.is_cluster())
    }
}
