//! The signing keys that a replica has in memory.
//!
//! A key is created once and stored encrypted in the database. All replicas share it, and each
//! replica parses it once. At any time, one key of each kind signs, and at most one more key of
//! each kind is published as the next key. Partial unique indexes enforce this for all replicas
//! together.
//!
//! A retired key still verifies tokens until the last token that it signed can no longer be used. A
//! vaultToken can be used for its lifetime. A userToken can be used for `sessions.absolute_ttl`,
//! because an expired userToken can still be refreshed.
//!
//! `stored.rs` reads and creates the rows of the table. `rotation.rs` changes the state of keys.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, Header};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::material::Material;
use super::stored::KeyDependencies;
use crate::audit::ChainError;
use crate::clock::UnixMillis;
use crate::problem::Unavailable;
use crate::secret::{KeyError, Secret, hmac_sha256};
use crate::store::RecordMac;

/// How often a replica reads the keys again. If a step of the rotation is due, the replica also
/// takes this step.
pub const RELOAD_EVERY: Duration = Duration::from_secs(30);
/// A token with an unknown `kid` causes an extra reading of the keys. This is the shortest time
/// between two extra readings. They are limited because any client can send an unknown `kid`.
const UNKNOWN_KID_EVERY: Duration = Duration::from_secs(10);
/// The greatest length of a token header that is searched for a `kid`. The headers of latchkey's
/// tokens have at most 92 characters.
const HEADER_CHARS_MAX: usize = 128;

/// The kind of token that a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The key signs userTokens, with HS256. Only latchkey verifies userTokens.
    User,
    /// The key signs vaultTokens. Every service that reads the JWKS can verify vaultTokens.
    Vault,
    /// The key authenticates the records of the token store, with HMAC-SHA-256. It signs no tokens
    /// and is not rotated.
    Store,
    /// The key protects the secrets of second factors. It signs no tokens and is not rotated.
    Factor,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::User, Self::Vault, Self::Store, Self::Factor];
    /// The kinds that sign tokens.
    pub const TOKENS: [Self; 2] = [Self::User, Self::Vault];

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The name in the table `signing_keys`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Vault => "vault",
            Self::Store => "store",
            Self::Factor => "factor",
        }
    }

    /// The `typ` of tokens of this kind. For the vaultToken it is the type of RFC 9068 §2.1. For
    /// the userToken it is latchkey's own type. No token has the type of the other kinds.
    pub const fn typ(self) -> &'static str {
        match self {
            Self::User => "user+jwt",
            Self::Vault => "at+jwt",
            Self::Store => "record",
            Self::Factor => "factor",
        }
    }
}

/// A parsed key.
#[derive(Debug)]
pub struct Key {
    /// The `kid`.
    pub id: String,
    /// The kind of token that the key signs.
    pub kind: Kind,
    /// The encoded protected header of all tokens that the key signs. A token belongs to this key
    /// only if the token's header is equal to it, byte for byte.
    pub header: String,
    pub material: Material,
    /// The time from which the key signs. `None` while the key is published as the next key. Also
    /// `None` for the key of `tokens.secret`.
    pub signs_from: Option<UnixMillis>,
}

impl Key {
    pub(super) fn new(
        id: String,
        kind: Kind,
        algorithm: Algorithm,
        material: Material,
        signs_from: Option<UnixMillis>,
    ) -> Result<Self, KeyError> {
        let mut header = Header::new(algorithm);
        header.typ = Some(kind.typ().to_owned());
        header.kid = Some(id.clone());
        let json = serde_json::to_vec(&header).map_err(|_| KeyError)?;
        Ok(Self { id, kind, header: URL_SAFE_NO_PAD.encode(json), material, signs_from })
    }
}

/// The keys of the token store's records.
#[derive(Clone, Debug)]
pub(super) struct RecordKeys {
    pub(super) current: Secret<[u8; 32]>,
    /// The keys that an operator has retired and that are still in the table.
    pub(super) retired: Vec<Secret<[u8; 32]>>,
}

impl RecordKeys {
    pub(super) fn mac(&self) -> RecordMac {
        let mac = RecordMac::new(self.current.clone());
        mac.replace_keys(self.current.clone(), self.retired.clone());
        mac
    }
}

