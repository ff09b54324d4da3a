//! Retention: rows go from the start of their streams, once they are checked, and the base moves past them.

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
use crate::tenancy::wall::{self, Scope};

/// Rows that one transaction removes.
const BATCH: u64 = 200;
/// Streams that one call looks at; the next call goes on.
const STREAMS_MAX: u64 = 500;

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Rows removed.
    pub events: u64,
    /// Streams removed: their rows were too old and their person or team is gone.
    pub streams: u64,
    /// Streams left alone because their rows are not what was written.
    pub broken: u64,
}

/// Removes rows written before a moment; a part of them where there are many.
///
/// # Errors
/// The database's; what was removed before it stays removed.
pub async fn sweep(db: &Db, chain: &Chain, before: UnixMillis) -> Result<Swept, DbErr> {
    let mut swept = Swept::default();
    let due: Vec<Uuid> = audit_event::Entity::find()
        .select_only()
        .column(audit_event::Column::StreamId)
        .distinct()
        .filter(audit_event::Column::Id.lt(first_id_of(before)))
        .limit(STREAMS_MAX)
        .into_tuple()
        .all(db.reader())
        .await?;
    for stream in due {
        while sweep_batch(db, chain, stream, before, &mut swept).await? == BATCH {}
    }
    swept.streams += forget_ownerless(db, before).await?;
    Ok(swept)
}

/// The lowest UUID version 7 of a moment.
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
    // A base is never sealed over what was tampered with: that would be made good by it.
    let mut sound = chain.keys().end(&stream, End::Base) != Checked::Bad;
    for row in &rows {
        sound &= row.seq == stream.base_seq + 1
            && chain.keys().event(&stream.base_mac, row) != Checked::Bad;
        stream.base_seq = row.seq;
        stream.base_mac.clone_from(&row.mac);
    }
    if !sound {
        swept.broken += 1;
        tracing::error!(stream = %id, "audit rows are not what was written, retention leaves their stream alone");
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

/// Removes streams that are empty and will stay so.
async fn forget_ownerless(db: &Db, before: UnixMillis) -> Result<u64, DbErr> {
    let empty: Vec<(Uuid, Option<Uuid>)> = audit_stream::Entity::find()
        .select_only()
        .columns([audit_stream::Column::Id, audit_stream::Column::TeamId])
        .filter(audit_stream::Column::HeadAt.lt(before))
        .filter(audit_stream::Column::UserId.is_null())
        .filter(audit_stream::Column::Kind.ne("installation"))
        .filter(sea_orm::sea_query::ExprTrait::eq(
            sea_orm::sea_query::Expr::col(audit_stream::Column::BaseSeq),
            sea_orm::sea_query::Expr::col(audit_stream::Column::HeadSeq),
        ))
        .limit(STREAMS_MAX)
        .into_tuple()
        .all(db.reader())
        .await?;
    let mut forgotten = 0;
    for (id, team_id) in empty {
        if let Some(team_id) = team_id
            && is_standing(db, team_id).await?
        {
            continue;
        }
        let deleted = audit_stream::Entity::delete_by_id(id).exec(db.writer()).await?;
        forgotten += deleted.rows_affected;
    }
    Ok(forgotten)
}

/// Whether a team is there, read from above the wall between teams.
async fn is_standing(db: &Db, team_id: Uuid) -> Result<bool, DbErr> {
    let tx = wall::read(db, Scope::Operator).await?;
    let found = team::Entity::find_by_id(team_id).one(&tx).await?;
    tx.commit().await?;
    Ok(found.is_some())
}
