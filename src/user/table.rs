//! The table `users`: every statement that writes one of its rows, and the question whether an
//! email address has an account.

use latchkey_entity::user::{ActiveModel, Column, Entity, Model, UserState};
use sea_orm::sea_query::{Expr, ExprTrait as _, OnConflict};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait, DbErr, EntityTrait as _,
    QueryFilter as _, QuerySelect as _, SqlErr, UpdateMany,
};
use uuid::Uuid;

use super::EmailAddress;
use crate::clock::UnixMillis;
use crate::database::{Db, Transaction};

/// The value of `password_hash` for an account without a password.
pub const NO_HASH: &str = "!";

#[derive(Clone, Debug)]
pub struct NewUser {
    pub id: Uuid,
    pub email: EmailAddress,
    pub name: String,
    /// A PHC string.
    pub password_hash: String,
    /// Whether the account may be used.
    pub state: UserState,
    /// When the email address was proven. None if it is not proven.
    pub verified_at: Option<UnixMillis>,
    /// The IP address from which the account was registered. Empty if an operator creates the
    /// account.
    pub created_ip: String,
    /// When the account was created. The time in which the user can verify the account begins at
    /// this time.
    pub created_at: UnixMillis,
    pub updated_at: UnixMillis,
    /// The number of factors that the account has from its creation on.
    pub factor_count: i32,
}

impl From<NewUser> for Model {
    fn from(new: NewUser) -> Self {
        Self {
            id: new.id,
            email: new.email.as_typed().to_owned(),
            email_normal: new.email.normal().to_owned(),
            name: new.name,
            password_hash: new.password_hash,
            password_version: 0,
            session_epoch: 0,
            factor_version: 0,
            factor_count: new.factor_count,
            status: new.state,
            verified_at: new.verified_at,
            created_ip: new.created_ip,
            created_at: new.created_at,
            updated_at: new.updated_at,
            has_logged_in: false,
        }
    }
}

/// Result of writing an email address, which has to be unique.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// The row is written.
    Now,
    /// Another account has the email address.
    EmailTaken,
}

/// Inserts a user, unless another account has the email address.
pub async fn insert(tx: &Transaction, user: Model) -> Result<Inserted, DbErr> {
    let rows = Entity::insert(ActiveModel::from(user).reset_all())
        .on_conflict(OnConflict::column(Column::EmailNormal).do_nothing().to_owned())
        .exec_without_returning(tx)
        .await?;
    Ok(if rows == 0 { Inserted::EmailTaken } else { Inserted::Now })
}

/// Inserts users in one statement. The caller has checked that no account has one of their email
/// addresses.
pub async fn insert_all(tx: &Transaction, users: Vec<NewUser>) -> Result<(), DbErr> {
    if users.is_empty() {
        return Ok(());
    }
    let rows = users.into_iter().map(|user| ActiveModel::from(Model::from(user)).reset_all());
    Entity::insert_many(rows).exec_without_returning(tx).await.map(drop)
}

/// Reads the user's row and locks it until the transaction ends. On SQLite the whole file is
/// locked.
pub async fn lock(tx: &Transaction, id: Uuid) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(id).lock_exclusive().one(tx).await
}

/// Reads the user with this email address. `normal` is the normal form of the address.
pub async fn by_address<C: ConnectionTrait>(
    connection: &C,
    normal: &str,
) -> Result<Option<Model>, DbErr> {
    Entity::find().filter(Column::EmailNormal.eq(normal)).one(connection).await
}

/// Marks the email address as proven.
pub async fn set_verified(tx: &Transaction, id: Uuid, now: UnixMillis) -> Result<(), DbErr> {
    run(tx, change(id, now).col_expr(Column::VerifiedAt, Expr::value(now))).await.map(drop)
}

/// Sets the name. Returns whether the name changed.
pub async fn set_name(
    tx: &Transaction,
    id: Uuid,
    name: String,
    now: UnixMillis,
) -> Result<bool, DbErr> {
    let update =
        change(id, now).filter(Column::Name.ne(&name)).col_expr(Column::Name, Expr::value(name));
    Ok(run(tx, update).await? == 1)
}

/// Sets the email address, unless another account has it. The password's version also rises. This
/// makes an open recovery link invalid. The link must not stay valid, because it was mailed to the
/// old address.
pub async fn set_address(
    tx: &Transaction,
    id: Uuid,
    email: &EmailAddress,
    now: UnixMillis,
) -> Result<Inserted, DbErr> {
    let update = change(id, now)
        .col_expr(Column::Email, Expr::value(email.as_typed()))
        .col_expr(Column::EmailNormal, Expr::value(email.normal()))
        .col_expr(Column::PasswordVersion, Expr::col(Column::PasswordVersion).add(1));
    match run(tx, update).await {
        Err(error) if is_taken(&error) => Ok(Inserted::EmailTaken),
        other => other.map(|_| Inserted::Now),
    }
}

