//! The rows of the table `signing_keys`. This module reads and creates the rows, and encrypts their
//! keys with a new master key.
//!
//! If the master key is lost, the stored keys cannot be decrypted. When a daemon starts in this
//! state, it retires the stored keys and creates new keys. A daemon never does this after its
//! start. A running replica with an old master key keeps the keys that it has in memory. So two
//! replicas with different master keys do not repeatedly retire each other's keys.

use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use latchkey_entity::signing_key::{ActiveModel, Column, Entity, Model, SigningKeyState};
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, ConnectionTrait, DbErr, EntityTrait as _, QueryFilter as _,
    QueryOrder as _,
};

use super::key_events::{Why, log_lost_key};
use super::keys::{Key, KeySet, KeysError, Kind, RecordKeys};
use super::material::{self, Material};
use crate::audit::{self, Masters};
use crate::clock::{Clock, UnixMillis, millis};
use crate::config::{Tokens, VaultAlgorithm};
use crate::database::Db;
use crate::secret::{KeyError, MasterKey, Secret, random_id, seal};
use crate::store::RecordMac;
use crate::telemetry::Metrics;

/// A retired key verifies tokens for the lifetime of its last token, and for this additional time.
/// The clocks of replicas differ by up to 2 min. A replica that misses its readings signs with the
/// old key for up to 8 min after another replica has retired this key.
pub(super) const RETIRED_SLACK: Duration = Duration::from_mins(10);

/// The dependencies of the signing keys.
#[derive(Clone, Debug)]
pub struct KeyDependencies {
    pub db: Db,
    /// The key that encrypts the signing keys.
    pub master: MasterKey,
    /// The previous master key. While the master key is being changed, this key can also decrypt
    /// the signing keys.
    pub previous: Option<MasterKey>,
    /// The settings of tokens: the algorithm, the shared secret, the lifetimes and the period of
    /// the rotation.
    pub tokens: Tokens,
    /// The setting `sessions.absolute_ttl`. A retired userToken key verifies tokens for this time.
    pub absolute_ttl: Duration,
    pub clock: Clock,
    /// The metrics that count audit events. `None` in a process of the command line, because
    /// nothing collects the metrics of this process.
    pub metrics: Option<Arc<Metrics>>,
}

/// A new key that is not in the table yet.
pub(super) struct Fresh {
    row: Model,
}

