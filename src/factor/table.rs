//! The tables `factors` and `recovery_codes`: every statement on their rows.

use latchkey_entity::factor::{ActiveModel, Column, Entity, FactorKind, Model};
use latchkey_entity::recovery_code;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ActiveModelTrait as _, ActiveValue::Set, ColumnTrait as _, ConnectionTrait, DbErr,
    EntityTrait as _, PaginatorTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use uuid::Uuid;

use super::FactorMethod;
use crate::clock::UnixMillis;
use crate::config::Passkeys;
use crate::database::{Db, Transaction};

/// The factors of a user, the oldest first.
pub async fn of_user<C: ConnectionTrait>(
    connection: &C,
    user_id: Uuid,
) -> Result<Vec<Model>, DbErr> {
    Entity::find()
        .filter(Column::UserId.eq(user_id))
        .order_by_asc(Column::CreatedAt)
        .order_by_asc(Column::Id)
        .all(connection)
        .await
}

/// The number of recovery codes that the user can still use.
pub async fn codes_left<C: ConnectionTrait>(connection: &C, user_id: Uuid) -> Result<u64, DbErr> {
    let codes = recovery_code::Entity::find();
    codes.filter(recovery_code::Column::UserId.eq(user_id)).count(connection).await
}

/// The methods by which the user can prove a second factor.
pub async fn methods<C: ConnectionTrait>(
    connection: &C,
    user_id: Uuid,
    passkeys: Passkeys,
) -> Result<Vec<FactorMethod>, DbErr> {
    let factors = of_user(connection, user_id).await?;
    let works = |kind| kind != FactorKind::Passkey || passkeys == Passkeys::On;
    let has = |kind| works(kind) && factors.iter().any(|factor| factor.kind == kind);
    let kinds = FactorKind::ALL.iter().copied().filter(|kind| has(*kind));
    let mut methods: Vec<FactorMethod> = kinds.map(FactorMethod::from).collect();
    if codes_left(connection, user_id).await? > 0 {
        methods.push(FactorMethod::RecoveryCode);
    }
    Ok(methods)
}

/// The user's TOTP factor.
pub async fn totp<C: ConnectionTrait>(
    connection: &C,
    user_id: Uuid,
) -> Result<Option<Model>, DbErr> {
    let of_user = Entity::find().filter(Column::UserId.eq(user_id));
    of_user.filter(Column::Kind.eq(FactorKind::Totp)).one(connection).await
}

/// Records that a code of the time step `step` was accepted. Returns false if a code of this step
/// or of a later step was accepted before. The comparison and the change are one statement, so a
/// code works once on all replicas together.
pub async fn accept_step(db: &Db, id: Uuid, step: i64, now: UnixMillis) -> Result<bool, DbErr> {
    let accepted = Entity::update_many()
        .col_expr(Column::LastStep, Expr::value(step))
        .col_expr(Column::LastUsedAt, Expr::value(now))
        .filter(Column::Id.eq(id))
        .filter(Column::LastStep.lt(step))
        .exec(db.writer())
        .await?;
    Ok(accepted.rows_affected == 1)
}

/// Inserts a factor. A TOTP factor replaces the user's earlier TOTP factor.
pub async fn insert(tx: &Transaction, factor: Model) -> Result<(), DbErr> {
    if factor.kind == FactorKind::Totp {
        Entity::delete_many()
            .filter(Column::UserId.eq(factor.user_id))
            .filter(Column::Kind.eq(FactorKind::Totp))
            .exec(tx)
            .await?;
    }
    let row = ActiveModel::from(factor).reset_all();
    Entity::insert(row).exec_without_returning(tx).await.map(drop)
}

/// A factor of this user.
pub async fn find(tx: &Transaction, (user_id, id): (Uuid, Uuid)) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(id).filter(Column::UserId.eq(user_id)).one(tx).await
}

/// Sets the name of a factor.
pub async fn rename(tx: &Transaction, id: Uuid, name: &str) -> Result<(), DbErr> {
    let update = Entity::update_many().col_expr(Column::Name, Expr::value(name));
    update.filter(Column::Id.eq(id)).exec(tx).await.map(drop)
}

