//! The probe of Redis. A script writes fixed keys in the same way as requests do. In a cluster, the
//! script runs in every part of the cluster.

use std::time::Duration;

use futures_util::future::join_all;
use redis::RedisError;

use super::Redis;
use super::repair::Keys;
use super::{refusal::outage, scripts};
use crate::clock::millis;
use crate::health::{Reason, StoreHealth};
use crate::secret::random_id;
use crate::store::keys::{self, PROBE_TAGS};
use crate::store::{StoreProbeError, lost};

/// How long the server keeps the values of a probe.
const KEPT: Duration = Duration::from_mins(1);

impl Redis {
    pub(in crate::store) fn health(&self) -> &StoreHealth {
        self.link.health()
    }

    pub(in crate::store) fn is_cluster(&self) -> bool {
        self.link.is_cluster()
    }

    /// Writes and reads a value under every hash tag. This is also done for a single server,
    /// because that server is perhaps a node of a cluster and serves only some slots.
    pub(in crate::store) async fn probe_write(&self) -> Result<(), StoreProbeError> {
        let Err(error) = self.probe_tags().await else { return Ok(()) };
        if !(error.reason.is_vague() || error.reason == Reason::Refused) {
            return Err(error);
        }
        let Some((reason, said)) = self.link.diagnose().await else { return Err(error) };
        Err(StoreProbeError { reason, source: Some(lost(said)) })
    }

    async fn probe_tags(&self) -> Result<(), StoreProbeError> {
        if self.is_cluster() {
            // In a cluster, a request loads a missing script into every node. So the probe checks
            // that this is possible. A single server does not need this check.
            let mut load = redis::cmd("SCRIPT");
            load.arg("LOAD").arg(scripts::PROBE);
            if let Err(error) = self.link.query::<redis::Value>(&load).await
                && outage(&error) == Some(Reason::ClusterDown)
            {
                return Err(self.failed(error));
            }
        }
        let probes = join_all(PROBE_TAGS.map(|tag| self.probe_tag(tag))).await;
        let some_work = probes.iter().any(Result::is_ok);
        let Some(mut error) = probes.into_iter().find_map(Result::err) else { return Ok(()) };
        let is_away = matches!(error.reason, Reason::Unreachable | Reason::Timeout);
        if self.is_cluster() && some_work && is_away {
            error.reason = Reason::ClusterDown;
        }
        Err(error)
    }

    async fn probe_tag(&self, tag: u8) -> Result<(), StoreProbeError> {
        let value = random_id();
        let mut call = self.scripts.probe.prepare_invoke();
        let names = keys::probe(tag);
        for key in &names {
            call.key(key);
        }
        call.arg(&value).arg(millis(KEPT));
        let all = || Keys::plain(["HLEN", "ZCARD", "GET"].into_iter().zip(names));
        match self.invoke::<String>(&call, all).await {
            Ok(seen) if seen == value => Ok(()),
            Ok(_) => Err(StoreProbeError { reason: Reason::Stale, source: None }),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn failed(&self, error: RedisError) -> StoreProbeError {
        // The link has already recorded the reason in the state of the store. This reason is used
        // if the server's error was replaced with an error of latchkey.
        let reason = outage(&error).or_else(|| self.health().reason());
        StoreProbeError { reason: reason.unwrap_or(Reason::Refused), source: Some(lost(error)) }
    }
}