/// Sets the password of a user. Raises the user's epoch, which ends every session, and returns the
/// new epoch. The caller has locked the user's row.
pub async fn set_password(
    tx: &Transaction,
    user: &Model,
    password_hash: String,
    now: UnixMillis,
) -> Result<i32, DbErr> {
    let epoch = user.session_epoch + 1;
    let update = change(user.id, now)
        .col_expr(Column::PasswordHash, Expr::value(password_hash))
        .col_expr(Column::PasswordVersion, Expr::value(user.password_version + 1))
        .col_expr(Column::SessionEpoch, Expr::value(epoch));
    run(tx, update).await?;
    Ok(epoch)
}

/// Replaces the password hash `old` by `new`, which is a hash of the same password. Changes nothing
/// if the password has changed in the meantime.
pub async fn replace_hash(db: &Db, id: Uuid, old: &str, new: String) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::PasswordHash, Expr::value(new))
        .filter(Column::Id.eq(id))
        .filter(Column::PasswordHash.eq(old))
        .exec(db.writer())
        .await
        .map(drop)
}

/// Raises the user's epoch. This ends every session that does not get the new epoch.
pub async fn raise_epoch(tx: &Transaction, id: Uuid, now: UnixMillis) -> Result<(), DbErr> {
    run(tx, raise(change(id, now))).await.map(drop)
}

/// Raises the user's epoch, and returns the new epoch.
///
/// # Errors
/// Returns an error if the database fails, or if the user no longer exists.
pub async fn next_epoch(tx: &Transaction, id: Uuid, now: UnixMillis) -> Result<i32, DbErr> {
    raise_epoch(tx, id, now).await?;
    let user = Entity::find_by_id(id).one(tx).await?;
    user.map(|user| user.session_epoch).ok_or(DbErr::RecordNotUpdated)
}

/// Sets the number of the user's factors. Also raises the version of the factors, which ends the
/// trust in all devices and the logins that wait for a factor.
pub async fn set_factor_count(
    tx: &Transaction,
    id: Uuid,
    count: i32,
    now: UnixMillis,
) -> Result<(), DbErr> {
    let update = raise_factors(change(id, now)).col_expr(Column::FactorCount, Expr::value(count));
    run(tx, update).await.map(drop)
}

/// Ends the trust in all devices of the user.
pub async fn end_device_trust(tx: &Transaction, id: Uuid, now: UnixMillis) -> Result<(), DbErr> {
    run(tx, raise_factors(change(id, now))).await.map(drop)
}

/// Replaces the password by a text that is no hash, so that no password matches until the user sets
/// a new one. Ends every session.
pub async fn void_password(tx: &Transaction, id: Uuid, now: UnixMillis) -> Result<(), DbErr> {
    let update = raise(change(id, now))
        .col_expr(Column::PasswordHash, Expr::value(NO_HASH))
        .col_expr(Column::PasswordVersion, Expr::col(Column::PasswordVersion).add(1));
    run(tx, update).await.map(drop)
}

/// Enables or disables an account. Disabling an account raises the user's epoch, which ends every
/// session, and the version of the factors, which ends the logins that wait for a factor.
pub async fn set_state(
    tx: &Transaction,
    id: Uuid,
    state: UserState,
    now: UnixMillis,
) -> Result<(), DbErr> {
    let update = change(id, now).col_expr(Column::Status, Expr::value(state));
    let disables = state == UserState::Disabled;
    run(tx, if disables { raise_factors(raise(update)) } else { update }).await.map(drop)
}

/// Records that the user has logged in with the password at least once.
pub async fn set_logged_in(tx: &Transaction, id: Uuid) -> Result<(), DbErr> {
    let update = Entity::update_many()
        .col_expr(Column::HasLoggedIn, Expr::value(true))
        .filter(Column::Id.eq(id));
    run(tx, update).await.map(drop)
}

/// Deletes users and the rows that refer to them.
pub async fn delete(tx: &Transaction, ids: &[Uuid]) -> Result<(), DbErr> {
    if ids.is_empty() {
        return Ok(());
    }
    Entity::delete_many().filter(Column::Id.is_in(ids.iter().copied())).exec(tx).await.map(drop)
}

/// Whether an account has this email address. `normal` is the normal form of the address.
pub async fn is_registered(db: &Db, normal: &str) -> Result<bool, DbErr> {
    let account = Entity::find().select_only().column(Column::Id);
    let account = account.filter(Column::EmailNormal.eq(normal)).into_tuple::<Uuid>();
    Ok(account.one(db.reader()).await?.is_some())
}

/// Whether an error says that another account already has the email address or the id.
pub fn is_taken(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)))
}

fn change(id: Uuid, now: UnixMillis) -> UpdateMany<Entity> {
    Entity::update_many().col_expr(Column::UpdatedAt, Expr::value(now)).filter(Column::Id.eq(id))
}

fn raise_factors(update: UpdateMany<Entity>) -> UpdateMany<Entity> {
    update.col_expr(Column::FactorVersion, Expr::col(Column::FactorVersion).add(1))
}

fn raise(update: UpdateMany<Entity>) -> UpdateMany<Entity> {
    update.col_expr(Column::SessionEpoch, Expr::col(Column::SessionEpoch).add(1))
}

async fn run(tx: &Transaction, update: UpdateMany<Entity>) -> Result<u64, DbErr> {
    Ok(update.exec(tx).await?.rows_affected)
}
