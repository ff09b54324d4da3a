//! Revoked vaultTokens (RFC 7009).
//!
//! A revocation is stored in the database until the token would have expired. So if the token store
//! loses its data, a revoked token does not become valid again.

use latchkey_entity::revoked_token::{ActiveModel, Column, Entity};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, DbErr, EntityTrait as _};
use uuid::Uuid;

use super::VaultClaims;
use crate::audit::{Action, Actor, ChangeContext, Detail, Outcome};
use crate::clock::{CLOCKS_APART_MAX, UnixMillis, millis};
use crate::database::Db;
use crate::database::batches::Expired;

/// Revokes a vaultToken until its `exp` and records an audit event. A second call changes nothing.
pub async fn revoke(cx: &ChangeContext<'_>, claims: &VaultClaims) -> Result<(), DbErr> {
    let row = ActiveModel {
        jti: Set(claims.jti.clone()),
        revoked_at: Set(cx.now),
        expires_at: Set(claims.exp.saturating_mul(1000)),
    };
    let tx = cx.db.begin().await?;
    let written = Entity::insert(row)
        .on_conflict(OnConflict::column(Column::Jti).do_nothing().to_owned())
        .exec_without_returning(&tx)
        .await?;
    if written == 0 {
        return Ok(());
    }
    let id = |text: &str| text.parse::<Uuid>().ok();
    // A client that has a token may revoke it, so the subject of the token is the actor of the
    // event.
    let actor = match (id(&claims.sub), &claims.sid) {
        (Some(person), Some(_)) => Actor::Person(person),
        (Some(key), None) => Actor::ProjectKey(key),
        (None, _) => Actor::Nobody,
    };
    let what = (Action::TokenRevoked, Outcome::Success);
    let team = claims.tid.as_deref().and_then(id);
    cx.record(&tx, what, actor, (None, team), Detail::none()).await?;
    tx.commit().await
}

pub async fn is_revoked(db: &Db, claims: &VaultClaims) -> Result<bool, DbErr> {
    Ok(Entity::find_by_id(claims.jti.clone()).one(db.reader()).await?.is_some())
}

/// Deletes the revocations of tokens that have expired on every replica. Returns their number.
pub async fn sweep(db: &Db, now: UnixMillis) -> Result<u64, DbErr> {
    let revoked = Expired { table: "revoked_tokens", key: "jti", condition: "expires_at < $1" };
    revoked.delete(db, now - millis(CLOCKS_APART_MAX)).await
}
