//! [`Chain`]: contains the audit key, which authenticates the rows of the audit.
//!
//! The audit key is random, and all replicas share it. It is stored in the database, sealed under
//! the master key, as signing keys are. So the rows can still be checked after the master key is
//! replaced. If the master key is lost, the rows that were written with the audit key cannot be
//! checked. The daemon then creates a new audit key and logs this at error level, and `latchkey
//! audit verify` reports the rows that cannot be checked.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use latchkey_entity::audit_key::{self, AuditKeyState};
use latchkey_entity::{audit_event, audit_stream};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, ColumnTrait as _, DbErr, EntityTrait as _, QueryFilter as _};

use super::keys::Keys;
use super::seal::{self, End};
use crate::clock::UnixMillis;
use crate::database::Db;
use crate::secret::{KeyError, MasterKey, Secret, random_bytes, random_id, seal as sealing};
use crate::telemetry::Metrics;

/// The prefix of every [`Chain::name`].
pub const NAME_PREFIX: &str = "audit:";

/// Authenticates new rows with the current audit key. Clones are cheap.
#[derive(Clone)]
pub struct Chain {
    key: Arc<Key>,
    known: Arc<Keys>,
    metrics: Option<Arc<Metrics>>,
    latest_checkpoint: Arc<AtomicI64>,
}

struct Key {
    id: String,
    bytes: Secret<[u8; 32]>,
}

/// Why the audit key cannot be used.
#[derive(Debug)]
pub enum ChainError {
    /// The database failed.
    Database(DbErr),
    /// A key cannot be sealed, or a key that another replica has created cannot be opened.
    Key(KeyError),
    /// The database contains a current audit key, but the configured master keys do not open it.
    Sealed,
}

impl fmt::Display for ChainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Database(error) => error.fmt(f),
            Self::Key(error) => write!(f, "audit key: {error}"),
            Self::Sealed => f.write_str(
                "`secrets.master_key` does not decrypt the audit key: it is not the master key of \
                 the daemons",
            ),
        }
    }
}

impl std::error::Error for ChainError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        if let Self::Database(error) = self { Some(error) } else { None }
    }
}

impl From<DbErr> for ChainError {
    fn from(error: DbErr) -> Self {
        Self::Database(error)
    }
}

impl From<KeyError> for ChainError {
    fn from(error: KeyError) -> Self {
        Self::Key(error)
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chain").field("key", &self.key.id).finish_non_exhaustive()
    }
}

/// The master keys with which audit keys are sealed and opened.
#[derive(Clone, Copy, Debug)]
pub struct Masters<'a> {
    /// The current master key. It seals and opens audit keys.
    pub current: &'a MasterKey,
    /// The previous master key. It only opens audit keys, while the master key is being replaced.
    pub previous: Option<&'a MasterKey>,
}

impl Masters<'_> {
    pub(super) fn open(self, row: &audit_key::Model) -> Option<Secret<[u8; 32]>> {
        let context = context(&row.id);
        [Some(self.current), self.previous]
            .into_iter()
            .flatten()
            .find_map(|master| sealing::open(master, &context, &row.sealed).ok())
            .and_then(|bytes| <[u8; 32]>::try_from(bytes.expose().as_slice()).ok())
            .map(Secret::new)
    }

    /// Whether the current master key does not open the audit key of a row.
    fn is_stale(self, row: &audit_key::Model) -> bool {
        let context = context(&row.id);
        sealing::open(self.current, &context, &row.sealed).is_err()
    }
}

impl Chain {
    /// Reads the current audit key. If there is none that the master keys open, this function
    /// creates one. It also seals the audit keys again that are still sealed under the previous
    /// master key.
    pub async fn load(db: &Db, masters: Masters<'_>, now: UnixMillis) -> Result<Self, ChainError> {
        reseal(db, masters).await?;
        if let Some(chain) = Self::read(db, masters).await? {
            return Ok(chain);
        }
        let (id, bytes) = make(db, masters, now).await?;
        Self::of(db, masters, id, bytes).await
    }

