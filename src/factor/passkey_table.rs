//! The statements on passkeys in the table `factors`, and on the table `user_handles`.

use latchkey_entity::factor::{ActiveModel, Column, Entity, FactorKind, Model};
use latchkey_entity::user_handle;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ActiveModelTrait as _, ActiveValue::Set, ColumnTrait as _, DbErr, EntityTrait as _, JoinType,
    QueryFilter as _, QuerySelect as _,
};
use uuid::Uuid;

use super::passkey::{Assertion, Registered, Stored, Transport, random_handle};
use crate::clock::UnixMillis;
use crate::database::{Db, Transaction};

/// A passkey of an account, with the user handle of the account.
#[derive(Clone, Debug)]
pub struct Passkey {
    pub factor: Model,
    pub user_handle: Vec<u8>,
}

impl Passkey {
    /// What the check of an assertion needs. None if the factor is no passkey.
    pub fn stored(&self) -> Option<Stored<'_>> {
        Some(Stored {
            credential_id: self.factor.credential_id.as_deref()?,
            public_key: self.factor.public_key.as_deref()?,
            backup_eligible: self.factor.backup_eligible,
            user_handle: &self.user_handle,
        })
    }

    /// Whether an assertion has a lower or the same counter as the one before. Then another device
    /// perhaps has a copy of the passkey. Synced passkeys do not count.
    pub fn counter_fell(&self, assertion: Assertion) -> bool {
        let (before, now) = (self.factor.sign_count, i64::from(assertion.counter));
        now <= before && before > 0
    }
}

/// The row of a new passkey.
pub fn row(base: Model, registered: Registered) -> Model {
    let transports: Vec<&str> = registered.transports.iter().map(|it| it.name()).collect();
    Model {
        transports: transports.join(","),
        credential_id: Some(registered.credential_id),
        public_key: Some(registered.public_key),
        sign_count: i64::from(registered.counter),
        backup_eligible: registered.backup_eligible,
        backed_up: registered.backed_up,
        ..base
    }
}

/// How a browser reaches the authenticator of a passkey.
pub fn transports(factor: &Model) -> Vec<Transport> {
    factor.transports.split(',').filter_map(Transport::from_name).collect()
}

/// The passkeys among an account's factors.
pub fn among(factors: Vec<Model>) -> Vec<Model> {
    factors.into_iter().filter(|it| it.kind == FactorKind::Passkey).collect()
}

/// Finds a passkey of any account by its credential id.
pub async fn find(db: &Db, credential_id: Vec<u8>) -> Result<Option<Passkey>, DbErr> {
    let handle = Entity::belongs_to(user_handle::Entity)
        .from(Column::UserId)
        .to(user_handle::Column::UserId)
        .into();
    let found = Entity::find()
        .filter(Column::CredentialId.eq(credential_id))
        .join(JoinType::InnerJoin, handle)
        .select_also(user_handle::Entity)
        .one(db.reader())
        .await?;
    Ok(found.and_then(|(factor, handle)| Some(Passkey { factor, user_handle: handle?.handle })))
}

/// Inserts a passkey. Returns false if its credential id exists already, in any account.
pub async fn insert(tx: &Transaction, passkey: Model) -> Result<bool, DbErr> {
    let row = ActiveModel::from(passkey).reset_all();
    let taken = OnConflict::column(Column::CredentialId).do_nothing().to_owned();
    let inserted = Entity::insert(row).on_conflict(taken).exec_without_returning(tx).await?;
    Ok(inserted > 0)
}

/// Records the use of a passkey. Returns false if the passkey was removed in the meantime.
pub async fn record_use(
    db: &Db,
    id: Uuid,
    Assertion { counter, backed_up }: Assertion,
    now: UnixMillis,
) -> Result<bool, DbErr> {
    let updated = Entity::update_many()
        .col_expr(Column::SignCount, Expr::value(i64::from(counter)))
        .col_expr(Column::BackedUp, Expr::value(backed_up))
        .col_expr(Column::LastUsedAt, Expr::value(now))
        .filter(Column::Id.eq(id))
        .exec(db.writer())
        .await?;
    Ok(updated.rows_affected == 1)
}

/// The user handle of an account. The first call creates it.
pub async fn handle_of(db: &Db, user_id: Uuid) -> Result<Vec<u8>, DbErr> {
    let find = || user_handle::Entity::find_by_id(user_id).one(db.writer());
    if let Some(found) = find().await? {
        return Ok(found.handle);
    }
    let row = user_handle::ActiveModel { user_id: Set(user_id), handle: Set(random_handle()) };
    user_handle::Entity::insert(row)
        .on_conflict(OnConflict::column(user_handle::Column::UserId).do_nothing().to_owned())
        .exec_without_returning(db.writer())
        .await?;
    let found = find().await?;
    found.map(|it| it.handle).ok_or_else(|| DbErr::RecordNotFound("user handle".to_owned()))
}
