//! [`RecordMac`]: authenticates the records of sessions and mailed tokens, so that latchkey uses
//! only records that it has written itself.
//!
//! A record is a text: 43 characters of base64url, and then JSON. The characters are the
//! HMAC-SHA-256 of the record's key and of the JSON. So no byte of a record can be changed, and a
//! record that is copied to another key is refused. A refused record counts as absent.
//!
//! A client of the store can still put back an older record that latchkey wrote under the same key.
//! `docs/adr/0013-macs-in-the-token-store.md` describes what this allows.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::lost;
use crate::clock::{OnceAMinute, millis};
use crate::problem::Unavailable;
use crate::secret::{Secret, equal, hmac_sha256};
use crate::telemetry::Metrics;

/// The number of characters of the MAC at the start of a record.
pub(super) const MAC_CHARS: usize = 43;

/// A record with its MAC, as the store contains it. It is a sequence of bytes, because another
/// client of the store can write bytes that are not UTF-8.
pub(super) type Record = Vec<u8>;

/// Writes and checks the MACs of records. Clones share the key.
#[derive(Clone, Debug)]
pub struct RecordMac(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    key: ArcSwap<Secret<[u8; 32]>>,
    metrics: OnceLock<Arc<Metrics>>,
    /// Limits the log lines about refused records, because an attacker can cause many of them.
    log: OnceAMinute,
    started: Instant,
}

impl RecordMac {
    pub fn new(key: Secret<[u8; 32]>) -> Self {
        Self(Arc::new(Inner {
            key: ArcSwap::from_pointee(key),
            metrics: OnceLock::new(),
            log: OnceAMinute::new(),
            started: Instant::now(),
        }))
    }

    /// Replaces the key. Records with MACs of the old key are refused from now on.
    pub fn replace_key(&self, key: Secret<[u8; 32]>) {
        self.0.key.store(Arc::new(key));
    }

    /// Counts refused records from now on.
    pub(super) fn watch(&self, metrics: &Arc<Metrics>) {
        let _ = self.0.metrics.set(metrics.clone());
    }

    /// Creates the record that contains `value` and is stored under `key`.
    pub(super) fn seal<T: Serialize>(&self, key: &str, value: &T) -> Result<Record, Unavailable> {
        let json = serde_json::to_vec(value).map_err(lost)?;
        let mut record = self.mac(key, &json).into_bytes();
        record.extend(json);
        Ok(record)
    }

    /// Reads the record that was found under `key`. Returns `None` if latchkey did not write this
    /// record under this key.
    pub(super) fn open<T: DeserializeOwned>(
        &self,
        key: &str,
        record: &[u8],
    ) -> Result<Option<T>, Unavailable> {
        let parts = record.split_at_checked(MAC_CHARS);
        let genuine = parts.filter(|(mac, json)| equal(mac, self.mac(key, json).as_bytes()));
        let Some((_, json)) = genuine else {
            self.refuse();
            return Ok(None);
        };
        serde_json::from_slice(json).map(Some).map_err(lost)
    }

    fn mac(&self, key: &str, json: &[u8]) -> String {
        // The length of the key is part of the message, so that two different pairs of a key and a
        // JSON text never give the same message.
        let mut message = Vec::with_capacity(8 + key.len() + json.len());
        message.extend_from_slice(&(key.len() as u64).to_be_bytes());
        message.extend_from_slice(key.as_bytes());
        message.extend_from_slice(json);
        URL_SAFE_NO_PAD.encode(hmac_sha256(self.0.key.load().expose(), &message))
    }

    fn refuse(&self) {
        if let Some(metrics) = self.0.metrics.get() {
            metrics.records_refused.one(());
        }
        if self.0.log.is_due(millis(self.0.started.elapsed())) {
            tracing::error!(
                "the token store contains a session or a mailed token that latchkey did not write: \
                 it is ignored; check who can write to the token store"
            );
        }
    }
}

/// Reads the JSON of a record without checking the MAC. The result may only decide which records
/// are deleted. `None` if the JSON cannot be read.
pub(super) fn unchecked<T: DeserializeOwned>(record: &[u8]) -> Option<T> {
    serde_json::from_slice(record.get(MAC_CHARS..)?).ok()
}
