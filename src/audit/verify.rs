//! Verifies the whole audit: every row in order, both ends of every stream, and every identity that
//! is still stored.
//!
//! Rows are read page by page, which bounds the memory. Each stream is read in one snapshot, so
//! daemons can write at the same time. The checkpoint events show whether a single stream was
//! replaced by an earlier copy. Only checkpoints outside the database show whether the whole
//! database was replaced ([`checkpoint`](super::checkpoint)).

use std::collections::HashMap;

use latchkey_entity::{audit_event, audit_identity, audit_stream};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, DbErr, EntityTrait as _, FromQueryResult,
    PaginatorTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, Statement,
};
use serde::Serialize;
use uuid::Uuid;

use super::checkpoint_event;
use super::keys::{Checked, Keys};
use super::record::{CHECKPOINT, UNPROVEN};
use super::seal::{self, End};
use crate::clock::UnixMillis;
use crate::database::Db;

/// The maximum number of rows that one query reads. These rows and their rows in `audit_identities`
/// take a few hundred kilobytes.
const PAGE: u64 = 200;

/// The kinds of problems that the verification finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A row, or the row before it, was changed after it was written.
    Altered,
    /// A row is at the position of another row.
    Reordered,
    /// Rows or a whole stream are missing.
    Missing,
    /// Rows at the end of a stream are missing, or the head was moved back to an earlier row.
    Truncated,
    /// An end of a stream does not have the seal that the daemon wrote.
    Unsealed,
    /// An identity was changed after it was written.
    IdentityAltered,
    /// Identities were deleted, although their accounts were not.
    IdentityMissing,
    /// A row or an end cannot be checked, because its audit key is lost.
    Unproven,
}

/// A problem that the verification has found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The stream that has the problem.
    pub stream: Uuid,
    /// The number of the row that has the problem. None if the problem concerns an end or the whole
    /// stream.
    pub seq: Option<i64>,
    pub kind: Kind,
    /// The problem, described in a sentence.
    pub what: String,
}

/// How much was checked, and how many problems were found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    pub streams: u64,
    /// The number of rows.
    pub events: u64,
    /// The number of problems.
    pub findings: u64,
}

/// A function that receives the findings, one by one.
pub type Sink<'a> = dyn FnMut(Finding) + Send + 'a;

/// A function that receives the number of rows that have been checked, after each page.
pub type LoggedEvent<'a> = dyn FnMut(u64) + Send + 'a;

/// The number of rows.
///
/// # Errors
/// The database's error. Counting also fails if it takes longer than the database allows a
/// statement to take.
pub async fn count(db: &Db) -> Result<u64, DbErr> {
    audit_event::Entity::find().count(db.reader()).await
}

/// Verifies the whole audit. After every page it calls `told` with the number of rows that have
/// been checked. `kept_from` is the time before which retention deletes rows.
///
/// # Errors
/// The database's error. Problems in the audit are no errors. They are passed to `sink`.
pub async fn verify(
    db: &Db,
    keys: &Keys,
    kept_from: UnixMillis,
    sink: &mut Sink<'_>,
    told: &mut LoggedEvent<'_>,
) -> Result<Summary, DbErr> {
    let mut summary = Summary::default();
    let mut newest_checkpoint = 0;
    let mut after = Uuid::nil();
    loop {
        let page: Vec<Uuid> = audit_stream::Entity::find()
            .select_only()
            .column(audit_stream::Column::Id)
            .filter(audit_stream::Column::Id.gt(after))
            .order_by_asc(audit_stream::Column::Id)
            .limit(PAGE)
            .into_tuple()
            .all(db.reader())
            .await?;
        let Some(last) = page.last() else { break };
        after = *last;
        for id in page {
            let mut findings = 0;
            let mut counted = |finding: Finding| {
                findings += 1;
                sink(finding);
            };
            let before = summary.events;
            let mut so_far = |events: u64| told(before + events);
            let to = (&mut counted as &mut (dyn FnMut(Finding) + Send), &mut so_far as _);
            let events = check_stream(db, keys, id, to, &mut newest_checkpoint).await?;
            summary.streams += 1;
            summary.events += events;
            summary.findings += findings;
        }
    }
    let mut counted = |finding: Finding| {
        summary.findings += 1;
        sink(finding);
    };
    for finding in orphans(db).await? {
        counted(finding);
    }
    checkpoint_event::compare(db, newest_checkpoint, kept_from, &mut counted).await?;
    Ok(summary)
}