impl KeyDependencies {
    /// The kinds of keys that are in the table. If vaultTokens are signed with `tokens.secret`, the
    /// table has no keys for vaultTokens.
    pub(super) fn kinds(&self) -> &'static [Kind] {
        let shared = &[Kind::User, Kind::Store, Kind::Factor];
        if self.shared_secret().is_some() { shared } else { &Kind::ALL }
    }

    /// The kinds of keys in the table that are rotated.
    pub(super) fn rotated_kinds(&self) -> &'static [Kind] {
        if self.shared_secret().is_some() { &[Kind::User] } else { &Kind::TOKENS }
    }

    fn shared_secret(&self) -> Option<&Secret<String>> {
        let is_shared = self.tokens.algorithm == VaultAlgorithm::Hs256;
        self.tokens.secret.as_ref().filter(|_| is_shared)
    }

    /// All rows, the oldest first.
    pub(super) async fn rows(&self) -> Result<Vec<Model>, DbErr> {
        Entity::find()
            .order_by_asc(Column::CreatedAt)
            .order_by_asc(Column::Id)
            .all(self.db.writer())
            .await
    }

    /// Reads the keys from the table. If no key of a kind signs, creates a key of this kind.
    pub(super) async fn read(&self) -> Result<KeySet, KeysError> {
        let mut rows = self.rows().await?;
        for kind in self.kinds() {
            if of(&rows, *kind, SigningKeyState::Signing).is_none() {
                self.ensure(*kind).await?;
                rows = self.rows().await?;
            }
        }
        let records = self.records(&rows)?.ok_or(KeysError::Sealed(Kind::Store))?;
        let factors = self.factors(&rows)?.ok_or(KeysError::Sealed(Kind::Factor))?;
        let now = self.clock.now();
        let mut verifying: Vec<Arc<Key>> = Vec::new();
        let mut signing = [None, None];
        let is_of_tokens = |row: &&Model| Kind::TOKENS.iter().any(|kind| row.kind == kind.name());
        let rows = rows.iter().filter(is_of_tokens);
        for row in rows.filter(|row| self.verifies(row, now)) {
            let Some(key) = self.parse(row).map(Arc::new) else { continue };
            if row.state == SigningKeyState::Signing {
                signing[key.kind as usize] = Some(key.clone());
            }
            verifying.push(key);
        }
        let [user, vault] = signing;
        let user = user.ok_or(KeysError::Sealed(Kind::User))?;
        let vault = if let Some(secret) = self.shared_secret() {
            let key = Arc::new(shared_secret_key(secret)?);
            verifying.push(key.clone());
            key
        } else {
            vault.ok_or(KeysError::Sealed(Kind::Vault))?
        };
        Ok(KeySet::new((user, vault), (records, factors), verifying))
    }

    /// The keys of the token store's records. `None` if the table has no current key.
    ///
    /// # Errors
    /// [`KeysError::Sealed`] if no master key of this process decrypts the key.
    fn records(&self, rows: &[Model]) -> Result<Option<RecordKeys>, KeysError> {
        let Some(row) = of(rows, Kind::Store, SigningKeyState::Signing) else { return Ok(None) };
        let (bytes, _) = self.open(row).ok_or(KeysError::Sealed(Kind::Store))?;
        let key = |bytes: Secret<Vec<u8>>| bytes.expose().as_slice().try_into().map(Secret::new);
        let current = key(bytes).map_err(|_| KeyError)?;
        let others = rows.iter().filter(|it| it.kind == row.kind && it.id != row.id);
        let retired = others.filter_map(|it| key(self.open(it)?.0).ok()).collect();
        Ok(Some(RecordKeys { current, retired }))
    }

    /// Authenticates the records of the token store in a process that runs beside daemons, such as
    /// a command of the CLI. This process creates a missing key, but never replaces one.
    pub async fn record_mac(&self) -> Result<RecordMac, KeysError> {
        if let Some(keys) = self.records(&self.rows().await?)? {
            return Ok(keys.mac());
        }
        self.replace(Kind::Store, self.algorithm(Kind::Store), None, Why::Lost).await?;
        let keys = self.records(&self.rows().await?)?.ok_or(KeysError::Sealed(Kind::Store))?;
        Ok(keys.mac())
    }

    /// Whether a token that this key signed can still be used.
    pub(super) fn verifies(&self, row: &Model, now: UnixMillis) -> bool {
        row.revoked_at.is_none() && self.verifies_until(row).is_none_or(|until| now <= until)
    }

    /// The time until which a retired key verifies tokens. `None` if the key is not retired. A
    /// retired key of the token store verifies nothing. Until this time, its records still exist. A
    /// key of second factors has no such time, because the secrets that it encrypts do not expire.
    pub(super) fn verifies_until(&self, row: &Model) -> Option<UnixMillis> {
        if row.kind == Kind::Factor.name() {
            return None;
        }
        let ttl =
            if row.kind == Kind::Vault.name() { self.tokens.vault_ttl } else { self.absolute_ttl };
        row.retired_at.map(|at| at + millis(ttl) + millis(RETIRED_SLACK))
    }

    pub(super) fn algorithm(&self, kind: Kind) -> Algorithm {
        match (kind, self.tokens.algorithm) {
            (Kind::User | Kind::Store | Kind::Factor, _) | (_, VaultAlgorithm::Hs256) => {
                Algorithm::HS256
            }
            (_, VaultAlgorithm::Es256) => Algorithm::ES256,
            (_, VaultAlgorithm::EdDsa) => Algorithm::EdDSA,
            (_, VaultAlgorithm::Rs256) => Algorithm::RS256,
        }
    }

    /// Decrypts a key. Returns the key, and which master key of this process decrypted it.
    pub(super) fn open(&self, row: &Model) -> Option<(Secret<Vec<u8>>, Sealed)> {
        let context = context(&row.id, &row.kind, &row.algorithm);
        let open = |master: &MasterKey| seal::open(master, &context, &row.sealed).ok();
        open(&self.master)
            .map(|bytes| (bytes, Sealed::Now))
            .or_else(|| self.previous.as_ref().and_then(open).map(|bytes| (bytes, Sealed::Before)))
    }

    /// The master key that decrypts the signing key in a row.
    pub(super) fn sealed(&self, row: &Model) -> Sealed {
        self.open(row).map_or(Sealed::Elsewhere, |(_, sealed)| sealed)
    }

    /// The parsed key of a row. `None` if no master key of this process decrypts the key.
    pub(super) fn parse(&self, row: &Model) -> Option<Key> {
        let kind = Kind::from_name(&row.kind)?;
        let (bytes, _) = self.open(row)?;
        let algorithm = algorithm_of(row);
        let material = Material::parse(algorithm, bytes.expose()).ok()?;
        let signs_from =
            row.signs_from.or((row.state != SigningKeyState::Next).then_some(row.created_at));
        Key::new(row.id.clone(), kind, algorithm, material, signs_from).ok()
    }

    /// Takes the keys that are encrypted with the previous master key and encrypts them with the
    /// current master key. After this, the previous master key can be removed from the settings.
    ///
    /// Several replicas can do this at the same time, because only the first replica changes a row.
    /// If some replicas still have the two master keys in the other order, the replicas repeatedly
    /// undo each other's change. This does no harm, because all of them can decrypt with both
    /// master keys.
    pub(super) async fn reseal(&self) -> Result<u64, KeysError> {
        if self.previous.is_none() {
            return Ok(0);
        }
        // The audit key is encrypted first. So if every signing key is encrypted with the current
        // master key, the audit key is also encrypted with it.
        let masters = Masters { current: &self.master, previous: self.previous.as_ref() };
        audit::reseal(&self.db, masters).await?;
        let mut resealed = 0;
        for row in self.rows().await? {
            let Some((bytes, Sealed::Before)) = self.open(&row) else { continue };
            let context = context(&row.id, &row.kind, &row.algorithm);
            let sealed = seal::seal(&self.master, &context, &bytes)?;
            let changed = Entity::update_many()
                .col_expr(Column::Sealed, sealed.into())
                .filter(Column::Id.eq(row.id))
                .filter(Column::Sealed.eq(row.sealed))
                .exec(self.db.writer())
                .await?;
            resealed += changed.rows_affected;
        }
        if resealed > 0 {
            tracing::info!(
                keys = resealed,
                "the signing keys were encrypted with the new master key"
            );
        }
        Ok(resealed)
    }

    /// Creates a key of this kind if no key of this kind signs. A daemon calls this function at its
    /// start. If the algorithm of the key that signs is not the algorithm in the settings, a key
    /// with the new algorithm is published. As in any rotation, it is published some time before it
    /// signs.
    pub(super) async fn ensure(&self, kind: Kind) -> Result<(), KeysError> {
        let (rows, algorithm) = (self.rows().await?, self.algorithm(kind));
        let signing = of(&rows, kind, SigningKeyState::Signing);
        let usable = signing.filter(|row| self.parse(row).is_some());
        let Some(usable) = usable else {
            if kind == Kind::Factor && self.reinstate_factor_key(&rows, signing).await? {
                return Ok(());
            }
            if let Some(row) = signing {
                log_lost_key(row, kind);
            }
            let old = signing.map(|row| row.id.as_str());
            let made = self.replace(kind, algorithm, old, Why::Lost);
            return made.await.map(drop);
        };
        let next = of(&rows, kind, SigningKeyState::Next);
        let opens = |row: &Model| self.parse(row).is_some();
        let is_next = next.is_some_and(|row| algorithm_of(row) == algorithm && opens(row));
        if is_next || (next.is_none() && algorithm_of(usable) == algorithm) {
            return Ok(());
        }
        if let Some(row) = next.filter(|row| opens(row)) {
            self.drop_next(row).await?;
        } else if let Some(row) = next {
            self.drop_unopened(row).await?;
        }
        if algorithm_of(usable) != algorithm {
            self.publish(kind, algorithm, Why::Due).await?;
        }
        Ok(())
    }

    /// Deletes the next signing key, unless this key already signs.
    async fn drop_next(&self, row: &Model) -> Result<bool, DbErr> {
        let dropped = Entity::delete_many()
            .filter(Column::Id.eq(&row.id))
            .filter(Column::State.eq(SigningKeyState::Next))
            .exec(self.db.writer())
            .await?;
        Ok(dropped.rows_affected == 1)
    }

    /// Deletes the next signing key if no master key of this process decrypts it. This key would
    /// never sign, and while it exists, no other key can be published.
    pub(super) async fn drop_unopened(&self, row: &Model) -> Result<(), DbErr> {
        if self.drop_next(row).await? {
            tracing::warn!(
                kid = row.id,
                kind = row.kind,
                "the next signing key was deleted, because none of the configured master keys \
                 decrypts it"
            );
        }
        Ok(())
    }

    /// Creates a key without writing it to the table. An RSA key takes a few hundred milliseconds,
    /// so the key is created on a blocking thread.
    pub(super) async fn fresh(
        &self,
        kind: Kind,
        algorithm: Algorithm,
        state: SigningKeyState,
    ) -> Result<Fresh, KeysError> {
        let making = tokio::task::spawn_blocking(move || material::generate(algorithm));
        let bytes = making.await.map_err(|_| KeyError)??;
        let (id, name, now) = (random_id(), format!("{algorithm:?}"), self.clock.now());
        let sealed = seal::seal(&self.master, &context(&id, kind.name(), &name), &bytes)?;
        let row = Model {
            id,
            kind: kind.name().to_owned(),
            algorithm: name,
            sealed,
            state,
            created_at: now,
            retired_at: None,
            signs_from: (state == SigningKeyState::Signing).then_some(now),
            revoked_at: None,
        };
        Ok(Fresh { row })
    }
}

