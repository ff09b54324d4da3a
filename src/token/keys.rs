//! The signing keys: made once, sealed in the database, shared by replicas, parsed once.
//!
//! One key of each kind signs at a time, and one at most is published to sign next (partial unique indexes hold both,
//! also between replicas). A retired key verifies for as long as a token that it signed can matter: a vaultToken's
//! lifetime, or `sessions.absolute_ttl` for a userToken, since an expired userToken may still refresh.
//!
//! Here is what a replica has in memory; `stored.rs` reads and makes what the table holds, `rotation.rs` moves keys
//! through their states.

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

/// How often a replica reads the keys again, and takes the rotation's next step where one is due.
pub const RELOAD_EVERY: Duration = Duration::from_secs(30);
/// An unknown `kid` makes a replica read the keys out of turn, at most once in this time: strangers can name any.
const UNKNOWN_KID_EVERY: Duration = Duration::from_secs(10);
/// The longest header that is looked at for its `kid`: ours have 92 characters at most.
const HEADER_CHARS_MAX: usize = 128;

/// What a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// userTokens: HS256, for latchkey alone.
    User,
    /// vaultTokens: for whoever reads the JWKS.
    Vault,
}

impl Kind {
    pub const ALL: [Self; 2] = [Self::User, Self::Vault];

    /// The kind of a name in the table.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

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
    pub material: Material,
    /// Since when it signs; none while it is published to sign next, and for `tokens.secret`.
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
    /// The keys that sign, and every key that verifies: these, the next ones and those that retired.
    pub(super) fn new(user: Arc<Key>, vault: Arc<Key>, verifying: Vec<Arc<Key>>) -> Self {
        let jwks = verifying
            .iter()
            .filter(|key| key.kind == Kind::Vault)
            .filter_map(|key| key.material.jwk(&key.id))
            .collect();
        let by_header = verifying.into_iter().map(|key| (key.header.clone(), key)).collect();
        Self { user, vault, by_header, jwks }
    }

    /// The key whose tokens have exactly this header; none for any other header, whatever it says.
    pub fn by_header(&self, header: &str) -> Option<&Key> {
        self.by_header.get(header).map(Arc::as_ref)
    }

    /// The `alg`s of vaultTokens that verify at this moment; more than one while a change of algorithm is under way.
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

/// The keys, replaced as a whole when another replica changed them.
#[derive(Debug)]
pub struct KeyRing {
    current: ArcSwap<KeySet>,
    needs: KeyDependencies,
    /// One reading at a time, so that an older one never replaces a newer; and when a stranger's `kid` last asked for
    /// one.
    reading: Mutex<Option<Instant>>,
}

/// Why there are no keys.
#[derive(Debug)]
pub enum KeysError {
    /// The database did not answer.
    Unavailable(Unavailable),
    /// A key could not be made.
    Key(KeyError),
    /// No master key of ours opens the key that signs: another replica has another one.
    Sealed(Kind),
    /// Nor the audit's key: what is done to the keys could not be told.
    SealedAudit,
}

impl std::fmt::Display for KeysError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unavailable(error) => error.fmt(f),
            Self::Key(error) => error.fmt(f),
            Self::Sealed(kind) => {
                write!(f, "no master key of ours opens the {} key that signs", kind.name())
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
    /// Reads the keys, seals anew what the previous master key sealed, and makes what is missing.
    pub async fn load(needs: KeyDependencies) -> Result<Self, KeysError> {
        needs.reseal().await?;
        for kind in needs.kinds() {
            needs.ensure(*kind).await?;
        }
        let set = needs.read().await?;
        Ok(Self { current: ArcSwap::from_pointee(set), needs, reading: Mutex::default() })
    }

    /// The keys of this moment.
    pub fn current(&self) -> arc_swap::Guard<Arc<KeySet>> {
        self.current.load()
    }

    /// Reads the keys again: what other replicas made or retired. The old ones stay when the database does not answer,
    /// or when the key that signs is sealed with a master key that is not ours.
    pub async fn reload(&self) -> Result<(), KeysError> {
        let _one_at_a_time = self.reading.lock().await;
        self.current.store(Arc::new(self.needs.read().await?));
        Ok(())
    }

    /// Takes the step of the rotation that is due, if one is, and reads the keys again. Every replica does so every
    /// [`RELOAD_EVERY`]; whichever is first wins, in SQL.
    pub async fn turn(&self) -> Result<(), KeysError> {
        let _one_at_a_time = self.reading.lock().await;
        // Not at the start alone: a daemon that had the master keys the other way round may have made one since.
        self.needs.reseal().await?;
        self.needs.step().await?;
        self.current.store(Arc::new(self.needs.read().await?));
        Ok(())
    }

    /// The keys to verify this token with: those in memory, or, where the token names a key that is not among them, what
    /// the database has. That is for keys that began to sign out of turn (`rotate --now`, a replica that could not read
    /// for long); once in 10 s, whatever strangers send.
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

/// Whether a header has the shape of ours, so that a key we do not know yet may have signed it. It proves nothing.
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