    /// Does the same as [`Chain::load`] for processes that run beside daemons, such as commands of
    /// the CLI. If the master keys of such a process do not open the audit key, the daemons use
    /// another master key. So the process must not replace their audit key.
    ///
    /// # Errors
    /// [`ChainError::Sealed`] if the master keys do not open the audit key. Otherwise the same
    /// errors as for [`Chain::load`].
    pub async fn join(db: &Db, masters: Masters<'_>, now: UnixMillis) -> Result<Self, ChainError> {
        let Some(row) = current(db).await? else { return Self::load(db, masters, now).await };
        let bytes = masters.open(&row).ok_or(ChainError::Sealed)?;
        Self::of(db, masters, row.id, bytes).await
    }

    /// Checks that the master keys open the current audit key, if there is one.
    ///
    /// # Errors
    /// [`ChainError::Sealed`] if they do not, or the database's error.
    pub async fn check(db: &Db, masters: Masters<'_>) -> Result<(), ChainError> {
        match current(db).await? {
            Some(row) if masters.open(&row).is_none() => Err(ChainError::Sealed),
            _ => Ok(()),
        }
    }

    /// Reads the current audit key and changes nothing. Returns None if there is no audit key that
    /// the master keys open.
    pub async fn read(db: &Db, masters: Masters<'_>) -> Result<Option<Self>, ChainError> {
        let opened =
            current(db).await?.and_then(|row| masters.open(&row).map(|bytes| (row.id, bytes)));
        let Some((id, bytes)) = opened else { return Ok(None) };
        Self::of(db, masters, id, bytes).await.map(Some)
    }

    async fn of(
        db: &Db,
        masters: Masters<'_>,
        id: String,
        bytes: Secret<[u8; 32]>,
    ) -> Result<Self, ChainError> {
        let mut known = Keys::read(db.writer(), masters).await?;
        known.insert(id.clone(), bytes.clone());
        Ok(Self {
            key: Arc::new(Key { id, bytes }),
            known: Arc::new(known),
            metrics: None,
            latest_checkpoint: Arc::default(),
        })
    }

    /// All audit keys that the master keys open. They are used to check rows.
    pub fn keys(&self) -> &Keys {
        &self.known
    }

    /// Returns this chain with metrics. It then counts the events that it writes.
    #[must_use]
    pub fn counting(mut self, metrics: Arc<Metrics>) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// A name for an entry of the token store. It is made from `parts` and does not reveal them.
    /// All replicas give the same parts the same name.
    pub fn name(&self, parts: &[&[u8]]) -> String {
        let name = seal::name_mac(self.key.bytes.expose(), parts);
        format!("{NAME_PREFIX}{}", URL_SAFE_NO_PAD.encode(name))
    }

    /// The name that replaces an email address in the log. `address` is in its normal form.
    pub fn log_name(&self, address: &str) -> String {
        self.name(&[b"log", address.as_bytes()])
    }

    /// Counts an event that could not be written.
    pub fn count_failure(&self) {
        if let Some(metrics) = &self.metrics {
            metrics.audit_write_failures.one(());
        }
    }

    pub(super) fn metrics(&self) -> Option<&Metrics> {
        self.metrics.as_deref()
    }

    pub(super) fn key_id(&self) -> &str {
        &self.key.id
    }

    /// The seed of the key that currently signs checkpoints.
    pub(super) fn checkpoint_seed(&self) -> Secret<[u8; 32]> {
        Secret::new(seal::checkpoint_seed(self.key.bytes.expose()))
    }

    pub(super) fn event_mac(&self, previous: &[u8], row: &audit_event::Model) -> [u8; 32] {
        seal::event_mac(self.key.bytes.expose(), previous, row)
    }

    /// Seals the head of a stream with the current key.
    pub(super) fn seal_head(&self, stream: &mut audit_stream::Model) {
        self.key_id().clone_into(&mut stream.head_key);
        stream.head_seal = self.end_seal(End::Head, stream);
    }

    /// Seals the base of a stream with the current key.
    pub(super) fn seal_base(&self, stream: &mut audit_stream::Model) {
        self.key_id().clone_into(&mut stream.base_key);
        stream.base_seal = self.end_seal(End::Base, stream);
    }

