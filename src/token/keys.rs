//! The signing keys: made once, sealed in the database, shared by replicas, parsed once.
//!
//! One key of each kind signs at a time (a partial unique index holds that, also between replicas that start at once).
//! A retired key verifies for as long as a token that it signed can matter: a vaultToken's lifetime, or
//! `sessions.absolute_ttl` for a userToken, since an expired userToken may still refresh (contract §1).
//!
//! A lost or changed master key leaves sealed keys that cannot be opened: they are retired, and new ones are made.

use std::collections::HashMap;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, Header};
use latchkey_entity::signing_key;
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _,
};

use super::material::{self, KeyError, Material};
use super::seal;
use crate::clock::{Clock, UnixMillis, millis};
use crate::config::{Tokens, VaultAlgorithm};
use crate::database::Db;
use crate::problem::Unavailable;
use crate::secret::{MasterKey, Secret, random_id};

/// How far replicas' clocks may differ: a retired key outlives its last token by this much.
const SKEW: Duration = Duration::from_mins(2);

/// What a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// userTokens: HS256, for latchkey alone.
    User,
    /// vaultTokens: for whoever reads the JWKS.
    Vault,
}

impl Kind {
    /// As in the table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Vault => "vault",
        }
    }

    /// The `typ` of its tokens: RFC 9068 §2.1 for the vaultToken, a type of our own for the userToken.
    pub const fn typ(self) -> &'static str {
        match self {
            Self::User => "user+jwt",
            Self::Vault => "at+jwt",
        }
    }
}

/// One key, ready to use.
#[derive(Debug)]
pub struct Key {
    /// `kid`.
    pub id: String,
    /// What it signs.
    pub kind: Kind,
    /// The protected header of each of its tokens, encoded: a token is of this key only if its header is this, to the byte.
    pub header: String,
    /// The key.
    pub material: Material,
}

impl Key {
    fn new(
        id: String,
        kind: Kind,
        algorithm: Algorithm,
        material: Material,
    ) -> Result<Self, KeyError> {
        let mut header = Header::new(algorithm);
        header.typ = Some(kind.typ().to_owned());
        header.kid = Some(id.clone());
        let json = serde_json::to_vec(&header).map_err(|_| KeyError)?;
        Ok(Self { id, kind, header: URL_SAFE_NO_PAD.encode(json), material })
    }
}

/// The keys of one moment.
#[derive(Debug)]
pub struct KeySet {
    /// Signs userTokens.
    pub user: Arc<Key>,
    /// Signs vaultTokens.
    pub vault: Arc<Key>,
    by_header: HashMap<String, Arc<Key>>,
    jwks: Vec<Jwk>,
}

impl KeySet {
    /// The key whose tokens have exactly this header; none for any other header, whatever it says.
    pub fn by_header(&self, header: &str) -> Option<&Key> {
        self.by_header.get(header).map(Arc::as_ref)
    }

    /// The public keys that verify vaultTokens.
    pub fn jwks(&self) -> &[Jwk] {
        &self.jwks
    }
}

/// The keys, replaced as a whole when another replica changed them.
#[derive(Debug)]
pub struct KeyRing {
    current: ArcSwap<KeySet>,
    needs: Needs,
}

/// What the ring stands on.
#[derive(Clone, Debug)]
pub struct Needs {
    /// Where sealed keys are kept.
    pub db: Db,
    /// What seals them.
    pub master: MasterKey,
    /// What also opens them while the master key changes.
    pub previous: Option<MasterKey>,
    /// Algorithm, shared secret and lifetimes.
    pub tokens: Tokens,
    /// How long a retired userToken key verifies.
    pub absolute_ttl: Duration,
    /// The present.
    pub clock: Clock,
}

/// Why there are no keys.
#[derive(Debug)]
pub enum KeysError {
    /// The database did not answer.
    Unavailable(Unavailable),
    /// A key could not be made.
    Key(KeyError),
}