/// The master key that decrypts the signing key in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sealed {
    /// The master key in the setting `secrets.master_key`.
    Now,
    /// The master key in the setting `secrets.master_key_previous`. Do not remove this setting
    /// while this master key decrypts a row.
    Before,
    /// No master key in the settings decrypts the row.
    Elsewhere,
}

impl Fresh {
    /// Inserts the row, unless another key of the same kind already has the same state. In that
    /// case another replica was faster, and the key of that replica is used.
    pub(super) async fn insert<C: ConnectionTrait>(self, connection: &C) -> Result<bool, DbErr> {
        let row = self.row;
        let row = ActiveModel {
            id: Set(row.id),
            kind: Set(row.kind),
            algorithm: Set(row.algorithm),
            sealed: Set(row.sealed),
            state: Set(row.state),
            created_at: Set(row.created_at),
            retired_at: Set(row.retired_at),
            signs_from: Set(row.signs_from),
            revoked_at: Set(row.revoked_at),
        };
        let inserted = Entity::insert(row)
            .on_conflict(OnConflict::new().do_nothing().to_owned())
            .exec_without_returning(connection)
            .await?;
        Ok(inserted == 1)
    }

    pub(super) fn id(&self) -> &str {
        &self.row.id
    }
}

/// The row with this kind and this state. Use this function only for a state that at most one row
/// of a kind can have.
pub(super) fn of(rows: &[Model], kind: Kind, state: SigningKeyState) -> Option<&Model> {
    rows.iter().find(|row| row.kind == kind.name() && row.state == state)
}

pub(super) fn algorithm_of(row: &Model) -> Algorithm {
    Algorithm::from_str(&row.algorithm).unwrap_or_default()
}

fn context(id: &str, kind: &str, algorithm: &str) -> String {
    format!("{id} {kind} {algorithm}")
}

/// The key that signs vaultTokens with the setting `tokens.secret`. Its `kid` is the same on every
/// replica and reveals nothing about the secret.
fn shared_secret_key(secret: &Secret<String>) -> Result<Key, KeyError> {
    let bytes = secret.expose().as_bytes();
    let id = URL_SAFE_NO_PAD.encode(&crate::secret::hmac_sha256(bytes, b"latchkey kid")[..16]);
    let material = Material::parse(Algorithm::HS256, bytes)?;
    Key::new(id, Kind::Vault, Algorithm::HS256, material, None)
}
