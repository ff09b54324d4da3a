//! The events of a user's own account, in the form that is shown to this user.

use sea_orm::{DbErr, FromQueryResult, Statement};
use serde::Deserialize;
use uuid::Uuid;

use crate::clock::UnixMillis;
use crate::database::Db;

/// One event. It does not contain other users who took part in it.
#[derive(Debug)]
pub struct OwnEvent {
    pub id: Uuid,
    /// When the event happened.
    pub at: UnixMillis,
    pub action: String,
    /// `success` or `refused`.
    pub outcome: String,
    /// The client's IP address. None if the actor is another user, a project's key, the operator or
    /// the daemon.
    pub ip: Option<String>,
    /// The client's `User-Agent`. None in the same cases as `ip`.
    pub user_agent: Option<String>,
}

#[derive(FromQueryResult)]
struct Row {
    id: Uuid,
    at: i64,
    action: String,
    outcome: String,
    body: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Identity {
    ip: Option<String>,
    user_agent: Option<String>,
}

/// Returns the newest events of a user that are older than the event `before`. It returns at most
/// `limit` events, with the newest event first.
pub async fn own_events(
    db: &Db,
    user_id: Uuid,
    before: Uuid,
    limit: u64,
) -> Result<Vec<OwnEvent>, DbErr> {
    let statement = Statement::from_sql_and_values(
        db.backend(),
        "SELECT e.id, e.at, e.action, e.outcome, i.body FROM audit_identities i \
         JOIN audit_events e ON e.id = i.event_id \
         WHERE i.person_id = $1 AND i.event_id < $2 ORDER BY i.event_id DESC LIMIT $3",
        [user_id.into(), before.into(), i64::try_from(limit).unwrap_or(i64::MAX).into()],
    );
    let rows = Row::find_by_statement(statement).all(db.reader()).await?;
    Ok(rows
        .into_iter()
        .map(|Row { id, at, action, outcome, body }| {
            let Identity { ip, user_agent } = serde_json::from_str(&body).unwrap_or_default();
            OwnEvent { id, at, action, outcome, ip, user_agent }
        })
        .collect())
}
