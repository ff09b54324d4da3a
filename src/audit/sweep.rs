//! Retention: deletes old rows at the start of each stream. It checks the rows first, and then
//! moves the base of the stream to the last deleted row.

use latchkey_entity::{audit_event, audit_identity, audit_stream, team};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, DbErr, EntityTrait as _, PaginatorTrait as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use uuid::Uuid;

use super::Chain;
use super::keys::Checked;
use super::seal::{self, End};
use crate::clock::UnixMillis;
use crate::database::Db;
use crate::database::tenant_scope::{self, TenantScope};

/// The maximum number of rows that one transaction deletes.
const BATCH: u64 = 200;
/// The maximum number of streams that one query reads. A call stops after it has swept this many
/// streams, and the next call continues.
const STREAMS_MAX: u64 = 500;
/// The maximum number of skipped streams that a call logs one by one. Further skipped streams are
/// only counted, because one lost key can affect millions of streams.
const NAMED_MAX: u64 = 10;

/// The result of a sweep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// The number of deleted rows.
    pub events: u64,
    /// The number of deleted streams. A stream is deleted if retention has deleted all its rows and
    /// its user or team no longer exists.
    pub streams: u64,
    /// The number of skipped streams. A stream is skipped if its rows or ends were altered or
    /// cannot be checked.
    pub broken: u64,
}

impl Swept {
    /// Counts a skipped stream, and logs its id.
    fn leave(&mut self, stream: Uuid) {
        self.broken += 1;
        if self.broken <= NAMED_MAX {
            tracing::error!(
                %stream,
                "audit rows were altered or cannot be verified, so retention deletes nothing from \
                 their stream: run `latchkey audit verify`"
            );
        }
    }
}

/// Deletes rows that were written before the time `before`. If there are many such rows, a call
/// deletes only some of them. A row is unproven if it was altered or if its audit key is missing.
/// If a batch of old rows contains an unproven row, the rest of this stream is skipped. Skipped
/// streams do not count towards the maximum number of streams of a call.
///
/// # Errors
/// The database's error if the database cannot be reached. Rows that were already deleted stay
/// deleted. Any other error skips only the stream at which it happens, for example if another
/// transaction has locked this stream.
pub async fn sweep(db: &Db, chain: &Chain, before: UnixMillis) -> Result<Swept, DbErr> {
    let (mut swept, mut looked, mut after) = (Swept::default(), 0, Uuid::nil());
    while looked - swept.broken < STREAMS_MAX {
        let due = due(db, before, after).await?;
        let Some(last) = due.last() else { break };
        after = *last;
        for stream in due {
            looked += 1;
            if let Err(error) = sweep_stream(db, chain, stream, before, &mut swept).await {
                if crate::database::is_unreachable(&error) {
                    return Err(error);
                }
                tracing::warn!(
                    %stream,
                    error = %error,
                    "cannot delete old events from an audit stream, the next run tries again"
                );
            }
        }
    }
    forget_ownerless(db, chain, before, &mut swept).await?;
    if swept.broken > NAMED_MAX {
        tracing::error!(
            streams = swept.broken,
            "retention deletes nothing from audit streams that cannot be verified: run `latchkey \
             audit verify`"
        );
    }
    Ok(swept)
}

async fn sweep_stream(
    db: &Db,
    chain: &Chain,
    stream: Uuid,
    before: UnixMillis,
    swept: &mut Swept,
) -> Result<(), DbErr> {
    while sweep_batch(db, chain, stream, before, swept).await? == BATCH {}
    Ok(())
}

/// Returns the next streams that have rows older than `before`, in the order of their ids.
async fn due(db: &Db, before: UnixMillis, after: Uuid) -> Result<Vec<Uuid>, DbErr> {
    audit_event::Entity::find()
        .select_only()
        .column(audit_event::Column::StreamId)
        .distinct()
        .filter(audit_event::Column::Id.lt(first_id_of(before)))
        .filter(audit_event::Column::StreamId.gt(after))
        .order_by_asc(audit_event::Column::StreamId)
        .limit(STREAMS_MAX)
        .into_tuple()
        .all(db.reader())
        .await
}

/// The lowest UUID version 7 of the time `at`.
fn first_id_of(at: UnixMillis) -> Uuid {
    let millis = u64::try_from(at).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid()
}