    fn end_seal(&self, end: End, stream: &audit_stream::Model) -> Vec<u8> {
        seal::end_seal(self.key.bytes.expose(), end, &seal::place(stream, end)).to_vec()
    }

    /// The number of the newest checkpoint event that this process knows. 0 if it knows none.
    pub(super) fn latest_checkpoint(&self) -> i64 {
        self.latest_checkpoint.load(Ordering::Relaxed)
    }

    pub(super) fn knows_checkpoint(&self, seq: i64) {
        self.latest_checkpoint.fetch_max(seq, Ordering::Relaxed);
    }
}

fn context(id: &str) -> String {
    format!("audit key {id}")
}

async fn current(db: &Db) -> Result<Option<audit_key::Model>, DbErr> {
    audit_key::Entity::find()
        .filter(audit_key::Column::State.eq(AuditKeyState::Current))
        .one(db.writer())
        .await
}

/// Seals audit keys again under the current master key, if only the previous master key opens them.
pub(crate) async fn reseal(db: &Db, masters: Masters<'_>) -> Result<(), ChainError> {
    if masters.previous.is_none() {
        return Ok(());
    }
    for row in audit_key::Entity::find().all(db.writer()).await? {
        if !masters.is_stale(&row) {
            continue;
        }
        let Some(bytes) = masters.open(&row) else { continue };
        let sealed = sealed(masters, &row.id, &bytes)?;
        audit_key::Entity::update_many()
            .set(audit_key::ActiveModel { sealed: Set(sealed), ..Default::default() })
            .filter(audit_key::Column::Id.eq(row.id))
            .filter(audit_key::Column::Sealed.eq(row.sealed))
            .exec(db.writer())
            .await?;
    }
    Ok(())
}

fn sealed(masters: Masters<'_>, id: &str, bytes: &Secret<[u8; 32]>) -> Result<Vec<u8>, KeyError> {
    sealing::seal(masters.current, &context(id), &Secret::new(bytes.expose().to_vec()))
}

/// Creates a new current audit key. If there is a current key that the master keys do not open,
/// that key is retired. If another replica has created a key in the meantime, the key of that
/// replica is used.
async fn make(
    db: &Db,
    masters: Masters<'_>,
    now: UnixMillis,
) -> Result<(String, Secret<[u8; 32]>), ChainError> {
    let (id, bytes) = (random_id(), Secret::new(random_bytes::<32>()));
    let sealed = sealed(masters, &id, &bytes)?;
    let tx = db.begin().await?;
    let current = audit_key::Entity::find()
        .filter(audit_key::Column::State.eq(AuditKeyState::Current))
        .one(&tx)
        .await?;
    if let Some(row) = current {
        if let Some(bytes) = masters.open(&row) {
            return Ok((row.id, bytes));
        }
        tracing::error!(
            key = row.id,
            "the master key does not decrypt this audit key: a new key replaces it, and rows \
             under the old key cannot be verified"
        );
        audit_key::Entity::update_many()
            .set(audit_key::ActiveModel {
                state: Set(AuditKeyState::Retired),
                ..Default::default()
            })
            .filter(audit_key::Column::Id.eq(row.id))
            .exec(&tx)
            .await?;
    }
    let row = audit_key::ActiveModel {
        id: Set(id.clone()),
        sealed: Set(sealed),
        state: Set(AuditKeyState::Current),
        created_at: Set(now),
    };
    let inserted = audit_key::Entity::insert(row)
        .on_conflict(OnConflict::new().do_nothing().to_owned())
        .exec_without_returning(&tx)
        .await?;
    tx.commit().await?;
    if inserted == 1 {
        tracing::info!(key = id, "an audit key was created");
        return Ok((id, bytes));
    }
    let winner = audit_key::Entity::find()
        .filter(audit_key::Column::State.eq(AuditKeyState::Current))
        .one(db.writer())
        .await?
        .ok_or(KeyError)?;
    let bytes = masters.open(&winner).ok_or(KeyError)?;
    Ok((winner.id, bytes))
}

#[cfg(test)]
#[path = "chain_tests.rs"]
mod tests;
