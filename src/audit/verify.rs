//! Verification of the audit: every row in order, both ends of every stream, and every identity
//! that is left.
//!
//! A page of rows bounds the memory. A stream is read in one snapshot, so a daemon may write
//! meanwhile. It cannot detect that a whole database was replaced by an earlier copy. Heads that
//! are stored elsewhere detect that ([`checkpoint`](super::checkpoint)).

use std::collections::HashMap;

use latchkey_entity::{audit_event, audit_identity, audit_stream};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, DbErr, EntityTrait as _, FromQueryResult,
    PaginatorTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, Statement,
};
use serde::Serialize;
use uuid::Uuid;

use super::keys::{Checked, Keys};
use super::record::UNPROVEN;
use super::seal::{self, End};
use crate::database::Db;

/// The number of rows that are read at once, with their identities: a few hundred kilobytes.
const PAGE: u64 = 200;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A row, or the one before it, is not what was written.
    Altered,
    /// A row is at the position of another.
    Reordered,
    /// Rows are missing.
    Missing,
    /// Rows at the end are missing, or the head was moved back.
    Truncated,
    /// An end of a stream does not have the seal that the daemon gave it.
    Unsealed,
    /// An identity is not the one that was written.
    IdentityAltered,
    /// The key is lost, so this cannot be checked.
    Unproven,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The stream in which it is.
    pub stream: Uuid,
    /// The number of the row. None if it concerns an end or the whole stream.
    pub seq: Option<i64>,
    pub kind: Kind,
    /// The finding as a text.
    pub what: String,
}

/// The number of things that were checked, and of the findings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    pub streams: u64,
    /// Rows.
    pub events: u64,
    /// Things that are wrong.
    pub findings: u64,
}

/// Receives the findings, one by one.
pub type Sink<'a> = dyn FnMut(Finding) + Send + 'a;

/// Receives the number of checked rows, page by page.
pub type LoggedEvent<'a> = dyn FnMut(u64) + Send + 'a;

/// The number of rows.
///
/// # Errors
/// The database's error, also if counting takes longer than a statement may take.
pub async fn count(db: &Db) -> Result<u64, DbErr> {
    audit_event::Entity::find().count(db.reader()).await
}

/// Verifies the whole audit. After every page it reports to `told` how many rows have been checked.
///
/// # Errors
/// The database's error. Findings about the rows go to `sink` instead.
pub async fn verify(
    db: &Db,
    keys: &Keys,
    sink: &mut Sink<'_>,
    told: &mut LoggedEvent<'_>,
) -> Result<Summary, DbErr> {
    let mut summary = Summary::default();
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
            let events = check_stream(db, keys, id, (&mut counted, &mut so_far)).await?;
            summary.streams += 1;
            summary.events += events;
            summary.findings += findings;
        }
    }
    for finding in orphans(db).await? {
        summary.findings += 1;
        sink(finding);
    }
    Ok(summary)
}

async fn check_stream(
    db: &Db,
    keys: &Keys,
    id: Uuid,
    (sink, told): (&mut (dyn FnMut(Finding) + Send), &mut LoggedEvent<'_>),
) -> Result<u64, DbErr> {
    let tx = db.reader().begin_snapshot().await?;
    let Some(stream) = audit_stream::Entity::find_by_id(id).one(&tx).await? else { return Ok(0) };
    let mut walk = Walk {
        keys,
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

/// The state of the check of one stream, row by row.
struct Walk<'a> {
    keys: &'a Keys,
    stream: &'a audit_stream::Model,
    /// The `mac` of the row before.
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
        // After a gap the row that this one was chained to is unknown.
        match self.keys.event(&self.mac, row) {
            Checked::Bad if !follows => {}
            Checked::Good => {}
            Checked::Unknown => {
                self.report(Kind::Unproven, seq, "the audit key of the row is lost");
            }
            // Ids are ordered by time and, within a millisecond, by number.
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
        if detail.get(UNPROVEN).is_some() {
            let what = "when the row was written, the head of the stream was not the one that latchkey \
                 had written before";
            self.report(Kind::Unsealed, seq, what);
        }
        (self.seq, self.last) = (row.seq, Some(row.id));
        self.mac.clone_from(&row.mac);
    }

    fn identities(&mut self, row: &audit_event::Model, found: &[audit_identity::Model]) {
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

/// Whether the user under which an identity is filed is the one that its body names.
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
