//! The links that undo a change of address or the first factor of an account. The digest of such a
//! link is stored in the row that it undoes, not in the token store.
//!
//! A user cannot request such a link again, so the link must stay valid if the token store is lost.
//! A later change must not make the link invalid either: an attacker who took over an account could
//! otherwise make the same change twice.

use latchkey_entity::{email_change, first_factor};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait as _, DbErr, EntityTrait as _, QueryFilter as _};
use uuid::Uuid;

use crate::clock::UnixMillis;
use crate::database::Db;

/// The table of the row that a link undoes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UndoKind {
    EmailChange,
    FirstFactor,
}

/// Stores the digest of a link. The link is then valid until `until`. A retry of the same mail has
/// the same digest.
pub(super) async fn put(
    db: &Db,
    (kind, id): (UndoKind, Uuid),
    digest: String,
    until: UnixMillis,
) -> Result<(), DbErr> {
    match kind {
        UndoKind::EmailChange => {
            email_change::Entity::update_many()
                .col_expr(email_change::Column::UndoDigest, Expr::value(digest))
                .col_expr(email_change::Column::UndoUntil, Expr::value(until))
                .filter(email_change::Column::Id.eq(id))
                .exec(db.writer())
                .await
        }
        UndoKind::FirstFactor => {
            first_factor::Entity::update_many()
                .col_expr(first_factor::Column::UndoDigest, Expr::value(digest))
                .col_expr(first_factor::Column::UndoUntil, Expr::value(until))
                .filter(first_factor::Column::Id.eq(id))
                .exec(db.writer())
                .await
        }
    }
    .map(drop)
}

/// The change of address that the link with this digest undoes. The state of the change says
/// whether it can still be undone.
pub async fn find(
    db: &Db,
    digest: &str,
    now: UnixMillis,
) -> Result<Option<email_change::Model>, DbErr> {
    email_change::Entity::find()
        .filter(email_change::Column::UndoDigest.eq(digest))
        .filter(email_change::Column::UndoUntil.gt(now))
        .one(db.reader())
        .await
}

/// The first factor that the link with this digest undoes. Its state says whether it can still be
/// undone.
pub async fn find_first_factor(
    db: &Db,
    digest: &str,
    now: UnixMillis,
) -> Result<Option<first_factor::Model>, DbErr> {
    first_factor::Entity::find()
        .filter(first_factor::Column::UndoDigest.eq(digest))
        .filter(first_factor::Column::UndoUntil.gt(now))
        .one(db.reader())
        .await
}
