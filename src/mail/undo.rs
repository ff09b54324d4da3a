//! The links that undo changes of address. The digest of such a link is stored in the row of the
//! change, not in the token store.
//!
//! A user cannot request such a link again, so the link must stay valid if the token store is lost.
//! A later change must not make the link invalid either: an attacker who took over an account could
//! otherwise change the address twice.

use latchkey_entity::email_change::{Column, Entity, Model};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait as _, DbErr, EntityTrait as _, QueryFilter as _};
use uuid::Uuid;

use crate::clock::UnixMillis;
use crate::database::Db;

/// Stores the digest of a link. The link is then valid until `until`. A retry of the same mail has
/// the same digest.
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

/// The change that the link with this digest undoes. The state of the change says whether it can
/// still be undone.
pub async fn find(db: &Db, digest: &str, now: UnixMillis) -> Result<Option<Model>, DbErr> {
    Entity::find()
        .filter(Column::UndoDigest.eq(digest))
        .filter(Column::UndoUntil.gt(now))
        .one(db.reader())
        .await
}