impl std::fmt::Display for KeysError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unavailable(error) => error.fmt(f),
            Self::Key(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for KeysError {}

impl From<sea_orm::DbErr> for KeysError {
    fn from(error: sea_orm::DbErr) -> Self {
        Self::Unavailable(error.into())
    }
}

impl From<KeyError> for KeysError {
    fn from(error: KeyError) -> Self {
        Self::Key(error)
    }
}

impl KeyRing {
    /// Reads the keys, and makes what is missing.
    pub async fn load(needs: Needs) -> Result<Self, KeysError> {
        let set = needs.read().await?;
        Ok(Self { current: ArcSwap::from_pointee(set), needs })
    }

    /// The keys of this moment.
    pub fn current(&self) -> arc_swap::Guard<Arc<KeySet>> {
        self.current.load()
    }

    /// Reads the keys again: what other replicas made or retired. The old ones stay when the database does not answer.
    pub async fn reload(&self) -> Result<(), KeysError> {
        self.current.store(Arc::new(self.needs.read().await?));
        Ok(())
    }
}

impl Needs {
    async fn read(&self) -> Result<KeySet, KeysError> {
        let now = self.clock.now();
        let rows = signing_key::Entity::find()
            .order_by_asc(signing_key::Column::CreatedAt)
            .all(self.db.writer())
            .await?;
        let mut keys: HashMap<&'static str, Arc<Key>> = HashMap::new();
        let mut verifying = Vec::new();
        for row in rows.iter().filter(|row| self.verifies(row, now)) {
            let Some(key) = self.parse(row) else { continue };
            if row.state == "signing" && self.algorithm(key.kind) == algorithm_of(row) {
                keys.insert(key.kind.name(), key.clone());
            }
            verifying.push(key);
        }
        let mut signing = async |kind: Kind| {
            if let Some(key) = keys.remove(kind.name()) {
                Ok::<_, KeysError>(key)
            } else {
                let key = self.make(kind, now).await?;
                verifying.push(key.clone());
                Ok(key)
            }
        };
        let user = signing(Kind::User).await?;
        let vault = match (self.tokens.algorithm, &self.tokens.secret) {
            (VaultAlgorithm::Hs256, Some(secret)) => {
                let key = Arc::new(shared_secret_key(secret)?);
                verifying.push(key.clone());
                key
            }
            _ => signing(Kind::Vault).await?,
        };
        let jwks = verifying
            .iter()
            .filter(|key| key.kind == Kind::Vault)
            .filter_map(|key| key.material.jwk(&key.id))
            .collect();
        let by_header = verifying.into_iter().map(|key| (key.header.clone(), key)).collect();
        Ok(KeySet { user, vault, by_header, jwks })
    }

    /// Whether a token of this row's key can still matter.
    fn verifies(&self, row: &signing_key::Model, now: UnixMillis) -> bool {
        let ttl =
            if row.kind == Kind::User.name() { self.absolute_ttl } else { self.tokens.vault_ttl };
        row.retired_at.is_none_or(|at| now <= at + millis(ttl) + millis(SKEW))
    }

    fn algorithm(&self, kind: Kind) -> Algorithm {
        match (kind, self.tokens.algorithm) {
            (Kind::User, _) | (_, VaultAlgorithm::Hs256) => Algorithm::HS256,
            (_, VaultAlgorithm::Es256) => Algorithm::ES256,
            (_, VaultAlgorithm::EdDsa) => Algorithm::EdDSA,
            (_, VaultAlgorithm::Rs256) => Algorithm::RS256,
        }
    }

    /// The key of `tokens.secret`, where there is one.
    pub(super) fn shared_secret_key(&self) -> Option<Arc<Key>> {
        let secret = self.tokens.secret.as_ref();
        secret.and_then(|secret| shared_secret_key(secret).ok()).map(Arc::new)
    }

    /// The key of a row; none, said once in the log, when no master key of ours opens it.
    pub(super) fn parse(&self, row: &signing_key::Model) -> Option<Arc<Key>> {
        let kind = if row.kind == Kind::User.name() { Kind::User } else { Kind::Vault };
        let context = context(&row.id, kind, &row.algorithm);
        let opened = [Some(&self.master), self.previous.as_ref()]
            .into_iter()
            .flatten()
            .find_map(|master| seal::open(master, &context, &row.sealed).ok());
        let key = opened.ok_or(KeyError).and_then(|bytes| {
            let algorithm = algorithm_of(row);
            Key::new(row.id.clone(), kind, algorithm, Material::parse(algorithm, bytes.expose())?)
        });
        if key.is_err() && row.state == "signing" {
            tracing::error!(
                kid = row.id,
                kind = row.kind,
                "the master key does not open this signing key: a new one takes its place, its tokens are void"
            );
        }
        key.ok().map(Arc::new)
    }

    /// Makes the signing key of a kind, and retires the one that cannot be used any more. When another replica was
    /// faster, its key is the one.
    async fn make(&self, kind: Kind, now: UnixMillis) -> Result<Arc<Key>, KeysError> {
        let algorithm = self.algorithm(kind);
        let name = format!("{algorithm:?}");
        let id = random_id();
        let bytes = material::generate(algorithm)?;
        let sealed = seal::seal(&self.master, &context(&id, kind, &name), &bytes)?;
        let tx = self.db.begin().await?;
        let unusable = signing_key::Entity::find()
            .filter(signing_key::Column::Kind.eq(kind.name()))
            .filter(signing_key::Column::State.eq("signing"))
            .one(&tx)
            .await?;
        if let Some(row) = unusable {
            let usable = algorithm_of(&row) == algorithm;
            if let (true, Some(key)) = (usable, self.parse(&row)) {
                return Ok(key);
            }
            signing_key::Entity::update_many()
                .set(signing_key::ActiveModel {
                    state: Set("retired".to_owned()),
                    retired_at: Set(Some(now)),
                    ..Default::default()
                })
                .filter(signing_key::Column::Id.eq(row.id))
                .exec(&tx)
                .await?;
        }
        let row = signing_key::ActiveModel {
            id: Set(id.clone()),
            kind: Set(kind.name().to_owned()),
            algorithm: Set(name),
            sealed: Set(sealed),
            state: Set("signing".to_owned()),
            created_at: Set(now),
            retired_at: Set(None),
        };
        let inserted = signing_key::Entity::insert(row)
            .on_conflict(OnConflict::new().do_nothing().to_owned())
            .exec_without_returning(&tx)
            .await?;
        tx.commit().await?;
        if inserted == 1 {
            tracing::info!(kid = id, kind = kind.name(), "signing key made");
            return Ok(Arc::new(Key::new(
                id,
                kind,
                algorithm,
                Material::parse(algorithm, bytes.expose())?,
            )?));
        }
        signing_key::Entity::find()
            .filter(signing_key::Column::Kind.eq(kind.name()))
            .filter(signing_key::Column::State.eq("signing"))
            .one(self.db.writer())
            .await?
            .and_then(|row| self.parse(&row))
            .ok_or(KeysError::Key(KeyError))
    }
}

fn algorithm_of(row: &signing_key::Model) -> Algorithm {
    Algorithm::from_str(&row.algorithm).unwrap_or_default()
}

fn context(id: &str, kind: Kind, algorithm: &str) -> String {
    format!("{id} {} {algorithm}", kind.name())
}

/// The vaultToken key of `tokens.secret`: the same `kid` on every replica, and telling nothing of the secret.
fn shared_secret_key(secret: &Secret<String>) -> Result<Key, KeyError> {
    let bytes = secret.expose().as_bytes();
    let id = URL_SAFE_NO_PAD.encode(&crate::secret::hmac_sha256(bytes, b"latchkey kid")[..16]);
    Key::new(id, Kind::Vault, Algorithm::HS256, Material::parse(Algorithm::HS256, bytes)?)
}

#[cfg(test)]
#[path = "keys_tests.rs"]
pub(super) mod tests;
