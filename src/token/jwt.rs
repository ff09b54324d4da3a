//! Minting and verifying: pure, without I/O.
//!
//! A token is accepted only when its header is, to the byte, the header of a key of ours for that kind. So algorithm,
//! `typ` and `kid` are never read from a stranger's token: no `none`, no RS/HS confusion, no `jku`, `jwk`, `x5u`,
//! `crit`, `zip` or second spelling can exist (RFC 8725 §3.1, §3.5, §3.10, §3.11). The signature is checked before any
//! claim is read, and every refusal is the same [`Invalid`].

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::keys::{Key, KeySet, Kind};
use crate::secret::{KeyError, is_id};

/// How far another replica's clock may be ahead of ours: `iat` and `nbf` up to this much in the future pass.
const AHEAD_SECONDS_MAX: i64 = 120;
/// `client_id` in the vaultTokens of people; in a project key's it is the key's id.
pub const PEOPLE: &str = "latchkey";
/// A userToken's longest life: 24 h.
pub const USER_TTL_MAX: Duration = Duration::from_hours(24);
/// A vaultToken's longest life: 1 h.
pub const VAULT_TTL_MAX: Duration = Duration::from_hours(1);

/// What a userToken says: who you are, in which session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserClaims {
    /// `public_url`.
    pub iss: String,
    /// The issuer itself: nobody else accepts it.
    pub aud: String,
    pub sub: String,
    pub sid: String,
    /// This token, until the next refresh.
    pub jti: String,
    /// Counts the session's refreshes.
    #[serde(rename = "gen")]
    pub generation: u64,
    /// NumericDate.
    pub iat: i64,
    /// NumericDate.
    pub nbf: i64,
    /// NumericDate.
    pub exp: i64,
    /// As typed.
    pub email: String,
    /// Whether the address is proven.
    pub email_verified: bool,
    /// What the person is called.
    pub name: String,
    /// How the session was opened (RFC 8176).
    pub amr: Vec<String>,
    /// When it was opened.
    pub auth_time: i64,
}

/// What a vaultToken says: what you may do, in which team and project (RFC 9068).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VaultClaims {
    /// `public_url`.
    pub iss: String,
    /// `tokens.audience`.
    pub aud: String,
    /// The person, or the project's key.
    pub sub: String,
    /// `latchkey` for people.
    pub client_id: String,
    /// The session; absent for a project's key, which is in none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sid: Option<String>,
    /// This token.
    pub jti: String,
    /// NumericDate.
    pub iat: i64,
    /// NumericDate.
    pub nbf: i64,
    /// NumericDate.
    pub exp: i64,
    /// The team; absent before the address is proven.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tid: Option<String>,
    /// The role in it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub role: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pid: Option<String>,
    /// Space-separated.
    pub scope: String,
    /// The membership's epoch.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mep: Option<i32>,
}

/// A token that is not good, for whatever reason: clients learn no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid;

/// Whether a token that is past its `exp` may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// It may not.
    Enforced,
    /// It may: for refresh alone, where the session decides.
    Ignored,
}

/// Signs claims. JWS compact (RFC 7515 §7.1).
pub fn mint<C: Serialize>(key: &Key, claims: &C) -> Result<String, KeyError> {
    let payload = serde_json::to_vec(claims).map_err(|_| KeyError)?;
    let mut token = String::with_capacity(key.header.len() + payload.len() * 4 / 3 + 96);
    token.push_str(&key.header);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(payload, &mut token);
    let signature = key.material.sign(token.as_bytes())?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(token)
}

/// Reads a userToken of `issuer`.
pub fn verify_user(
    keys: &KeySet,
    token: &str,
    issuer: &str,
    now_seconds: i64,
    expiry: Expiry,
) -> Result<UserClaims, Invalid> {
    let claims: UserClaims = open(keys, Kind::User, token)?;
    let times = Times { iat: claims.iat, nbf: claims.nbf, exp: claims.exp };
    times.check(now_seconds, USER_TTL_MAX, expiry)?;
    if claims.iss != issuer || claims.aud != issuer || claims.sub.is_empty() {
        return Err(Invalid);
    }
    if !is_id(&claims.sid) || !is_id(&claims.jti) {
        return Err(Invalid);
    }
    Ok(claims)
}

/// Reads a vaultToken of `issuer` for `audience`.
pub fn verify_vault(
    keys: &KeySet,
    token: &str,
    issuer: &str,
    audience: &str,
    now_seconds: i64,
) -> Result<VaultClaims, Invalid> {
    let claims: VaultClaims = open(keys, Kind::Vault, token)?;
    let times = Times { iat: claims.iat, nbf: claims.nbf, exp: claims.exp };
    times.check(now_seconds, VAULT_TTL_MAX, Expiry::Enforced)?;
    // A person's token is of a session, a key's says itself twice and is of none.
    let is_whole = if claims.client_id == PEOPLE {
        claims.sid.is_some()
    } else {
        claims.sid.is_none() && claims.client_id == claims.sub
    };
    if claims.iss != issuer || claims.aud != audience || claims.sub.is_empty() || !is_whole {
        return Err(Invalid);
    }
    Ok(claims)
}

/// Checks header and signature, then reads the claims.
fn open<C: DeserializeOwned>(keys: &KeySet, kind: Kind, token: &str) -> Result<C, Invalid> {
    let (signed, signature) = token.rsplit_once('.').ok_or(Invalid)?;
    let (header, payload) = signed.split_once('.').ok_or(Invalid)?;
    let key = keys.by_header(header).filter(|key| key.kind == kind);
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| Invalid)?;
    let key = key.ok_or(Invalid)?;
    key.material.verify(signed.as_bytes(), &signature).map_err(|_| Invalid)?;
    let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| Invalid)?;
    // Text first: serde_json does not look at the bytes of members that are ignored (RFC 7519 §7.2: UTF-8).
    let claims = std::str::from_utf8(&payload).map_err(|_| Invalid)?;
    // serde would also read the claims by their order, out of an array (RFC 7519 §7.2: an object).
    if !claims.starts_with('{') {
        return Err(Invalid);
    }
    serde_json::from_str(claims).map_err(|_| Invalid)
}

struct Times {
    iat: i64,
    nbf: i64,
    exp: i64,
}

impl Times {
    fn check(&self, now: i64, ttl_max: Duration, expiry: Expiry) -> Result<(), Invalid> {
        let ttl_seconds_max = i64::try_from(ttl_max.as_secs()).unwrap_or(i64::MAX);
        let lives = self.exp.checked_sub(self.iat).ok_or(Invalid)?;
        let sound = (0..=ttl_seconds_max).contains(&lives)
            && self.iat <= now + AHEAD_SECONDS_MAX
            && self.nbf <= now + AHEAD_SECONDS_MAX;
        let alive = expiry == Expiry::Ignored || now < self.exp;
        if sound && alive { Ok(()) } else { Err(Invalid) }
    }
}

#[cfg(test)]
#[path = "jwt_tests.rs"]
mod tests;
