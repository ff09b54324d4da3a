//! The links that undo changes of address: each is known by its change's row, not by the token store. Nobody could ask for
//! such a link anew, so a lost store must not take it away, and a later change must not either: whoever took an account
//! over would only have to change its address twice.

use latchkey_entity::email_change::{Column, Entity, Model};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait as _, DbErr, EntityTrait as _, QueryFilter as _};
use uuid::Uuid;

use crate::clock::UnixMillis;
use crate::database::Db;

/// Makes the link with this digest good until then. A retry of the same mail has the same digest.
pub(super) async fn put(
    db: &Db,
    change: Uuid,
    digest: String,
    until: UnixMillis,
) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::UndoDigest, Expr::value(digest))
        .col_expr(Column::UndoUntil, Expr::value(until))
        .filter(Column::Id.eq(change))
        .exec(db.writer())
        .await
        .map(drop)
}

/// The change that the link with this digest undoes; whether it can be undone any more is its state's to say.
pub async fn find(db: &Db, digest: &str, now: UnixMillis) -> Result<Option<Model>, DbErr> {
    Entity::find()
        .filter(Column::UndoDigest.eq(digest))
        .filter(Column::UndoUntil.gt(now))
        .one(db.reader())
        .await
}
