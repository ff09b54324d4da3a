//! Checkpoint events: rows in the stream of the installation that contain the heads of the other
//! streams.
//!
//! Each stream proves its own order, but not that its end is the newest one. If an attacker with
//! the database password puts an earlier row of a stream back and deletes its last events, all
//! seals of this stream are valid. A later checkpoint event contradicts them. The events of the
//! other streams in turn contain the number of the newest checkpoint event, so that the stream of
//! the installation cannot be put back either. To stay unseen, the attacker has to put back all
//! streams with events since the checkpoint.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use latchkey_entity::{audit_event, audit_stream};
use sea_orm::{
    ColumnTrait as _, Condition, DbErr, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, Select,
};
use serde::Deserialize;
use uuid::Uuid;

use super::checkpoint::{self, HEADS_PER_CHECKPOINT, Head};
use super::verify::{Finding, Kind, Sink};
use super::{Action, Actor, Chain, Detail, Event, Outcome, RequestOrigin, record};
use crate::clock::{CLOCKS_APART_MAX, UnixMillis, millis};
use crate::database::Db;

/// The number of checkpoint events that one query reads.
const ROWS_A_QUERY: u64 = 50;

/// The part of a checkpoint event's `detail` that this module reads.
#[derive(Default, Deserialize)]
struct Heads {
    #[serde(default)]
    heads: Vec<Head>,
}

/// The heads in a row. Empty if the row is not a checkpoint event.
fn heads_in(row: &audit_event::Model) -> Vec<Head> {
    if row.action != Action::Checkpoint.as_str() {
        return Vec::new();
    }
    serde_json::from_str::<Heads>(&row.detail).unwrap_or_default().heads
}

/// Writes the heads of the streams that have new events since the last checkpoint event. Any number
/// of daemons may call this function. Returns how many heads were written.
///
/// # Errors
/// The database's error. The next call writes the heads that are missing.
pub async fn write(db: &Db, chain: &Chain, now: UnixMillis) -> Result<usize, DbErr> {
    let Written { since, heads: known } = written(db, chain).await?;
    let (mut after, mut written) = (Uuid::nil(), 0);
    loop {
        let streams = audit_stream::Entity::find()
            .filter(audit_stream::Column::HeadAt.gte(since))
            .filter(audit_stream::Column::Id.gt(after))
            .filter(audit_stream::Column::Kind.ne("installation"))
            .order_by_asc(audit_stream::Column::Id)
            .limit(HEADS_PER_CHECKPOINT as u64)
            .all(db.reader())
            .await?;
        let Some(last) = streams.last() else { break };
        after = last.id;
        let moved = streams.iter().filter(|it| !known.contains(&(it.id, it.head_seq)));
        let heads: Vec<Head> = moved.map(Head::from).collect();
        if heads.is_empty() {
            continue;
        }
        written += heads.len();
        let event = Event {
            action: Action::Checkpoint,
            outcome: Outcome::Success,
            actor: Actor::System,
            subject: None,
            team: None,
            detail: Detail::none().heads(&heads)?,
            origin: &RequestOrigin::none(),
        };
        let tx = db.begin().await?;
        record(&tx, chain, &event, now).await?;
        tx.commit().await?;
    }
    if written > 0 {
        self::written(db, chain).await?;
    }
    Ok(written)
}

/// What the last checkpoint events contain.
struct Written {
    /// Streams with events at this time or later are perhaps not in a checkpoint event.
    since: UnixMillis,
    /// The streams and numbers of the heads that were written since that time.
    heads: HashSet<(Uuid, i64)>,
}

/// Reads the last checkpoint events, and tells the chain the number of the newest one.
async fn written(db: &Db, chain: &Chain) -> Result<Written, DbErr> {
    let installation = installation(db).await?;
    let mut written = Written { since: UnixMillis::MIN, heads: HashSet::new() };
    let Some(installation) = installation else { return Ok(written) };
    let checkpoints = checkpoints_of(installation.id);
    let newest = checkpoints.clone().order_by_desc(audit_event::Column::Seq).one(db.reader());
    let Some(newest) = newest.await? else { return Ok(written) };
    chain.knows_checkpoint(newest.seq);
    // The time covers events whose transaction had not committed yet, and clocks that differ.
    written.since = newest.at - 2 * millis(CLOCKS_APART_MAX);
    let recent = checkpoints.filter(audit_event::Column::At.gte(written.since));
    for row in recent.all(db.reader()).await? {
        written.heads.extend(heads_in(&row).into_iter().map(|head| (head.stream, head.seq)));
    }
    Ok(written)
}

/// The stream of the installation, if it has events.
async fn installation(db: &Db) -> Result<Option<audit_stream::Model>, DbErr> {
    audit_stream::Entity::find()
        .filter(audit_stream::Column::Kind.eq("installation"))
        .one(db.reader())
        .await
}

fn checkpoints_of(installation: Uuid) -> Select<audit_event::Entity> {
    audit_event::Entity::find()
        .filter(audit_event::Column::StreamId.eq(installation))
        .filter(audit_event::Column::Action.eq(Action::Checkpoint.as_str()))
}

/// Compares the heads in all checkpoint events with the database. `newest` is the highest number of
/// a checkpoint event that a row of another stream contains. `kept_from` is the time before which
/// retention deletes rows.
///
/// # Errors
/// The database's error.
pub(super) async fn compare(
    db: &Db,
    newest: i64,
    kept_from: UnixMillis,
    sink: &mut Sink<'_>,
) -> Result<(), DbErr> {
    let installation = installation(db).await?;
    let (stream, head) = installation.map_or((Uuid::nil(), 0), |it| (it.id, it.head_seq));
    if newest > head {
        let what = format!(
            "rows of other streams name the checkpoint event at row {newest}, and the head of the \
             stream is at row {head}"
        );
        sink(Finding { stream, seq: Some(newest), kind: Kind::Truncated, what });
    }
    let mut after = 0;
    loop {
        let rows = checkpoints_of(stream)
            .filter(audit_event::Column::Seq.gt(after))
            .order_by_asc(audit_event::Column::Seq)
            .limit(ROWS_A_QUERY)
            .all(db.reader())
            .await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = last.seq;
        for row in &rows {
            let heads = heads_in(row);
            let good = rows_of(db, &heads).await?;
            for head in heads {
                if !good.contains(&(head.stream, head.seq, head.mac.clone())) {
                    checkpoint::compare(db, &head, kept_from, sink).await?;
                }
            }
        }
    }
}

/// Reads the rows at the positions of heads: the stream, the number and the `mac` in base64url.
async fn rows_of(db: &Db, heads: &[Head]) -> Result<HashSet<(Uuid, i64, String)>, DbErr> {
    let is_at = |head: &Head| {
        Condition::all()
            .add(audit_event::Column::StreamId.eq(head.stream))
            .add(audit_event::Column::Seq.eq(head.seq))
    };
    let found: Vec<(Uuid, i64, Vec<u8>)> = audit_event::Entity::find()
        .select_only()
        .column(audit_event::Column::StreamId)
        .column(audit_event::Column::Seq)
        .column(audit_event::Column::Mac)
        .filter(heads.iter().map(is_at).fold(Condition::any(), Condition::add))
        .into_tuple()
        .all(db.reader())
        .await?;
    let encoded = |(stream, seq, mac)| (stream, seq, URL_SAFE_NO_PAD.encode(mac));
    Ok(found.into_iter().map(encoded).collect())
}
