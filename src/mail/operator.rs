//! What an operator does to the outbox from the command line, beside running daemons.

use latchkey_entity::outbox::{Column, Entity, Model};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait as _, DbErr, EntityTrait as _, PaginatorTrait as _, QueryFilter as _};
use sea_orm::{QueryOrder as _, QuerySelect as _, QueryTrait as _};
use uuid::Uuid;

use crate::clock::UnixMillis;
use crate::database::{Db, containing};
use crate::mail::Kind;

pub use latchkey_entity::outbox::{Model as OutboxMail, OutboxState};

/// Which mails are listed.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// In one of these states; empty: in any.
    pub states: Vec<OutboxState>,
    /// Of this kind alone.
    pub kind: Option<Kind>,
    /// Part of the recipient, in any case.
    pub to: Option<String>,
}

/// Mails after `after` in the order of their ids (which is by time of making), `limit` at most.
pub async fn list(db: &Db, filter: &Filter, after: Uuid, limit: u64) -> Result<Vec<Model>, DbErr> {
    let states = filter.states.iter().copied();
    Entity::find()
        .filter(Column::Id.gt(after))
        .apply_if((!filter.states.is_empty()).then_some(states), |query, states| {
            query.filter(Column::State.is_in(states))
        })
        .apply_if(filter.kind, |query, kind| query.filter(Column::Kind.eq(kind.name())))
        .apply_if(filter.to.as_deref(), |query, part| {
            let lower = Expr::expr(sea_orm::sea_query::Func::lower(Expr::col(Column::Recipient)));
            query.filter(sea_orm::sea_query::ExprTrait::like(lower, containing(part)))
        })
        .order_by_asc(Column::Id)
        .limit(limit)
        .all(db.reader())
        .await
}

/// What became of a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retried {
    /// It is due now; a daemon sends it within its next sweep (5 s).
    Due,
    /// It left already, or is not wanted any more: sending it again would be another mail.
    Done,
    /// There is no such mail.
    Gone,
}

/// Makes one mail due at once, also one that was given up: that one gets all of its tries again. One in a worker's hands
/// stays there, and is due when it comes back. A link in it that was replaced in the meantime is not mailed: the daemon
/// looks at that when it sends.
pub async fn retry(db: &Db, id: Uuid, now: UnixMillis) -> Result<Retried, DbErr> {
    let due = Entity::update_many()
        .col_expr(Column::DueAt, Expr::value(now))
        .filter(Column::Id.eq(id))
        .filter(Column::State.eq(OutboxState::Pending))
        .exec(db.writer())
        .await?;
    if due.rows_affected == 1 || revive(db, Some(id), now).await? == 1 {
        return Ok(Retried::Due);
    }
    let found = Entity::find_by_id(id).one(db.reader()).await?;
    Ok(if found.is_some() { Retried::Done } else { Retried::Gone })
}

/// Makes every mail due that was given up; how many.
pub async fn retry_dead(db: &Db, now: UnixMillis) -> Result<u64, DbErr> {
    revive(db, None, now).await
}

/// How many mails were given up.
pub async fn count_dead(db: &Db) -> Result<u64, DbErr> {
    Entity::find().filter(Column::State.eq(OutboxState::Dead)).count(db.reader()).await
}

async fn revive(db: &Db, id: Option<Uuid>, now: UnixMillis) -> Result<u64, DbErr> {
    let done = Entity::update_many()
        .col_expr(Column::State, Expr::value(OutboxState::Pending))
        .col_expr(Column::Attempts, Expr::value(0))
        .col_expr(Column::DueAt, Expr::value(now))
        .col_expr(Column::LeasedUntil, Expr::value(0_i64))
        .filter(Column::State.eq(OutboxState::Dead))
        .apply_if(id, |query, id| query.filter(Column::Id.eq(id)))
        .exec(db.writer())
        .await?;
    Ok(done.rows_affected)
}
