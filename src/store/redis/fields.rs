//! The fields of a session in a hash of Redis: how they are written and read.

use std::collections::HashMap;

use uuid::Uuid;

use crate::problem::Unavailable;
use crate::store::lost;
use crate::store::rules::Stored;
use crate::store::types::Session;

/// A hash in a response of Redis.
pub(super) type Fields = HashMap<String, String>;

pub(super) fn session_fields(
    session: &Session,
) -> Result<Vec<(&'static str, String)>, Unavailable> {
    let mut fields = vec![
        ("jti", session.jti.clone()),
        ("generation", session.generation.to_string()),
        ("rotated_at", session.rotated_at.to_string()),
        ("epoch", session.epoch.to_string()),
        ("created_at", session.created_at.to_string()),
        ("seen_at", session.seen_at.to_string()),
        ("expires_at", session.expires_at.to_string()),
        ("absolute_end", session.absolute_end.to_string()),
        ("ip", session.ip.clone()),
        ("user_agent", session.user_agent.clone()),
        ("client", session.client.clone()),
        ("used", flag(session.used)),
        ("recovered", flag(session.recovered)),
        ("recoveries", session.recoveries.to_string()),
        ("acr", session.acr.clone()),
        ("amr", serde_json::to_string(&session.amr).map_err(lost)?),
        ("auth_time", session.auth_time.to_string()),
        ("fresh", flag(session.fresh)),
    ];
    fields.extend(session.previous_jti.clone().map(|it| ("previous_jti", it)));
    fields.extend(session.team_id.map(|it| ("team_id", it.to_string())));
    fields.extend(session.project_id.map(|it| ("project_id", it.to_string())));
    Ok(fields)
}

fn flag(on: bool) -> String {
    u8::from(on).to_string()
}

fn is_on(fields: &Fields, name: &'static str) -> Result<bool, Unavailable> {
    Ok(required::<u8>(fields, name)? != 0)
}

/// Reads a session from the fields of a hash. `None` if the hash does not exist, or if a
/// development version without the field `acr` wrote it.
pub(super) fn read_session(
    user: Uuid,
    sid: &str,
    fields: &Fields,
) -> Result<Option<Stored>, Unavailable> {
    if !fields.contains_key("acr") {
        return Ok(None);
    }
    let session = Session {
        user_id: user,
        sid: sid.to_owned(),
        jti: required(fields, "jti")?,
        generation: required(fields, "generation")?,
        previous_jti: optional(fields, "previous_jti")?,
        rotated_at: required(fields, "rotated_at")?,
        epoch: required(fields, "epoch")?,
        team_id: optional(fields, "team_id")?,
        project_id: optional(fields, "project_id")?,
        created_at: required(fields, "created_at")?,
        seen_at: required(fields, "seen_at")?,
        expires_at: required(fields, "expires_at")?,
        absolute_end: required(fields, "absolute_end")?,
        ip: required(fields, "ip")?,
        user_agent: required(fields, "user_agent")?,
        client: required(fields, "client")?,
        used: is_on(fields, "used")?,
        recovered: is_on(fields, "recovered")?,
        recoveries: required(fields, "recoveries")?,
        acr: required(fields, "acr")?,
        amr: serde_json::from_str(&required::<String>(fields, "amr")?).map_err(lost)?,
        auth_time: required(fields, "auth_time")?,
        fresh: is_on(fields, "fresh")?,
    };
    Ok(Some(Stored { session, reused: fields.contains_key("reused") }))
}

/// Parses a field that must exist.
pub(super) fn required<T>(fields: &Fields, name: &'static str) -> Result<T, Unavailable>
where
    T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    optional(fields, name)?.ok_or_else(|| lost(format!("an entry lacks the field {name}")))
}

/// Parses a field that is perhaps absent.
pub(super) fn optional<T>(fields: &Fields, name: &'static str) -> Result<Option<T>, Unavailable>
where
    T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    fields.get(name).map(|text| text.parse()).transpose().map_err(lost)
}
