//! [`RecordMac`]: authenticates the records of sessions and mailed tokens, so that latchkey uses
//! only records that it has written itself.
//!
//! A record is a text: 43 characters of base64url, and then JSON. The characters are the
//! HMAC-SHA-256 of the record's key and of the JSON. So no byte of a record can be changed, and a
//! record that is copied to another key is refused. A refused record counts as absent. Values of
//! the store that cannot be read are counted with the refused records.
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
    /// Keys that an operator has retired. A record of such a key is refused but not reported,
    /// because latchkey wrote it.
    retired: ArcSwap<Vec<Secret<[u8; 32]>>>,
    metrics: OnceLock<Arc<Metrics>>,
    /// Limits the log lines about refused records, because an attacker can cause many of them.
    log: OnceAMinute,
    started: Instant,
}

impl RecordMac {
    pub fn new(key: Secret<[u8; 32]>) -> Self {
        Self(Arc::new(Inner {
            key: ArcSwap::from_pointee(key),
            retired: ArcSwap::default(),
            metrics: OnceLock::new(),
            log: OnceAMinute::new(),
            started: Instant::now(),
        }))
    }

    /// Replaces the key and the retired keys. Records with MACs of another key than `key` are
    /// refused from now on.
    pub fn replace_keys(&self, key: Secret<[u8; 32]>, retired: Vec<Secret<[u8; 32]>>) {
        self.0.retired.store(Arc::new(retired));
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
            if !parts.is_some_and(|(mac, json)| self.is_of_retired_key(key, mac, json)) {
                self.refuse();
            }
            return Ok(None);
        };
        serde_json::from_slice(json).map(Some).map_err(lost)
    }

    fn is_of_retired_key(&self, key: &str, mac: &[u8], json: &[u8]) -> bool {
        let of = |retired| equal(mac, mac_with(retired, key, json).as_bytes());
        self.0.retired.load().iter().any(of)
    }

    fn mac(&self, key: &str, json: &[u8]) -> String {
        mac_with(&self.0.key.load(), key, json)
    }

    fn refuse(&self) {
        if self.count_refusal() {
            tracing::error!(
                "the token store contains a session or a mailed token that latchkey did not write: \
                 it is ignored; check who can write to the token store"
            );
        }
    }

    /// Counts values that have another type or format than latchkey writes.
    pub(super) fn refuse_values(&self, count: u64) {
        for _ in 0..count {
            if self.count_refusal() {
                tracing::error!(
                    "the token store contains a value that latchkey did not write and cannot read: \
                     it counts as absent; check who can write to the token store"
                );
            }
        }
    }

    /// Counts a refusal. Returns whether a line of the log about refusals is due.
    fn count_refusal(&self) -> bool {
        if let Some(metrics) = self.0.metrics.get() {
            metrics.records_refused.one(());
        }
        self.0.log.is_due(millis(self.0.started.elapsed()))
    }
}

fn mac_with(mac_key: &Secret<[u8; 32]>, key: &str, json: &[u8]) -> String {
    // The length of the key is part of the message, so that two different pairs of a key and a
    // JSON text never give the same message.
    let mut message = Vec::with_capacity(8 + key.len() + json.len());
    message.extend_from_slice(&(key.len() as u64).to_be_bytes());
    message.extend_from_slice(key.as_bytes());
    message.extend_from_slice(json);
    URL_SAFE_NO_PAD.encode(hmac_sha256(mac_key.expose(), &message))
}

/// Reads the JSON of a record without checking the MAC. The result may only decide which records
/// are deleted. `None` if the JSON cannot be read.
pub(super) fn unchecked<T: DeserializeOwned>(record: &[u8]) -> Option<T> {
    serde_json::from_slice(record.get(MAC_CHARS..)?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mac() -> RecordMac {
        RecordMac::new(Secret::new([7; 32]))
    }

    #[test]
    fn a_record_is_read_only_under_its_key_and_with_its_mac_key() {
        let record = mac().seal("lk:a:b", &5).unwrap();
        assert_eq!(mac().open("lk:a:b", &record).unwrap(), Some(5));
        assert_eq!(mac().open::<i32>("lk:a:", &record).unwrap(), None);
        let another = RecordMac::new(Secret::new([8; 32]));
        assert_eq!(another.open::<i32>("lk:a:b", &record).unwrap(), None);
        another.replace_keys(Secret::new([7; 32]), Vec::new());
        assert_eq!(another.open("lk:a:b", &record).unwrap(), Some(5));
        // The end of the key cannot become the start of the JSON.
        let moved = mac().seal("lk:a:b1", &2).unwrap();
        let moved = [&moved[..MAC_CHARS], b"12"].concat();
        assert_eq!(mac().open::<i32>("lk:a:b", &moved).unwrap(), None);
    }

    #[test]
    fn refused_records_are_counted() {
        let (mac, metrics) = (mac(), Arc::new(Metrics::new().unwrap()));
        mac.watch(&metrics);
        for record in [b"".as_slice(), b"{}", b"null", &[0xff; 99]] {
            assert_eq!(mac.open::<i32>("key", record).unwrap(), None);
        }
        // A record of a retired key is refused too, but latchkey wrote it.
        let record = mac.seal("key", &5).unwrap();
        mac.replace_keys(Secret::new([8; 32]), vec![Secret::new([7; 32])]);
        assert_eq!(mac.open::<i32>("key", &record).unwrap(), None);
        let count = |count| format!("\nlatchkey_store_records_refused_total {count}\n");
        assert!(metrics.render().contains(&count(4)));
        assert_eq!(mac.open::<i32>("another key", &record).unwrap(), None);
        mac.refuse_values(2);
        assert!(metrics.render().contains(&count(7)));
    }

    proptest! {
        #[test]
        fn a_record_with_any_other_byte_is_refused(
            content in ".{0,60}",
            at in any::<prop::sample::Index>(),
            change in 1..=255_u8,
            cut in any::<prop::sample::Index>(),
            more in prop::collection::vec(any::<u8>(), 1..20),
        ) {
            let record = mac().seal("key", &content).unwrap();
            prop_assert_eq!(mac().open("key", &record).unwrap(), Some(content));
            let mut changed = record.clone();
            changed[at.index(record.len())] ^= change;
            let longer = [record.as_slice(), &more].concat();
            for other in [&changed[..], &record[..cut.index(record.len())], &longer] {
                prop_assert_eq!(mac().open::<String>("key", other).unwrap(), None);
            }
        }
    }
}