async fn check_stream(
    db: &Db,
    keys: &Keys,
    id: Uuid,
    (sink, told): (&mut (dyn FnMut(Finding) + Send), &mut LoggedEvent<'_>),
    newest_checkpoint: &mut i64,
) -> Result<u64, DbErr> {
    let tx = db.reader().begin_snapshot().await?;
    let Some(stream) = audit_stream::Entity::find_by_id(id).one(&tx).await? else { return Ok(0) };
    let mut walk = Walk {
        keys,
        newest_checkpoint,
        missing_identities: 0,
        stream: &stream,
        mac: stream.base_mac.clone(),
        seq: stream.base_seq,
        last: None,
        sink,
    };
    walk.ends();
    let (mut events, mut after) = (0, i64::MIN);
    loop {
        let rows = audit_event::Entity::find()
            .filter(audit_event::Column::StreamId.eq(id))
            .filter(audit_event::Column::Seq.gt(after))
            .order_by_asc(audit_event::Column::Seq)
            .limit(PAGE)
            .all(&tx)
            .await?;
        let Some(last) = rows.last() else { break };
        after = last.seq;
        let identities = identities(&tx, &rows).await?;
        for row in &rows {
            events += 1;
            walk.row(row);
            walk.identities(row, identities.get(&row.id).map_or(&[], Vec::as_slice));
        }
        told(events);
    }
    walk.tail();
    tx.commit().await?;
    Ok(events)
}

async fn identities<C: ConnectionTrait>(
    tx: &C,
    rows: &[audit_event::Model],
) -> Result<HashMap<Uuid, Vec<audit_identity::Model>>, DbErr> {
    let found = audit_identity::Entity::find()
        .filter(audit_identity::Column::EventId.is_in(rows.iter().map(|row| row.id)))
        .all(tx)
        .await?;
    let mut by_event: HashMap<Uuid, Vec<_>> = HashMap::new();
    for row in found {
        by_event.entry(row.event_id).or_default().push(row);
    }
    Ok(by_event)
}

/// The state while one stream is checked row by row.
struct Walk<'a> {
    keys: &'a Keys,
    /// The highest number of a checkpoint event that a row contains.
    newest_checkpoint: &'a mut i64,
    /// How many identities the rows promise that are not stored.
    missing_identities: i64,
    stream: &'a audit_stream::Model,
    /// The `mac` of the row that was checked last.
    mac: Vec<u8>,
    seq: i64,
    last: Option<Uuid>,
    sink: &'a mut (dyn FnMut(Finding) + Send),
}

