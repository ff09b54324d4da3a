//! Retention: it checks the rows at the start of a stream, removes them and moves the base past
//! them.

use latchkey_entity::{audit_event, audit_identity, audit_stream, team};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, DbErr, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _,
};
use uuid::Uuid;

use super::Chain;
use super::keys::Checked;
use super::seal::{self, End};
use crate::clock::UnixMillis;
use crate::database::Db;
use crate::database::tenant_scope::{self, TenantScope};

/// The number of rows that one transaction removes.
const BATCH: u64 = 200;
/// The number of streams that are read at once. A call stops once it has swept this many, and the
/// next call continues.
const STREAMS_MAX: u64 = 500;
/// How many of the skipped streams a call names in the log. It only counts the others, because one
/// lost key can affect millions.
const NAMED_MAX: u64 = 10;

/// The result of a sweep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Rows removed.
    pub events: u64,
    /// Streams removed, because their rows were too old and their user or team is deleted.
    pub streams: u64,
    /// Streams skipped, because their rows are not what was written, or cannot be checked.
    pub broken: u64,
}

impl Swept {
    /// Counts a stream that is skipped, and names it in the log.
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

/// Removes rows that were written before the time `before`. If there are many, a call removes a
/// part of them. A stream with an unproven row among them is skipped as a whole. A row is unproven
/// if it was altered or if its key is missing. Skipped streams do not take the turn of other
/// streams.
///
/// # Errors
/// The database's error if it cannot be reached. Rows that were removed before stay removed. An
/// error at one stream, for example because another transaction holds its row, only skips this
/// stream.
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

/// The next streams with rows that are too old, by id.
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

/// The lowest UUID version 7 of this time.
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
    // A base must not be sealed over an unproven row, because the seal would make that row valid. A
    // missing key proves nothing either, because an attacker can name any key.
    let mut sound = chain.keys().end(&stream, End::Base) == Checked::Good;
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
    chain.key_id().clone_into(&mut stream.base_key);
    stream.base_seal = chain.end_seal(End::Base, &seal::place(&stream, End::Base)).to_vec();
    audit_stream::Entity::update_many()
        .set(audit_stream::ActiveModel {
            base_seq: Set(stream.base_seq),
            base_mac: Set(stream.base_mac),
            base_key: Set(stream.base_key),
            base_seal: Set(stream.base_seal),
            ..Default::default()
        })
        .filter(audit_stream::Column::Id.eq(id))
        .exec(&tx)
        .await?;
    audit_identity::Entity::delete_many()
        .filter(audit_identity::Column::EventId.is_in(rows.iter().map(|row| row.id)))
        .exec(&tx)
        .await?;
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

/// Removes streams that are empty and stay empty. A stream whose ends do not have the expected
/// seals is skipped, because something else has emptied it.
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

/// Whether a team exists. The read is in the operator's tenant scope, which sees all teams.
async fn is_standing(db: &Db, team_id: Uuid) -> Result<bool, DbErr> {
    let tx = tenant_scope::read(db, TenantScope::Operator).await?;
    let found = team::Entity::find_by_id(team_id).one(&tx).await?;
    tx.commit().await?;
    Ok(found.is_some())
}