async fn sweep_batch(
    db: &Db,
    chain: &Chain,
    id: Uuid,
    before: UnixMillis,
    swept: &mut Swept,
) -> Result<u64, DbErr> {
    let tx = db.begin().await?;
    let stream = audit_stream::Entity::find_by_id(id).lock_exclusive().one(&tx).await?;
    let Some(mut stream) = stream else { return Ok(0) };
    let mut rows = audit_event::Entity::find()
        .filter(audit_event::Column::StreamId.eq(id))
        .order_by_asc(audit_event::Column::Seq)
        .limit(BATCH)
        .all(&tx)
        .await?;
    let old = rows.iter().take_while(|row| row.at < before).count();
    rows.truncate(old);
    // The base must not be moved past an unproven row, because the new seal would make that row
    // valid. This also applies if only the key is missing, because an attacker can write any key
    // name into a row.
    let is_good = |end| chain.keys().end(&stream, end) == Checked::Good;
    let mut sound = is_good(End::Base) && is_good(End::Head);
    for row in &rows {
        sound &= row.seq == stream.base_seq + 1
            && chain.keys().event(&stream.base_mac, row) == Checked::Good;
        stream.base_seq = row.seq;
        stream.base_mac.clone_from(&row.mac);
    }
    if !sound {
        swept.leave(id);
        return Ok(0);
    }
    if rows.is_empty() {
        return Ok(0);
    }
    let of_rows = audit_identity::Column::EventId.is_in(rows.iter().map(|row| row.id));
    let kept = audit_identity::Entity::find().filter(of_rows.clone()).count(&tx).await?;
    stream.erased -= seal::identities_of(&rows) - i64::try_from(kept).unwrap_or(i64::MAX);
    chain.seal_base(&mut stream);
    chain.seal_head(&mut stream);
    audit_stream::Entity::update_many()
        .set(audit_stream::ActiveModel {
            base_seq: Set(stream.base_seq),
            base_mac: Set(stream.base_mac),
            base_key: Set(stream.base_key),
            base_seal: Set(stream.base_seal),
            head_key: Set(stream.head_key),
            head_seal: Set(stream.head_seal),
            erased: Set(stream.erased),
            ..Default::default()
        })
        .filter(audit_stream::Column::Id.eq(id))
        .exec(&tx)
        .await?;
    audit_identity::Entity::delete_many().filter(of_rows).exec(&tx).await?;
    audit_event::Entity::delete_many()
        .filter(audit_event::Column::StreamId.eq(id))
        .filter(audit_event::Column::Seq.lte(stream.base_seq))
        .exec(&tx)
        .await?;
    tx.commit().await?;
    let removed = u64::try_from(rows.len()).unwrap_or(u64::MAX);
    swept.events += removed;
    Ok(removed)
}

/// Deletes streams that have no rows and will get no more rows. If the ends of such a stream do not
/// have the expected seals, the stream is skipped, because latchkey did not empty it.
async fn forget_ownerless(
    db: &Db,
    chain: &Chain,
    before: UnixMillis,
    swept: &mut Swept,
) -> Result<(), DbErr> {
    let mut after = Uuid::nil();
    loop {
        let empty = audit_stream::Entity::find()
            .filter(audit_stream::Column::HeadAt.lt(before))
            .filter(audit_stream::Column::UserId.is_null())
            .filter(audit_stream::Column::Kind.ne("installation"))
            .filter(audit_stream::Column::Id.gt(after))
            .filter(sea_orm::sea_query::ExprTrait::eq(
                sea_orm::sea_query::Expr::col(audit_stream::Column::BaseSeq),
                sea_orm::sea_query::Expr::col(audit_stream::Column::HeadSeq),
            ))
            .order_by_asc(audit_stream::Column::Id)
            .limit(STREAMS_MAX)
            .all(db.reader())
            .await?;
        let Some(last) = empty.last() else { return Ok(()) };
        after = last.id;
        for stream in empty {
            if let Some(team_id) = stream.team_id
                && is_standing(db, team_id).await?
            {
                continue;
            }
            let is_ours = |end| chain.keys().end(&stream, end) == Checked::Good;
            if !(is_ours(End::Base) && is_ours(End::Head)) {
                swept.leave(stream.id);
                continue;
            }
            let deleted = audit_stream::Entity::delete_by_id(stream.id).exec(db.writer()).await?;
            swept.streams += deleted.rows_affected;
        }
    }
}

/// Whether a team exists. The query runs in the operator's tenant scope, in which all teams are
/// visible.
async fn is_standing(db: &Db, team_id: Uuid) -> Result<bool, DbErr> {
    let tx = tenant_scope::read(db, TenantScope::Operator).await?;
    let found = team::Entity::find_by_id(team_id).one(&tx).await?;
    Ok(found.is_some())
}
