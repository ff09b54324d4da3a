//! A write like those of requests, into the table.

use sea_orm::DbErr;

use super::{Embedded, read};
use crate::clock::UnixMillis;
use crate::database::probe_reason;
use crate::health::{Probed, Reason, StoreHealth};
use crate::problem::Unavailable;
use crate::store::{StoreProbeError, keys};

/// How long what a probe wrote is good.
const KEPT_MS: i64 = 60_000;

impl Embedded {
    pub(in crate::store) fn health(&self) -> &StoreHealth {
        &self.health
    }

    pub(in crate::store) fn database_health(&self) -> &StoreHealth {
        self.db.health()
    }

    /// All replicas write the one entry. That it lasts is what the database's own probe finds out: here it is enough that
    /// there is one.
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
        read(self.db.reader(), keys::PROBE).await
    }
}
