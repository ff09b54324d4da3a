//! Revoked vaultTokens (RFC 7009): in SQL, so that no lost token store brings one back, until they would have expired.

use latchkey_entity::revoked_token::{ActiveModel, Column, Entity};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, ColumnTrait as _, DbErr, EntityTrait as _, QueryFilter as _};

use crate::clock::UnixMillis;
use crate::database::Db;

/// How long after the token's end its row stays: more than replicas' clocks differ.
const SLACK_MS: i64 = 120_000;

/// Revokes a token until its `exp`, in seconds. Once more changes nothing.
pub async fn revoke(db: &Db, jti: &str, exp: i64, now: UnixMillis) -> Result<(), DbErr> {
    let row = ActiveModel {
        jti: Set(jti.to_owned()),
        revoked_at: Set(now),
        expires_at: Set(exp.saturating_mul(1000).saturating_add(SLACK_MS)),
    };
    Entity::insert(row)
        .on_conflict(OnConflict::column(Column::Jti).do_nothing().to_owned())
        .exec_without_returning(db.writer())
        .await
        .map(drop)
}

/// Forgets the revocations of tokens that have expired.
pub async fn sweep(db: &Db, now: UnixMillis) -> Result<u64, DbErr> {
    let swept = Entity::delete_many().filter(Column::ExpiresAt.lt(now)).exec(db.writer()).await?;
    Ok(swept.rows_affected)
}
