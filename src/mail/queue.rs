//! The outbox as a queue: finding due rows, claiming, marking and counting them.
//!
//! A worker leases a row with an `UPDATE` whose condition only one worker can meet. The SQL is the
//! same on both databases. The end of the lease also identifies the worker that has the lease,
//! because every lease of a row ends at a different time.

use std::time::Duration;

use latchkey_entity::outbox::{Column, Entity, Model, OutboxState};
use sea_orm::sea_query::{Expr, SimpleExpr};
use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, UpdateMany};

use crate::clock::{UnixMillis, millis};
use crate::database::Db;
use crate::database::batches::Expired;
use crate::mail::Kind;

/// How long a claimed row is reserved for its worker: twice the SMTP timeout. So no worker sends a
/// mail that another worker is still sending.
pub(super) const LEASE: Duration = Duration::from_mins(1);
/// The maximum number of rows that one `SELECT` reads. They are claimed one by one.
const CANDIDATES_MAX: u64 = 16;

/// A row that is reserved for this worker until the lease ends.
#[derive(Debug)]
pub(super) struct Claim {
    /// The row as it was claimed.
    pub row: Model,
    pub kind: Kind,
    leased_until: UnixMillis,
}

/// Whether the worker still had the row when it marked the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marked {
    /// The worker still had the row.
    Ours,
    /// The row was superseded, deleted or claimed by another worker in the meantime.
    Lost,
}

/// This is a literal, because the partial index is not used with a bound parameter.
fn pending() -> SimpleExpr {
    Expr::cust("state = 'pending'")
}

/// Some due rows of these kinds, the longest due first. Rows of an unknown kind are left to the
/// later release that knows the kind.
pub(super) async fn due(db: &Db, kinds: &[Kind], now: UnixMillis) -> Result<Vec<Model>, DbErr> {
    Entity::find()
        .filter(pending())
        .filter(Column::DueAt.lte(now))
        .filter(Column::LeasedUntil.lt(now))
        .filter(Column::Kind.is_in(kinds.iter().map(|kind| kind.name())))
        .order_by_asc(Column::DueAt)
        .order_by_asc(Column::Id)
        .limit(CANDIDATES_MAX)
        .all(db.reader())
        .await
}

/// Claims the row, unless another worker has claimed it. The claim contains the row as the update
/// found it, because more events were perhaps merged into it since `row` was read.
pub(super) async fn claim(db: &Db, row: &Model, now: UnixMillis) -> Result<Option<Claim>, DbErr> {
    let Some(kind) = Kind::from_name(&row.kind) else { return Ok(None) };
    let leased_until = now + millis(LEASE);
    let claimed = Entity::update_many()
        .col_expr(Column::LeasedUntil, Expr::value(leased_until))
        .filter(Column::Id.eq(row.id))
        .filter(pending())
        .filter(Column::DueAt.lte(now))
        .filter(Column::LeasedUntil.lt(now))
        // Another worker perhaps tried to send the mail since `row` was read.
        .filter(Column::Attempts.eq(row.attempts))
        .exec_with_returning(db.writer())
        .await?;
    Ok(claimed.into_iter().next().map(|row| Claim { row, kind, leased_until }))
}

impl Claim {
    fn update(&self) -> UpdateMany<Entity> {
        Entity::update_many()
            .col_expr(Column::LeasedUntil, Expr::value(0_i64))
            .filter(Column::Id.eq(self.row.id))
            .filter(pending())
            .filter(Column::LeasedUntil.eq(self.leased_until))
    }

    /// Marks the mail as sent.
    pub(super) async fn sent(&self, db: &Db, now: UnixMillis) -> Result<Marked, DbErr> {
        let update = self
            .update()
            .col_expr(Column::State, Expr::value(OutboxState::Sent))
            .col_expr(Column::SentAt, Expr::value(now))
            .col_expr(Column::LastError, Expr::value(None::<String>));
        mark(update, db).await
    }

    /// Marks the mail as not wanted any more.
    pub(super) async fn superseded(&self, db: &Db) -> Result<Marked, DbErr> {
        mark(self.update().col_expr(Column::State, Expr::value(OutboxState::Superseded)), db).await
    }

    /// Counts an attempt that was refused. The mail is due again at `due_at`.
    pub(super) async fn retry(
        &self,
        db: &Db,
        due_at: UnixMillis,
        error: &str,
    ) -> Result<Marked, DbErr> {
        let update = self
            .update()
            .col_expr(Column::Attempts, Expr::value(self.row.attempts + 1))
            .col_expr(Column::DueAt, Expr::value(due_at))
            .col_expr(Column::LastError, Expr::value(error));
        mark(update, db).await
    }

    /// Gives the mail up.
    pub(super) async fn dead(&self, db: &Db, error: &str) -> Result<Marked, DbErr> {
        let update = self
            .update()
            .col_expr(Column::State, Expr::value(OutboxState::Dead))
            .col_expr(Column::Attempts, Expr::value(self.row.attempts + 1))
            .col_expr(Column::LastError, Expr::value(error));
        mark(update, db).await
    }

    /// Returns the row without counting an attempt. It is due again at `due_at`.
    pub(super) async fn release(&self, db: &Db, due_at: UnixMillis) -> Result<Marked, DbErr> {
        mark(self.update().col_expr(Column::DueAt, Expr::value(due_at)), db).await
    }
}

async fn mark(update: UpdateMany<Entity>, db: &Db) -> Result<Marked, DbErr> {
    let done = update.exec(db.writer()).await?;
    Ok(if done.rows_affected == 1 { Marked::Ours } else { Marked::Lost })
}

/// When the next row that is not due yet becomes due. `None` if no row waits.
pub(super) async fn next_due(db: &Db, now: UnixMillis) -> Result<Option<UnixMillis>, DbErr> {
    Entity::find()
        .select_only()
        .column_as(Column::DueAt.min(), "next_due")
        .filter(pending())
        .filter(Column::DueAt.gt(now))
        .into_tuple()
        .one(db.reader())
        .await
        .map(Option::flatten)
}

/// The depth of the queue, for metrics. A notice that is postponed counts from the time when it is
/// due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Mails that are pending: due, backing off or being sent.
    pub waiting: u64,
    /// How long the oldest of these mails has waited. Zero if no mail waits.
    pub oldest_age: Duration,
}

pub async fn depth(db: &Db, now: UnixMillis) -> Result<Depth, DbErr> {
    let found: Option<(i64, Option<i64>)> = Entity::find()
        .select_only()
        .column_as(Column::Id.count(), "waiting")
        .column_as(Column::CreatedAt.min(), "oldest")
        .filter(pending())
        .filter(Column::CreatedAt.lte(now))
        .into_tuple()
        .one(db.reader())
        .await?;
    let (waiting, oldest) = found.unwrap_or_default();
    let age = oldest.map_or(0, |oldest| u64::try_from(now - oldest).unwrap_or(0));
    Ok(Depth {
        waiting: u64::try_from(waiting).unwrap_or(0),
        oldest_age: Duration::from_millis(age),
    })
}

/// Deletes rows that were created before `before` and are sent, superseded or dead. Returns the
/// number of deleted rows. So an email address is stored no longer than it is needed.
pub async fn forget(db: &Db, before: UnixMillis) -> Result<u64, DbErr> {
    let done =
        Expired { table: "outbox", key: "id", condition: "state <> 'pending' AND created_at < $1" };
    done.delete(db, before).await
}
