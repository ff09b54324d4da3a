//! Commands of an operator on the outbox. They can run while daemons run.

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
    /// Only mails in one of these states. If the list is empty, mails in any state.
    pub states: Vec<OutboxState>,
    /// Only mails of this kind.
    pub kind: Option<Kind>,
    /// Only mails whose recipient contains this text, in upper or lower case.
    pub to: Option<String>,
}

/// At most `limit` mails after the id `after`, in the order of their ids, which is the order of
/// creation.
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

/// The result of [`retry`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retried {
    /// The mail is due now. A daemon sends it with its next sweep, within 5 seconds.
    Due,
    /// The mail was already sent, or is not wanted any more. So it is not sent again.
    Done,
    /// The mail does not exist.
    Gone,
}

/// Makes one mail due at once. A mail that was given up gets all its attempts again. A mail that a
/// worker has claimed stays with the worker, and is due when the worker returns it. The daemon does
/// not send a mail whose link was replaced in the meantime: it checks the link before it sends.
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

/// Retries all mails that were given up. Returns their number.
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
