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
use sea_orm::sea_query::ExprTrait as _;
use sea_orm::{
    ColumnTrait as _, Condition, DbErr, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, Select,
};
use serde::Deserialize;
use uuid::Uuid;

use super::checkpoint::{self, Head};
use super::verify::{Finding, Kind, Sink};
use super::{Action, Actor, Chain, Detail, Event, Outcome, RequestOrigin, record};
use crate::clock::{CLOCKS_APART_MAX, UnixMillis, millis};
use crate::database::Db;

/// The kind of the stream that contains the checkpoint events.
const INSTALLATION: &str = "installation";

/// The number of checkpoint events that one query reads.
const ROWS_A_QUERY: u64 = 50;

/// The part of a checkpoint event's `detail` that this module reads.
#[derive(Default, Deserialize)]
struct Heads {
    #[serde(default)]
    heads: Vec<Head>,
    /// Whether the event is the last one of its run.
    #[serde(default)]
    complete: bool,
}

/// The heads in a row. Empty if the row is not a checkpoint event.
fn heads_in(row: &audit_event::Model) -> Heads {
    if row.action != Action::Checkpoint.as_str() {
        return Heads::default();
    }
    serde_json::from_str(&row.detail).unwrap_or_default()
}

/// Writes the heads of the streams that have new events since the last complete run. A run writes
/// an event for each page of heads, and its last event has the mark `complete`. Any number of
/// daemons may call this function. Returns how many heads were written.
///
/// # Errors
/// The database's error. The next call writes the heads that are missing.
pub async fn write(db: &Db, chain: &Chain, now: UnixMillis) -> Result<usize, DbErr> {
    let Recorded { since, heads: recorded } = recorded(db, chain).await?;
    let is_wanted =
        audit_stream::Column::HeadAt.gte(since).and(audit_stream::Column::Kind.ne(INSTALLATION));
    let (mut after, mut next, mut count) = (Uuid::nil(), Vec::new(), 0);
    loop {
        let mut page = checkpoint::page_where(db, is_wanted.clone(), after).await?;
        let Some(last) = page.last() else { break };
        after = last.stream;
        page.retain(|head| !recorded.contains(&(head.stream, head.seq)));
        if !page.is_empty() {
            // A page is written only after the next one is known, so that the last one is known.
            count += write_page(db, chain, &next, false, now).await?;
            next = page;
        }
    }
    Ok(count + write_page(db, chain, &next, true, now).await?)
}

/// Writes a checkpoint event, unless there are no heads. Returns the number of heads.
async fn write_page(
    db: &Db,
    chain: &Chain,
    heads: &[Head],
    complete: bool,
    now: UnixMillis,
) -> Result<usize, DbErr> {
    if heads.is_empty() {
        return Ok(0);
    }
    let event = Event {
        action: Action::Checkpoint,
        outcome: Outcome::Success,
        actor: Actor::System,
        subject: None,
        team: None,
        detail: Detail::none().heads(heads, complete)?,
        origin: &RequestOrigin::none(),
    };
    let tx = db.begin().await?;
    let seq = record(&tx, chain, &event, now).await?;
    tx.commit().await?;
    chain.knows_checkpoint(seq);
    Ok(heads.len())
}

/// What the checkpoint events since the last complete run contain.
struct Recorded {
    /// Streams with events at this time or later are perhaps not in a checkpoint event.
    since: UnixMillis,
    /// The streams and numbers of the heads that were written since that time.
    heads: HashSet<(Uuid, i64)>,
}

/// Reads the newest checkpoint events, and tells the chain the number of the newest one.
async fn recorded(db: &Db, chain: &Chain) -> Result<Recorded, DbErr> {
    let mut recorded = Recorded { since: UnixMillis::MIN, heads: HashSet::new() };
    let Some(installation) = installation(db).await? else { return Ok(recorded) };
    let mut before = i64::MAX;
    loop {
        let rows = checkpoints_of(installation.id)
            .filter(audit_event::Column::Seq.lt(before))
            .filter(audit_event::Column::At.gte(recorded.since))
            .order_by_desc(audit_event::Column::Seq)
            .limit(ROWS_A_QUERY)
            .all(db.reader())
            .await?;
        let Some(last) = rows.last() else { return Ok(recorded) };
        before = last.seq;
        for row in &rows {
            chain.knows_checkpoint(row.seq);
            let Heads { heads, complete } = heads_in(row);
            if complete && recorded.since == UnixMillis::MIN {
                // The time covers events whose transaction had not committed yet, and clocks that
                // differ.
                recorded.since = row.at - 2 * millis(CLOCKS_APART_MAX);
            }
            recorded.heads.extend(heads.into_iter().map(|head| (head.stream, head.seq)));
        }
    }
}

/// The stream of the installation, if it has events.
async fn installation(db: &Db) -> Result<Option<audit_stream::Model>, DbErr> {
    audit_stream::Entity::find()
        .filter(audit_stream::Column::Kind.eq(INSTALLATION))
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
            let Heads { heads, .. } = heads_in(row);
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
