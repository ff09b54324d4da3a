//! The signing keys that a replica has in memory.
//!
//! A key is created once, encrypted in the database, shared by all replicas and parsed once by
//! each. One key of each kind signs at a time, and at most one more is published to sign next.
//! Partial unique indexes enforce both, also between replicas.
//!
//! A retired key verifies for as long as a token that it signed can be used. For vaultTokens that
//! is the lifetime of the token. For userTokens it is `sessions.absolute_ttl`, because an expired
//! userToken can still be refreshed.
//!
//! `stored.rs` reads and creates the rows of the table. `rotation.rs` changes the state of keys.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
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
use crate::secret::KeyError;

/// How often a replica reads the keys again and takes the next step of the rotation, if one is due.
pub const RELOAD_EVERY: Duration = Duration::from_secs(30);
/// The shortest time between two extra readings of the keys because of an unknown `kid`. Any client
/// can send an unknown `kid`, so these readings are limited.
const UNKNOWN_KID_EVERY: Duration = Duration::from_secs(10);
/// The longest header that is searched for a `kid`. Our headers have at most 92 characters.
const HEADER_CHARS_MAX: usize = 128;

/// The kind of token that a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// userTokens, signed with HS256. Only latchkey verifies them.
    User,
    /// vaultTokens. Every service that reads the JWKS can verify them.
    Vault,
}

impl Kind {
    pub const ALL: [Self; 2] = [Self::User, Self::Vault];

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The name in the table `signing_keys`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Vault => "vault",
        }
    }

    /// The `typ` of its tokens: RFC 9068 §2.1 for the vaultToken, and our own type for the
    /// userToken.
    pub const fn typ(self) -> &'static str {
        match self {
            Self::User => "user+jwt",
            Self::Vault => "at+jwt",
        }
    }
}

/// A parsed key.
#[derive(Debug)]
pub struct Key {
    /// The `kid`.
    pub id: String,
    /// The kind of token that it signs.
    pub kind: Kind,
    /// The encoded protected header of all its tokens. A token belongs to this key only if its
    /// header is equal, byte for byte.
    pub header: String,
    pub material: Material,
    /// The time from which it signs. `None` while it is published to sign next, and for
    /// `tokens.secret`.
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

/// All keys at one point in time.
#[derive(Debug)]
pub struct KeySet {
    /// The key that signs userTokens.
    pub user: Arc<Key>,
    /// The key that signs vaultTokens.
    pub vault: Arc<Key>,
    by_header: HashMap<String, Arc<Key>>,
    jwks: Vec<Jwk>,
}

impl KeySet {
    /// A set of the two keys that sign and of all keys that verify. `verifying` includes the keys
    /// that sign, the keys published to sign next and the retired keys.
    pub(super) fn new(user: Arc<Key>, vault: Arc<Key>, verifying: Vec<Arc<Key>>) -> Self {
        let jwks = verifying
            .iter()
            .filter(|key| key.kind == Kind::Vault)
            .filter_map(|key| key.material.jwk(&key.id))
            .collect();
        let by_header = verifying.into_iter().map(|key| (key.header.clone(), key)).collect();
        Self { user, vault, by_header, jwks }
    }

    /// The key whose tokens have exactly this header. `None` for any other header.
    pub fn by_header(&self, header: &str) -> Option<&Key> {
        self.by_header.get(header).map(Arc::as_ref)
    }

    /// The `alg` values of the vaultToken keys that verify now. There is more than one during a
    /// change of the algorithm.
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
}

/// The current keys. They are replaced as a whole after a change by another replica.
#[derive(Debug)]
pub struct KeyRing {
    current: ArcSwap<KeySet>,
    needs: KeyDependencies,
    /// The lock that allows one reading at a time, so that an older reading never replaces a newer
    /// one. The value is the time of the last extra reading for an unknown `kid`.
    reading: Mutex<Option<Instant>>,
}

/// Why the keys cannot be used.
#[derive(Debug)]
pub enum KeysError {
    /// The database did not respond.
    Unavailable(Unavailable),
    /// A key could not be created.
    Key(KeyError),
    /// None of our master keys decrypts the key that signs: another replica has another master key.
    Sealed(Kind),
    /// None of our master keys decrypts the audit key, so a change of the keys could not be
    /// recorded.
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
                    "none of the configured master keys decrypts the {} key that signs",
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
    /// Reads the keys, encrypts again those under the previous master key, and creates missing
    /// keys.
    pub async fn load(needs: KeyDependencies) -> Result<Self, KeysError> {
        needs.reseal().await?;
        for kind in needs.kinds() {
            needs.ensure(*kind).await?;
        }
        let set = needs.read().await?;
        Ok(Self { current: ArcSwap::from_pointee(set), needs, reading: Mutex::default() })
    }

    pub fn current(&self) -> arc_swap::Guard<Arc<KeySet>> {
        self.current.load()
    }

    /// Reads the keys again, to see changes of other replicas. The old keys stay in memory if the
    /// database does not respond, or if the key that signs is encrypted under a master key that we
    /// do not have.
    pub async fn reload(&self) -> Result<(), KeysError> {
        let _one_at_a_time = self.reading.lock().await;
        self.current.store(Arc::new(self.needs.read().await?));
        Ok(())
    }

    /// Takes the step of the rotation that is due, if there is one, and reads the keys again. Every
    /// replica does this every [`RELOAD_EVERY`]. The SQL statements let only the first replica
    /// succeed.
    pub async fn turn(&self) -> Result<(), KeysError> {
        let _one_at_a_time = self.reading.lock().await;
        // This also runs after the start: a daemon that has the two master keys in the wrong order
        // can have created a key since then.
        self.needs.reseal().await?;
        self.needs.step().await?;
        self.current.store(Arc::new(self.needs.read().await?));
        Ok(())
    }

    /// The keys to verify this token with. These are the keys in memory. If the token names a key
    /// that is not among them, the keys are read from the database.
    ///
    /// This covers keys that began to sign unexpectedly, for example after `rotate --now`, or while
    /// a replica could not read for a long time. It happens at most once in 10 s, whatever clients
    /// send.
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
        self.current.store(set.clone());
        Ok(set)
    }
}

/// Whether a header has the form of ours, so that an unknown key of ours may have signed it. This
/// proves nothing.
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
        Kind::ALL.iter().any(|kind| kind.typ() == shape.typ) && shape.kid.len() == 22
    })
}

#[cfg(test)]
#[path = "keys_tests.rs"]
pub(super) mod tests;