impl Walk<'_> {
    fn report(&mut self, kind: Kind, seq: Option<i64>, what: impl Into<String>) {
        (self.sink)(Finding { stream: self.stream.id, seq, kind, what: what.into() });
    }

    fn ends(&mut self) {
        for (end, name) in [(End::Base, "base"), (End::Head, "head")] {
            match self.keys.end(self.stream, end) {
                Checked::Good => {}
                Checked::Bad => {
                    self.report(
                        Kind::Unsealed,
                        None,
                        format!("the {name} of the stream is not the one that latchkey wrote"),
                    );
                }
                Checked::Unknown => {
                    self.report(
                        Kind::Unproven,
                        None,
                        format!("the audit key of the {name} is lost"),
                    );
                }
            }
        }
    }

    fn row(&mut self, row: &audit_event::Model) {
        let seq = Some(row.seq);
        let follows = row.seq == self.seq + 1;
        if row.seq <= self.stream.base_seq {
            self.report(Kind::Altered, seq, "the row exists, although retention had deleted it");
        } else if !follows {
            let (from, to) = (self.seq + 1, row.seq - 1);
            self.report(Kind::Missing, Some(from), format!("rows {from} to {to} are missing"));
        }
        // If rows are missing before this row, the `mac` of the row before it is unknown. So the
        // check of this row fails, which is not a second problem.
        match self.keys.event(&self.mac, row) {
            Checked::Bad if !follows => {}
            Checked::Good => {}
            Checked::Unknown => {
                self.report(Kind::Unproven, seq, "the audit key of the row is lost");
            }
            // Ids increase with the time and, within the same millisecond, with the row's number.
            // So a smaller id shows that the row was moved.
            Checked::Bad if self.last.is_some_and(|last| row.id < last) => {
                self.report(Kind::Reordered, seq, "the row is in the place of another row");
            }
            Checked::Bad => {
                self.report(Kind::Altered, seq, "the row was changed after it was written");
            }
        }
        if row.seq > self.stream.head_seq {
            self.report(Kind::Truncated, seq, "the row comes after the head of the stream");
        }
        let detail = serde_json::from_str::<serde_json::Value>(&row.detail).unwrap_or_default();
        let checkpoint = detail.get(CHECKPOINT).and_then(serde_json::Value::as_i64);
        *self.newest_checkpoint = checkpoint.unwrap_or(0).max(*self.newest_checkpoint);
        if detail.get(UNPROVEN).is_some() {
            let what = "when the row was written, the head of the stream was not the one that latchkey \
                 had written before";
            self.report(Kind::Unsealed, seq, what);
        }
        (self.seq, self.last) = (row.seq, Some(row.id));
        self.mac.clone_from(&row.mac);
    }

    fn identities(&mut self, row: &audit_event::Model, found: &[audit_identity::Model]) {
        self.missing_identities += seal::identities_of(std::slice::from_ref(row));
        self.missing_identities -= i64::try_from(found.len()).unwrap_or(i64::MAX);
        for identity in found {
            let promised = match identity.party.as_str() {
                "actor" => &row.actor_commitment,
                _ => &row.subject_commitment,
            };
            let kept = identity.salt.len() == 32
                && promised.as_deref() == Some(seal::commitment_of(identity).as_slice());
            if !kept || !names_its_person(identity) {
                let what = format!(
                    "the identity of the {} was changed after it was written",
                    identity.party
                );
                self.report(Kind::IdentityAltered, Some(row.seq), what);
            }
        }
    }

    fn tail(&mut self) {
        let (missing, erased) = (self.missing_identities, self.stream.erased);
        if missing != erased {
            let what = format!(
                "{missing} identities are missing, but {erased} were deleted with their accounts"
            );
            self.report(Kind::IdentityMissing, None, what);
        }
        let head = self.stream.head_seq;
        if self.seq < head {
            let what = format!("rows {} to {head} are missing", self.seq + 1);
            self.report(Kind::Truncated, Some(self.seq + 1), what);
        } else if self.seq == head && self.mac != self.stream.head_mac {
            self.report(
                Kind::Altered,
                Some(head),
                "the last row is not the one that the head of the stream names",
            );
        }
    }
}

/// Whether the body of an identity contains the id of the user in the identity's `person_id`
/// column.
fn names_its_person(identity: &audit_identity::Model) -> bool {
    let body: serde_json::Value = serde_json::from_str(&identity.body).unwrap_or_default();
    let named = body.get("id").and_then(|id| id.as_str());
    named == identity.person_id.map(|id| id.to_string()).as_deref()
}

#[derive(FromQueryResult)]
struct Orphan {
    stream_id: Uuid,
    rows: i64,
}

/// Reports rows whose stream does not exist.
async fn orphans(db: &Db) -> Result<Vec<Finding>, DbErr> {
    let statement = Statement::from_string(
        db.backend(),
        "SELECT e.stream_id, COUNT(*) AS rows FROM audit_events e \
         WHERE NOT EXISTS (SELECT 1 FROM audit_streams s WHERE s.id = e.stream_id) \
         GROUP BY e.stream_id LIMIT 100",
    );
    let orphans = Orphan::find_by_statement(statement).all(db.reader()).await?;
    Ok(orphans
        .into_iter()
        .map(|orphan| Finding {
            stream: orphan.stream_id,
            seq: None,
            kind: Kind::Missing,
            what: format!("the stream of {} rows is missing", orphan.rows),
        })
        .collect())
}
