//! The tokens of a session, and that of a project's key: pure.

use std::fmt;

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::clock::{UnixMillis, millis};
use crate::config;
use crate::secret::{KeyError, random_id};
use crate::session::AccountStatus;
use crate::store::Session;
use crate::team::keys::KnownKey;
use crate::team::roles::scope_of;
use crate::token::jwt::{PEOPLE, mint};
use crate::token::{KeySet, UserClaims, VaultClaims};

/// Both tokens: what most endpoints answer with.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tokens {
    /// Says who you are, in which session; for latchkey alone.
    pub user_token: String,
    /// Says what you may do, in which team and project; for the APIs that the team runs.
    pub vault_token: String,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens(…)")
    }
}

/// A new session of a person, as it is opened: by `amr` (RFC 8176), from `ip` with `user_agent`.
pub fn new_session(
    standing: &AccountStatus,
    sessions: &config::Sessions,
    amr: &str,
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
        ip,
        user_agent,
        amr: vec![amr.to_owned()],
    }
}

/// Mints both tokens of a session's current `jti`.
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
        amr: session.amr.clone(),
        auth_time: session.created_at.div_euclid(1000),
    };
    // Before the address is proven a person is in no team, whatever rows there are; and nobody is in a disabled one.
    let membership = standing.membership.as_ref();
    let membership = membership.filter(|team| standing.is_verified() && team.is_active());
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
        exp: iat + seconds(config.vault_ttl),
        tid: membership.map(|membership| membership.team_id.to_string()),
        role: membership.map(|membership| membership.role.name().to_owned()),
        pid: project.map(|(id, _): &(Uuid, String)| id.to_string()),
        scope: membership.map(|membership| scope_of(membership.role)).unwrap_or_default(),
        mep: membership.map(|membership| membership.epoch),
    };
    Ok(Tokens { user_token: mint(&keys.user, &user)?, vault_token: mint(&keys.vault, &vault)? })
}

/// The vaultToken of a project's key, with these of its scopes, and its `exp`: in no session and of no member, so without
/// `sid`, `role` and `mep`. It ends with the key where that is sooner.
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
    };
    Ok((mint(&keys.vault, &claims)?, exp))
}
