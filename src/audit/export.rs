//! The export of the audit: one JSON line for each row, in the order of streams and numbers. A line
//! contains everything that the row's `mac` covers. It also contains the identities, if they are
//! still stored. So anyone who has the audit keys can check an export without the database
//! (`docs/audit.md`).
//!
//! The MAC of `detail` and the hashes of the identities are computed over compact JSON text with
//! sorted members. A line contains `detail` and the identities in the same form.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use latchkey_entity::{audit_event, audit_identity, audit_stream};
use sea_orm::sea_query::Query;
use sea_orm::{
    ColumnTrait as _, Condition, DbErr, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::clock::{UnixMillis, rfc3339};
use crate::database::Db;

/// The maximum number of rows that one query reads.
const PAGE: u64 = 200;

/// A position in the export: the stream's id and the row's number.
pub type Place = (Uuid, i64);

/// The position before the first row.
pub const START: Place = (Uuid::nil(), 0);

/// The rows to export.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filter {
    /// Only rows that were written at this time or later.
    pub since: UnixMillis,
    /// If set, only rows of this team's stream.
    pub team: Option<Uuid>,
    /// If set, only rows in which this user is the actor or the subject.
    pub user: Option<Uuid>,
}

/// Returns the next rows after a position as JSON lines, and the position of the last returned row.
/// If there are no more rows, the returned position is None.
///
/// # Errors
/// The database's error.
pub async fn page(
    db: &Db,
    filter: &Filter,
    (stream, seq): Place,
) -> Result<(String, Option<Place>), DbErr> {
    let column = audit_event::Column::StreamId;
    let after = Condition::any()
        .add(column.gt(stream))
        .add(Condition::all().add(column.eq(stream)).add(audit_event::Column::Seq.gt(seq)));
    let mut query =
        audit_event::Entity::find().filter(after).filter(audit_event::Column::At.gte(filter.since));
    if let Some(team) = filter.team {
        let of_team = Query::select()
            .column(audit_stream::Column::Id)
            .from(audit_stream::Entity)
            .and_where(audit_stream::Column::TeamId.eq(team))
            .to_owned();
        query = query.filter(column.in_subquery(of_team));
    }
    if let Some(user) = filter.user {
        let theirs = Query::select()
            .column(audit_identity::Column::EventId)
            .from(audit_identity::Entity)
            .and_where(audit_identity::Column::PersonId.eq(user))
            .to_owned();
        query = query.filter(audit_event::Column::Id.in_subquery(theirs));
    }
    let rows = query
        .order_by_asc(column)
        .order_by_asc(audit_event::Column::Seq)
        .limit(PAGE)
        .all(db.reader())
        .await?;
    let ids = rows.iter().map(|row| row.id);
    let streams = audit_stream::Entity::find()
        .filter(audit_stream::Column::Id.is_in(rows.iter().map(|row| row.stream_id)))
        .all(db.reader())
        .await?;
    let identities = audit_identity::Entity::find()
        .filter(audit_identity::Column::EventId.is_in(ids))
        .all(db.reader())
        .await?;
    let mut lines = String::new();
    for row in &rows {
        let stream = streams.iter().find(|stream| stream.id == row.stream_id);
        let party =
            |name: &str| identities.iter().find(|it| it.event_id == row.id && it.party == name);
        let _ = writeln!(lines, "{}", line(row, stream, party("actor"), party("subject")));
    }
    Ok((lines, rows.last().map(|row| (row.stream_id, row.seq))))
}

fn line(
    row: &audit_event::Model,
    stream: Option<&audit_stream::Model>,
    actor: Option<&audit_identity::Model>,
    subject: Option<&audit_identity::Model>,
) -> Value {
    let detail: Value = serde_json::from_str(&row.detail).unwrap_or_default();
    let body = |of: Option<&audit_identity::Model>| {
        of.and_then(|it| serde_json::from_str::<Value>(&it.body).ok())
    };
    let bytes = |of: Option<&[u8]>| of.map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
    let salt = |of: Option<&audit_identity::Model>| bytes(of.map(|it| it.salt.as_slice()));
    json!({
        "id": row.id,
        "stream": row.stream_id,
        "team": stream.and_then(|stream| stream.team_id),
        "seq": row.seq,
        "at": rfc3339(row.at),
        "action": row.action,
        "outcome": row.outcome,
        "actorKind": row.actor_kind,
        "actor": body(actor),
        "actorSalt": salt(actor),
        "actorCommitment": bytes(row.actor_commitment.as_deref()),
        "subject": body(subject),
        "subjectSalt": salt(subject),
        "subjectCommitment": bytes(row.subject_commitment.as_deref()),
        "traceId": row.trace_id,
        "detail": detail,
        "keyId": row.key_id,
        "mac": URL_SAFE_NO_PAD.encode(&row.mac),
    })
}