/// Deletes a factor. Returns it, or none if the user has no such factor.
pub async fn delete(tx: &Transaction, (user_id, id): (Uuid, Uuid)) -> Result<Option<Model>, DbErr> {
    let found = find(tx, (user_id, id)).await?;
    if found.is_some() {
        Entity::delete_by_id(id).exec(tx).await?;
    }
    Ok(found)
}

/// Deletes the user's factors that were added at the time `since` or later. Returns their number.
pub async fn delete_since(
    tx: &Transaction,
    user_id: Uuid,
    since: UnixMillis,
) -> Result<u64, DbErr> {
    let deleted = Entity::delete_many()
        .filter(Column::UserId.eq(user_id))
        .filter(Column::CreatedAt.gte(since))
        .exec(tx)
        .await?;
    Ok(deleted.rows_affected)
}

/// Deletes all factors of the user. Returns their number.
pub async fn delete_all(tx: &Transaction, user_id: Uuid) -> Result<u64, DbErr> {
    let deleted = Entity::delete_many().filter(Column::UserId.eq(user_id)).exec(tx).await?;
    Ok(deleted.rows_affected)
}

/// Inserts the factors of new accounts in one statement.
pub async fn insert_all(tx: &Transaction, factors: Vec<Model>) -> Result<(), DbErr> {
    if factors.is_empty() {
        return Ok(());
    }
    let rows = factors.into_iter().map(|factor| ActiveModel::from(factor).reset_all());
    Entity::insert_many(rows).exec_without_returning(tx).await.map(drop)
}

/// The factors of these users, the oldest first.
pub async fn of_users<C: ConnectionTrait>(
    connection: &C,
    users: &[Uuid],
) -> Result<Vec<Model>, DbErr> {
    if users.is_empty() {
        return Ok(Vec::new());
    }
    Entity::find()
        .filter(Column::UserId.is_in(users.iter().copied()))
        .order_by_asc(Column::CreatedAt)
        .order_by_asc(Column::Id)
        .all(connection)
        .await
}

/// The `limit` oldest and the `limit` newest TOTP factors, in the order in which they were added.
pub async fn oldest_and_newest_totp<C: ConnectionTrait>(
    connection: &C,
    limit: u64,
) -> Result<Vec<Model>, DbErr> {
    let totp = Entity::find().filter(Column::Kind.eq(FactorKind::Totp)).limit(limit);
    let mut found = totp.clone().order_by_asc(Column::Id).all(connection).await?;
    let mut newest = totp.order_by_desc(Column::Id).all(connection).await?;
    newest.reverse();
    let last = found.last().map(|it| it.id);
    found.extend(newest.into_iter().filter(|it| last.is_none_or(|last| it.id > last)));
    Ok(found)
}

/// Replaces the user's recovery codes by the codes with these digests.
pub async fn replace_codes(
    tx: &Transaction,
    user_id: Uuid,
    digests: Vec<String>,
) -> Result<(), DbErr> {
    let old = recovery_code::Entity::delete_many();
    old.filter(recovery_code::Column::UserId.eq(user_id)).exec(tx).await?;
    if digests.is_empty() {
        return Ok(());
    }
    let rows = digests
        .into_iter()
        .map(|digest| recovery_code::ActiveModel { user_id: Set(user_id), digest: Set(digest) });
    recovery_code::Entity::insert_many(rows).exec_without_returning(tx).await.map(drop)
}

/// Makes a recovery code valid again that was used up although the request failed.
pub async fn restore_code(db: &Db, user_id: Uuid, digest: String) -> Result<(), DbErr> {
    let row = recovery_code::ActiveModel { user_id: Set(user_id), digest: Set(digest) };
    recovery_code::Entity::insert(row)
        .on_conflict(OnConflict::new().do_nothing().to_owned())
        .exec_without_returning(db.writer())
        .await
        .map(drop)
}

/// Uses up a recovery code. Returns false if the user has no such code, or has used it before.
pub async fn spend_code(tx: &Transaction, user_id: Uuid, digest: &str) -> Result<bool, DbErr> {
    let key = (user_id, digest.to_owned());
    let spent = recovery_code::Entity::delete_by_id(key).exec(tx).await?;
    Ok(spent.rows_affected == 1)
}
