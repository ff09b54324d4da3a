//! Functions that create and verify tokens. They are pure and do no I/O.
//!
//! Each signing key has a fixed token header. A token is accepted only if its header is equal, byte
//! for byte, to the header of a key of this installation for this kind of token. So latchkey never
//! uses `alg`, `typ` or `kid` from a client's token. This excludes `none`, RS/HS confusion, `jku`,
//! `jwk`, `x5u`, `crit`, `zip` and alternative encodings of the header (RFC 8725 §3.1, §3.5, §3.10,
//! §3.11). The signature is checked before any claim is read. Every refused token gives the same
//! error [`Invalid`].

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::keys::{Key, KeySet, Kind};
use crate::secret::{KeyError, is_id};

/// The maximum number of seconds by which the clock of another replica is ahead of the clock of
/// this replica. `iat` and `nbf` of a token are allowed to be this many seconds in the future.
const AHEAD_SECONDS_MAX: i64 = 120;
/// The value of `client_id` in the vaultTokens of users. In the vaultToken of a project key,
/// `client_id` is the id of the key.
pub const PEOPLE: &str = "latchkey";
/// The longest lifetime of a userToken.
pub const USER_TTL_MAX: Duration = Duration::from_hours(24);
/// The longest lifetime of a vaultToken.
pub const VAULT_TTL_MAX: Duration = Duration::from_hours(1);

/// The claims of a userToken: the user and the session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserClaims {
    /// The setting `public_url`.
    pub iss: String,
    /// The audience. It is the same as the issuer, because only latchkey accepts a userToken.
    pub aud: String,
    pub sub: String,
    pub sid: String,
    /// The id of this token. Each refresh issues a token with a new id.
    pub jti: String,
    /// The number of refreshes of the session.
    #[serde(rename = "gen")]
    pub generation: u64,
    /// When the token was issued, in the format NumericDate (RFC 7519 §2).
    pub iat: i64,
    /// The token is valid from this time on, in the format NumericDate.
    pub nbf: i64,
    /// The token is invalid from this time on, in the format NumericDate.
    pub exp: i64,
    /// The email address as the user typed it.
    pub email: String,
    /// Whether the user has verified the email address.
    pub email_verified: bool,
    /// The display name of the user.
    pub name: String,
    /// The level of the authentication: `aal1` or `aal2`.
    pub acr: String,
    /// The authentication methods of the newest proof (RFC 8176).
    pub amr: Vec<String>,
    /// The time of the newest proof at the level of `acr`, in the format NumericDate.
    pub auth_time: i64,
}

/// The claims of a vaultToken: the permissions in a team and a project (RFC 9068).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VaultClaims {
    /// The setting `public_url`.
    pub iss: String,
    /// The setting `tokens.audience`.
    pub aud: String,
    /// The id of the user, or of the project key.
    pub sub: String,
    /// `latchkey` if the token belongs to a user. The id of the key if the token belongs to a
    /// project key.
    pub client_id: String,
    /// The id of the session. A project key has no session, so the key's token has no `sid`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sid: Option<String>,
    /// The id of this token.
    pub jti: String,
    /// When the token was issued, in the format NumericDate (RFC 7519 §2).
    pub iat: i64,
    /// The token is valid from this time on, in the format NumericDate.
    pub nbf: i64,
    /// The token is invalid from this time on, in the format NumericDate.
    pub exp: i64,
    /// The id of the team. It is absent until the user has verified the email address.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tid: Option<String>,
    /// The role of the user in the team.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub role: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pid: Option<String>,
    /// The scopes, separated by spaces.
    pub scope: String,
    /// The epoch of the membership.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mep: Option<i32>,
    /// The level of the authentication: `aal1` or `aal2`. The token of a project key has none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub acr: Option<String>,
    /// The authentication methods of the newest proof (RFC 8176). The token of a project key has
    /// none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub amr: Option<Vec<String>>,
    /// The time of the newest proof at the level of `acr`, in the format NumericDate. The token of
    /// a project key has none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub auth_time: Option<i64>,
}

/// The token is refused. This error contains no reason, so that clients learn nothing about the
/// cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid;

/// Whether a token is accepted outside of its lifetime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// An expired token is refused, and so is a token from the future.
    Enforced,
    /// The times of the token are ignored, because its session decides. A refresh and the requests
    /// that end a session use this variant. The token has perhaps expired, or the clock of the
    /// replica that signed it is ahead. A 401 would then make the client drop a live session.
    Ignored,
}

/// Signs claims and returns a token in JWS compact serialization (RFC 7515 §7.1).
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

/// Verifies a userToken of `issuer` and returns its claims.
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

/// Verifies a vaultToken of `issuer` for `audience` and returns its claims.
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
    // A user's token has a session and says how the user has authenticated. A project key's token
    // has neither, and both `sub` and `client_id` are the id of the key.
    let of_user = [
        claims.sid.is_some(),
        claims.acr.is_some(),
        claims.amr.is_some(),
        claims.auth_time.is_some(),
    ];
    let is_whole = if claims.client_id == PEOPLE {
        of_user == [true; 4]
    } else {
        of_user == [false; 4] && claims.client_id == claims.sub
    };
    if claims.iss != issuer || claims.aud != audience || claims.sub.is_empty() || !is_whole {
        return Err(Invalid);
    }
    Ok(claims)
}

/// Verifies the header and the signature, then reads the claims.
fn open<C: DeserializeOwned>(keys: &KeySet, kind: Kind, token: &str) -> Result<C, Invalid> {
    let (signed, signature) = token.rsplit_once('.').ok_or(Invalid)?;
    let (header, payload) = signed.split_once('.').ok_or(Invalid)?;
    let key = keys.by_header(header).filter(|key| key.kind == kind);
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| Invalid)?;
    let key = key.ok_or(Invalid)?;
    key.material.verify(signed.as_bytes(), &signature).map_err(|_| Invalid)?;
    let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| Invalid)?;
    // The payload must be UTF-8 (RFC 7519 §7.2). serde_json does not check the bytes of JSON
    // members that it ignores, so the whole payload is checked before parsing.
    let claims = std::str::from_utf8(&payload).map_err(|_| Invalid)?;
    // The claims must be a JSON object (RFC 7519 §7.2). serde would also accept an array that
    // contains the claims in the order of the fields.
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
        let begun = self.iat.max(self.nbf) <= now.saturating_add(AHEAD_SECONDS_MAX);
        let alive = expiry == Expiry::Ignored || (begun && now < self.exp);
        if (0..=ttl_seconds_max).contains(&lives) && alive { Ok(()) } else { Err(Invalid) }
    }
}

#[cfg(test)]
#[path = "jwt_tests.rs"]
mod tests;