/// The keys of second factors. They are derived from the key of the kind [`Kind::Factor`].
#[derive(Clone, Debug)]
pub struct FactorKeys {
    /// Encrypts the secrets of TOTP factors.
    pub totp: Secret<[u8; 32]>,
    /// Authenticates recovery codes, so that a copy of the database alone does not allow a search
    /// for the codes.
    pub recovery_codes: Secret<[u8; 32]>,
}

impl FactorKeys {
    pub fn new(key: &Secret<[u8; 32]>) -> Self {
        let derive = |purpose: &[u8]| Secret::new(hmac_sha256(key.expose(), purpose));
        Self { totp: derive(b"totp"), recovery_codes: derive(b"recovery-code") }
    }
}

/// All keys at one point in time.
#[derive(Debug)]
pub struct KeySet {
    /// The key that signs userTokens.
    pub user: Arc<Key>,
    /// The key that signs vaultTokens.
    pub vault: Arc<Key>,
    /// The key of the token store's records.
    records: RecordKeys,
    /// The keys of second factors.
    pub factors: FactorKeys,
    by_header: HashMap<String, Arc<Key>>,
    jwks: Vec<Jwk>,
    /// `jwks` as the body of a response.
    jwk_set: Bytes,
}

impl KeySet {
    /// Creates a set of the two keys that sign and of all keys that verify tokens. `verifying`
    /// includes the keys that sign, the published next keys and the retired keys.
    pub(super) fn new(
        (user, vault): (Arc<Key>, Arc<Key>),
        (records, factors): (RecordKeys, FactorKeys),
        verifying: Vec<Arc<Key>>,
    ) -> Self {
        let vault_keys = verifying.iter().filter(|key| key.kind == Kind::Vault);
        let jwks: Vec<Jwk> = vault_keys.filter_map(|key| key.material.jwk(&key.id)).collect();
        let jwk_set = serde_json::json!({ "keys": jwks }).to_string().into();
        let by_header = verifying.into_iter().map(|key| (key.header.clone(), key)).collect();
        Self { user, vault, records, factors, by_header, jwks, jwk_set }
    }

    /// The key whose tokens have exactly this header. `None` for any other header.
    pub fn by_header(&self, header: &str) -> Option<&Key> {
        self.by_header.get(header).map(Arc::as_ref)
    }

    /// The `alg` values of the vaultToken keys that verify tokens now. There is more than one value
    /// while the algorithm is being changed.
    pub fn algorithms(&self) -> Vec<&'static str> {
        let vault = self.by_header.values().filter(|key| key.kind == Kind::Vault);
        let mut names: Vec<&'static str> = vault.map(|key| key.material.algorithm()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The public keys that verify vaultTokens.
    pub fn jwks(&self) -> &[Jwk] {
        &self.jwks
    }

    /// The public keys that verify vaultTokens, as a JWK set in JSON (RFC 7517).
    pub fn jwk_set(&self) -> Bytes {
        self.jwk_set.clone()
    }
}

/// The current keys of this replica. After a change by another replica, the whole set of keys is
/// replaced.
#[derive(Debug)]
pub struct KeyRing {
    current: ArcSwap<KeySet>,
    /// Has the key of the token store's records in the current set.
    record_mac: RecordMac,
    needs: KeyDependencies,
    /// The lock that allows only one reading of the keys at a time, so that an older reading never
    /// replaces a newer one. The value in the lock is the time of the last extra reading for an
    /// unknown `kid`.
    reading: Mutex<Option<Instant>>,
}

/// Why the keys cannot be used.
#[derive(Debug)]
pub enum KeysError {
    /// The database did not respond.
    Unavailable(Unavailable),
    /// A key could not be created.
    Key(KeyError),
    /// The current key cannot be decrypted with a master key of this process. So another replica
    /// uses another master key.
    Sealed(Kind),
    /// The audit key cannot be decrypted with a master key of this process, so a change of the
    /// signing keys could not be recorded.
    SealedAudit,
}

impl std::fmt::Display for KeysError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unavailable(error) => error.fmt(f),
            Self::Key(error) => error.fmt(f),
            Self::Sealed(kind) => {
                write!(
                    f,
                    "none of the configured master keys decrypts the current {} key",
                    kind.name()
                )
            }
            Self::SealedAudit => ChainError::Sealed.fmt(f),
        }
    }
}

