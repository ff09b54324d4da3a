//! The outbox as a queue: which rows are due, who has one, what became of it.
//!
//! A row is leased by an `UPDATE` that one worker's condition matches and no other's: the same SQL on both databases.
//! The lease's end is also its owner's mark: it differs from every lease before it.

use std::time::Duration;

use latchkey_entity::outbox::{Column, Entity, Model, OutboxState};
use sea_orm::sea_query::{Expr, SimpleExpr};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    UpdateMany,
};

use crate::clock::{UnixMillis, millis};
use crate::database::Db;
use crate::mail::Kind;

/// How long a claimed row is left to its worker: twice the SMTP timeout, so that nobody sends what another still does.
pub(super) const LEASE: Duration = Duration::from_mins(1);
/// Rows looked at in one `SELECT`; they are claimed one by one.
const CANDIDATES_MAX: u64 = 16;

/// A row that is ours until the lease ends.
#[derive(Debug)]
pub(super) struct Claim {
    /// The row as it was claimed.
    pub row: Model,
    /// Which mail.
    pub kind: Kind,
    leased_until: UnixMillis,
}

/// Whether what was marked was still ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marked {
    /// It was.
    Ours,
    /// Superseded, deleted or claimed by another in the meantime.
    Lost,
}

/// As a literal: a bound parameter would not meet the partial index.
fn pending() -> SimpleExpr {
    Expr::cust("state = 'pending'")
}

/// Some rows of these kinds that are due, the longest due first. Rows of a later release's kinds are left to it.
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

/// Takes the row, unless another worker has. The claim holds the row as the update found it: since
/// `row` was read, more events may have been merged into it.
pub(super) async fn claim(db: &Db, row: &Model, now: UnixMillis) -> Result<Option<Claim>, DbErr> {
    let Some(kind) = Kind::from_name(&row.kind) else { return Ok(None) };
    let leased_until = now + millis(LEASE);
    let claimed = Entity::update_many()
        .col_expr(Column::LeasedUntil, Expr::value(leased_until))
        .filter(Column::Id.eq(row.id))
        .filter(pending())
        .filter(Column::DueAt.lte(now))
        .filter(Column::LeasedUntil.lt(now))
        // Another worker may have tried to send it since it was read.
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

    /// It was handed over.
    pub(super) async fn sent(&self, db: &Db, now: UnixMillis) -> Result<Marked, DbErr> {
        let update = self
            .update()
            .col_expr(Column::State, Expr::value(OutboxState::Sent))
            .col_expr(Column::SentAt, Expr::value(now))
            .col_expr(Column::LastError, Expr::value(None::<String>));
        mark(update, db).await
    }

    /// Nobody wants it any more.
    pub(super) async fn superseded(&self, db: &Db) -> Result<Marked, DbErr> {
        mark(self.update().col_expr(Column::State, Expr::value(OutboxState::Superseded)), db).await
    }

    /// It was refused, and comes again.
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

    /// It is given up.
    pub(super) async fn dead(&self, db: &Db, error: &str) -> Result<Marked, DbErr> {
        let update = self
            .update()
            .col_expr(Column::State, Expr::value(OutboxState::Dead))
            .col_expr(Column::Attempts, Expr::value(self.row.attempts + 1))
            .col_expr(Column::LastError, Expr::value(error));
        mark(update, db).await
    }

    /// Gives it back as it was, to be looked at again from `due_at` on.
    pub(super) async fn release(&self, db: &Db, due_at: UnixMillis) -> Result<Marked, DbErr> {
        mark(self.update().col_expr(Column::DueAt, Expr::value(due_at)), db).await
    }
}

async fn mark(update: UpdateMany<Entity>, db: &Db) -> Result<Marked, DbErr> {
    let done = update.exec(db.writer()).await?;
    Ok(if done.rows_affected == 1 { Marked::Ours } else { Marked::Lost })
}

/// When the next row that is not due yet will be; none where nothing waits.
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

/// What waits, for metrics. Notices that are put off until later do not wait yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Mails that are pending: due, backing off or being sent.
    pub waiting: u64,
    /// How long the oldest of them has waited; zero where none waits.
    pub oldest_age: Duration,
}

/// How many mails wait, and how long the oldest has.
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

/// Deletes rows made before `before` that are sent, superseded or dead, and says how many: an address is kept no longer
/// than it is needed.
pub async fn forget<C: ConnectionTrait>(db: &C, before: UnixMillis) -> Result<u64, DbErr> {
    let done = Entity::delete_many()
        .filter(Column::State.ne(OutboxState::Pending))
        .filter(Column::CreatedAt.lt(before))
        .exec(db)
        .await?;
    Ok(done.rows_affected)
}
