//! [`Keys`]: the current and all earlier audit keys. They are used to check rows and the ends of
//! streams.

use std::collections::HashMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use latchkey_entity::{audit_event, audit_key, audit_stream};
use sea_orm::{ConnectionTrait, DbErr, EntityTrait as _};

use super::Masters;
use super::seal::{self, End};
use crate::secret::{Secret, equal};

/// The audit keys of a database. The map's key is the name of an audit key.
pub struct Keys(HashMap<String, Secret<[u8; 32]>>);

/// The result of checking a row or the end of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    /// The row or end is the same as the daemon wrote it.
    Good,
    /// The row or end is not the same as the daemon wrote it.
    Bad,
    /// The row or end cannot be checked, because its audit key is lost or is not in this database.
    Unknown,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Keys {
    /// Reads the audit keys and changes nothing. The result contains no keys that the configured
    /// master keys do not open.
    pub async fn read<C: ConnectionTrait>(db: &C, masters: Masters<'_>) -> Result<Self, DbErr> {
        let rows = audit_key::Entity::find().all(db).await?;
        let opened = |row: audit_key::Model| masters.open(&row).map(|bytes| (row.id, bytes));
        Ok(Self(rows.into_iter().filter_map(opened).collect()))
    }

    /// The name of each key with the key's 32 bytes in base64url. With these values an export can
    /// be checked without this database. These values must never be logged.
    pub fn printed(&self) -> impl Iterator<Item = (&str, String)> {
        let encoded = |key: &Secret<[u8; 32]>| URL_SAFE_NO_PAD.encode(key.expose());
        self.0.iter().map(move |(id, key)| (id.as_str(), encoded(key)))
    }

    /// The names of the keys.
    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub(super) fn get(&self, id: &str) -> Option<&Secret<[u8; 32]>> {
        self.0.get(id)
    }

    pub(super) fn insert(&mut self, id: String, bytes: Secret<[u8; 32]>) {
        self.0.insert(id, bytes);
    }

    /// Checks a row. The row is good if the daemon wrote it directly after a row whose `mac` is
    /// `previous`.
    pub fn event(&self, previous: &[u8], row: &audit_event::Model) -> Checked {
        self.check(&row.key_id, &row.mac, |key| seal::event_mac(key, previous, row))
    }

    /// Checks an end of a stream. The end is good if the daemon has sealed it in this form.
    pub fn end(&self, stream: &audit_stream::Model, end: End) -> Checked {
        let (key, found) = match end {
            End::Head => (&stream.head_key, &stream.head_seal),
            End::Base => (&stream.base_key, &stream.base_seal),
        };
        self.check(key, found, |key| seal::end_seal(key, end, &seal::place(stream, end)))
    }

    fn check(&self, key: &str, found: &[u8], make: impl FnOnce(&[u8; 32]) -> [u8; 32]) -> Checked {
        match self.0.get(key) {
            None => Checked::Unknown,
            Some(key) if equal(&make(key.expose()), found) => Checked::Good,
            Some(_) => Checked::Bad,
        }
    }
}
