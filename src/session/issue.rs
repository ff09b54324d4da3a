//! Functions that create the tokens of sessions and of project keys. They need no I/O.

use std::fmt;

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::client_key::ClientKey;
use crate::clock::{UnixMillis, millis};
use crate::config;
use crate::secret::{KeyError, random_id};
use crate::session::AccountStatus;
use crate::session::proof::{self, Proof};
use crate::store::Session;
use crate::team::keys::KnownKey;
use crate::team::roles::scope_of;
use crate::token::jwt::{PEOPLE, mint};
use crate::token::{KeySet, UserClaims, VaultClaims};

/// The two tokens of a session. Most endpoints return both.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tokens {
    /// Identifies you and your session. Only latchkey accepts it.
    pub user_token: String,
    /// States what you may do, and in which team and project. The APIs that the team runs accept
    /// it.
    pub vault_token: String,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens(…)")
    }
}

/// Creates a new session of a user. `proof` is how the user has authenticated.
pub fn new_session(
    standing: &AccountStatus,
    sessions: &config::Sessions,
    proof: Proof,
    ip: String,
    user_agent: String,
    now: UnixMillis,
) -> Session {
    let absolute_end = now + millis(sessions.absolute_ttl);
    let membership = standing.membership.as_ref();
    Session {
        user_id: standing.id,
        sid: random_id(),
        jti: random_id(),
        generation: 0,
        previous_jti: None,
        rotated_at: now,
        epoch: standing.session_epoch,
        team_id: membership.map(|membership| membership.team_id),
        project_id: membership.and_then(|m| m.project.as_ref()).map(|(id, _)| *id),
        created_at: now,
        seen_at: now,
        expires_at: absolute_end.min(now + millis(sessions.idle_ttl)),
        absolute_end,
        client: ClientKey::wide_text(&ip),
        ip,
        user_agent,
        used: false,
        recovered: false,
        recoveries: 0,
        acr: proof.level.name().to_owned(),
        amr: proof.methods.into_iter().map(str::to_owned).collect(),
        auth_time: now,
        fresh: true,
    }
}

/// Creates both tokens for a session's current `jti`.
pub fn tokens(
    keys: &KeySet,
    config: &config::Tokens,
    session: &Session,
    standing: &AccountStatus,
    now: UnixMillis,
) -> Result<Tokens, KeyError> {
    let iat = now.div_euclid(1000);
    let seconds = |ttl: std::time::Duration| i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX);
    let user = UserClaims {
        iss: config.issuer.clone(),
        aud: config.issuer.clone(),
        sub: standing.id.to_string(),
        sid: session.sid.clone(),
        jti: session.jti.clone(),
        generation: session.generation,
        iat,
        nbf: iat,
        exp: iat + seconds(config.user_ttl),
        email: standing.email.clone(),
        email_verified: standing.is_verified(),
        name: standing.name.clone(),
        acr: proof::level(session, standing).name().to_owned(),
        amr: proof::methods(session, standing),
        auth_time: session.auth_time.div_euclid(1000),
    };
    let vault_token = vault_token(keys, config, session, standing, now)?;
    Ok(Tokens { user_token: mint(&keys.user, &user)?, vault_token })
}

/// Creates a vaultToken for a session.
pub fn vault_token(
    keys: &KeySet,
    config: &config::Tokens,
    session: &Session,
    standing: &AccountStatus,
    now: UnixMillis,
) -> Result<String, KeyError> {
    let iat = now.div_euclid(1000);
    let ttl = i64::try_from(config.vault_ttl.as_secs()).unwrap_or(i64::MAX);
    // If the user's email address is not proven, the token names no team, even if the user has
    // memberships. The token never names a disabled team, or a team that requires a second factor
    // that the session lacks.
    let membership = standing.membership.as_ref();
    let level = proof::level(session, standing);
    let membership = membership
        .filter(|team| standing.is_verified() && team.is_active() && !team.is_locked_for(level));
    let project = membership.and_then(|membership| membership.project.as_ref());
    let vault = VaultClaims {
        iss: config.issuer.clone(),
        aud: config.audience.clone(),
        sub: standing.id.to_string(),
        client_id: PEOPLE.to_owned(),
        sid: Some(session.sid.clone()),
        jti: random_id(),
        iat,
        nbf: iat,
        exp: iat + ttl,
        tid: membership.map(|membership| membership.team_id.to_string()),
        role: membership.map(|membership| membership.role.name().to_owned()),
        pid: project.map(|(id, _): &(Uuid, String)| id.to_string()),
        scope: membership.map(|membership| scope_of(membership.role)).unwrap_or_default(),
        mep: membership.map(|membership| membership.epoch),
        acr: Some(level.name().to_owned()),
        amr: Some(proof::methods(session, standing)),
        auth_time: Some(session.auth_time.div_euclid(1000)),
    };
    mint(&keys.vault, &vault)
}

/// Creates a vaultToken for a project key and for some of the key's scopes. Returns the token and
/// its `exp`.
///
/// The token belongs to no session and no member, so it has no `sid`, `role` and `mep`. If the key
/// expires before the normal lifetime of the token ends, the token expires together with the key.
pub fn key_token(
    keys: &KeySet,
    config: &config::Tokens,
    key: &KnownKey,
    scope: String,
    now: UnixMillis,
) -> Result<(String, i64), KeyError> {
    let iat = now.div_euclid(1000);
    let ttl = i64::try_from(config.vault_ttl.as_secs()).unwrap_or(i64::MAX);
    let end = key.expires_at.map_or(i64::MAX, |at| at.div_euclid(1000));
    let exp = (iat + ttl).min(end);
    let claims = VaultClaims {
        iss: config.issuer.clone(),
        aud: config.audience.clone(),
        sub: key.id.to_string(),
        client_id: key.id.to_string(),
        sid: None,
        jti: random_id(),
        iat,
        nbf: iat,
        exp,
        tid: Some(key.team_id.to_string()),
        role: None,
        pid: Some(key.project_id.to_string()),
        scope,
        mep: None,
        acr: None,
        amr: None,
        auth_time: None,
    };
    Ok((mint(&keys.vault, &claims)?, exp))
}
