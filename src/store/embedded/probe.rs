//! The probe of the embedded store. It writes to the table in the same way as a request.

use sea_orm::DbErr;

use super::Embedded;
use crate::clock::UnixMillis;
use crate::database::probe_reason;
use crate::health::{Probed, Reason, StoreHealth};
use crate::problem::Unavailable;
use crate::store::{StoreProbeError, keys};

/// How long the entry of a probe is valid, in milliseconds.
const KEPT_MS: i64 = 60_000;

impl Embedded {
    pub(in crate::store) fn health(&self) -> &StoreHealth {
        &self.health
    }

    pub(in crate::store) fn database_health(&self) -> &StoreHealth {
        self.db.health()
    }

    /// All replicas write the same entry. So this probe only checks that the entry has a value, and
    /// not which value. The probe of the database checks that a written value can be read back.
    pub(in crate::store) async fn probe_write(
        &self,
        now: UnixMillis,
    ) -> Result<Probed, StoreProbeError> {
        match self.write_and_read(now).await {
            Ok(Some(_)) => Ok(Probed::Writable),
            Ok(None) => Err(StoreProbeError { reason: Reason::Stale, source: None }),
            Err(error) => {
                let said = error.source.as_ref().and_then(|it| it.downcast_ref::<DbErr>());
                match said.map_or(Some(Reason::Refused), probe_reason) {
                    Some(reason) => Err(StoreProbeError { reason, source: Some(error) }),
                    None => Ok(Probed::NoTable),
                }
            }
        }
    }

    async fn write_and_read(&self, now: UnixMillis) -> Result<Option<UnixMillis>, Unavailable> {
        let until = now.saturating_add(KEPT_MS);
        let tx = self.lock(keys::PROBE).await?;
        tx.write(keys::PROBE, "", &until, until).await?;
        tx.commit().await?;
        self.read(self.db.reader(), keys::PROBE).await
    }
}