impl std::error::Error for KeysError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unavailable(error) => Some(error),
            Self::Key(error) => Some(error),
            Self::Sealed(_) | Self::SealedAudit => None,
        }
    }
}

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

impl From<KeysError> for Unavailable {
    fn from(error: KeysError) -> Self {
        match error {
            KeysError::Unavailable(unavailable) => unavailable,
            other => Self::because("signing keys", other),
        }
    }
}

impl KeyRing {
    /// Reads the keys and creates missing keys. Keys that are encrypted with the previous master
    /// key are encrypted with the current master key.
    pub async fn load(needs: KeyDependencies) -> Result<Self, KeysError> {
        needs.reseal().await?;
        for kind in needs.kinds() {
            needs.ensure(*kind).await?;
        }
        let set = needs.read().await?;
        let record_mac = set.records.mac();
        let current = ArcSwap::from_pointee(set);
        Ok(Self { current, record_mac, needs, reading: Mutex::default() })
    }

    /// Authenticates the records of the token store, always with the current key.
    pub fn record_mac(&self) -> RecordMac {
        self.record_mac.clone()
    }

    fn replace(&self, set: Arc<KeySet>) {
        let RecordKeys { current, retired } = set.records.clone();
        self.record_mac.replace_keys(current, retired);
        self.current.store(set);
    }

    pub fn current(&self) -> arc_swap::Guard<Arc<KeySet>> {
        self.current.load()
    }

    /// Reads the keys again, to see changes by other replicas. The old keys stay in memory if the
    /// database does not respond, or if the key that signs is encrypted with a master key that this
    /// process does not have.
    pub async fn reload(&self) -> Result<(), KeysError> {
        let _one_at_a_time = self.reading.lock().await;
        self.replace(Arc::new(self.needs.read().await?));
        Ok(())
    }

    /// Takes the step of the rotation that is due, if a step is due, and reads the keys again.
    /// Every replica calls this function once every [`RELOAD_EVERY`]. If several replicas take the
    /// same step, the SQL statements let only the first replica succeed.
    pub async fn turn(&self) -> Result<(), KeysError> {
        let _one_at_a_time = self.reading.lock().await;
        // This also runs after the start, because another daemon that has the two master keys in
        // the wrong order has perhaps created a key since then.
        self.needs.reseal().await?;
        self.needs.step().await?;
        self.replace(Arc::new(self.needs.read().await?));
        Ok(())
    }

    /// The keys with which this token is verified. They are the keys in memory. If the token names
    /// a key that is not in memory, the keys are first read from the database again.
    ///
    /// This extra reading is needed if a key that this replica has not read began to sign. This
    /// happens after `rotate --now`, or if the replica could not read the keys for a long time.
    /// There is at most one extra reading in 10 s, so clients cannot cause more.
    pub async fn for_token(&self, token: &str) -> Result<Arc<KeySet>, KeysError> {
        let set = self.current.load_full();
        let header = token.split('.').next().unwrap_or_default();
        if set.by_header(header).is_some() || !may_be_ours(header) {
            return Ok(set);
        }
        let mut asked = self.reading.lock().await;
        let set = self.current.load_full();
        let is_early = asked.is_some_and(|at| at.elapsed() < UNKNOWN_KID_EVERY);
        if set.by_header(header).is_some() || is_early {
            return Ok(set);
        }
        *asked = Some(Instant::now());
        let set = Arc::new(self.needs.read().await?);
        self.replace(set.clone());
        Ok(set)
    }
}

/// Whether a header has the form of latchkey's headers. If it has, a key that this replica does not
/// know yet perhaps signed the token. The form alone proves nothing.
fn may_be_ours(header: &str) -> bool {
    #[derive(Deserialize)]
    struct Shape {
        typ: String,
        kid: String,
    }
    if header.len() > HEADER_CHARS_MAX {
        return false;
    }
    let shape = URL_SAFE_NO_PAD
        .decode(header)
        .ok()
        .and_then(|bytes| serde_json::from_slice::<Shape>(&bytes).ok());
    shape.is_some_and(|shape| {
        Kind::TOKENS.iter().any(|kind| kind.typ() == shape.typ) && shape.kid.len() == 22
    })
}

#[cfg(test)]
#[path = "keys_tests.rs"]
pub(super) mod tests;
