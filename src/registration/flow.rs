//! Registering, proving an address, recovering: one transaction each.
//!
//! What decides is always a row: the unique address, `verified_at IS NULL`, the password's version. So each of N parallel
//! calls gets one answer, on one daemon and on ten, and a crash leaves all of it or nothing.

use latchkey_entity::{outbox as outbox_row, user};
use sea_orm::sea_query::{Expr, ExprTrait as _, OnConflict};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, ConnectionTrait, DatabaseTransaction, DbErr,
    EntityTrait as _, QueryFilter as _, QuerySelect as _, Statement,
};
use uuid::Uuid;

use crate::account::EmailAddress;
use crate::clock::UnixMillis;
use crate::database::Db;
use crate::mail::{self, Kind, MailData, NewMail};
use crate::secret::{random_bytes, uuid_v7};
use crate::tenancy::teams;

/// Who asks, from where: told in mails, carried to the mailer's trace.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The client's address.
    pub ip: String,
    /// What the client calls itself.
    pub user_agent: String,
    /// The language of mails.
    pub accept_language: String,
    /// The request's trace.
    pub traceparent: String,
}

impl Origin {
    /// What the audit keeps of it.
    pub fn audit(&self) -> crate::audit::Origin {
        crate::audit::Origin {
            ip: self.ip.clone(),
            user_agent: self.user_agent.clone(),
            // `00-<trace id>-<parent>-<flags>`
            trace_id: self.traceparent.split('-').nth(1).unwrap_or_default().to_owned(),
        }
    }

    /// What every mail of this request says.
    pub fn mail_data(&self, now: UnixMillis) -> MailData {
        MailData {
            at: now,
            ip: self.ip.clone(),
            user_agent: self.user_agent.clone(),
            locale: self.accept_language.parse().unwrap_or_default(),
            ..MailData::default()
        }
    }
}

/// Somebody who registers.
#[derive(Clone, Debug)]
pub struct NewPerson {
    /// The address.
    pub email: EmailAddress,
    /// What they are called.
    pub name: String,
    /// A PHC string.
    pub password_hash: String,
    /// From where.
    pub origin: Origin,
}

/// What became of a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registered {
    /// The person is there, the mail is due.
    Now(Uuid),
    /// The address has an account.
    EmailTaken,
}

/// What became of proving an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verified {
    /// Done by this call.
    Now,
    /// Done before.
    Already,
    /// There is no such person any more.
    Gone,
}

/// What became of setting a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// Done; every session under an older epoch than this is dead.
    Now {
        /// The new epoch.
        epoch: i32,
    },
    /// The password changed since: another call was faster.
    Stale,
}

/// What allows a new password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The old one.
    Password,
    /// A mailed token, which also proves the address.
    Mailbox,
}

/// What became of sending a confirmation again.
pub(super) enum Resent {
    /// The mail of this row is due.
    Due(Uuid),
    AlreadyVerified,
    Gone,
}

pub(super) async fn register(
    db: &Db,
    person: &NewPerson,
    now: UnixMillis,
) -> Result<Registered, DbErr> {
    let id = uuid_v7(now);
    let row = user::ActiveModel {
        id: Set(id),
        email: Set(person.email.as_typed().to_owned()),
        email_normal: Set(person.email.normal().to_owned()),
        name: Set(person.name.clone()),
        password_hash: Set(person.password_hash.clone()),
        password_version: Set(0),
        session_epoch: Set(0),
        status: Set("active".to_owned()),
        verified_at: Set(None),
        created_ip: Set(person.origin.ip.clone()),
        created_at: Set(now),
        updated_at: Set(now),
    };
    let tx = db.begin().await?;
    let inserted = user::Entity::insert(row)
        .on_conflict(OnConflict::column(user::Column::EmailNormal).do_nothing().to_owned())
        .exec_without_returning(&tx)
        .await?;
    if inserted == 0 {
        return Ok(Registered::EmailTaken);
    }
    confirm_mail(&tx, id, person.email.as_typed(), &person.origin, now).await?;
    tx.commit().await?;
    Ok(Registered::Now(id))
}

/// The confirmation mail: without the name, which a stranger may have chosen.
async fn confirm_mail(
    tx: &DatabaseTransaction,
    user_id: Uuid,
    recipient: &str,
    origin: &Origin,
    now: UnixMillis,
) -> Result<Uuid, DbErr> {
    let due = NewMail {
        user_id,
        kind: Kind::Confirm,
        recipient,
        data: origin.mail_data(now),
        traceparent: &origin.traceparent,
    };
    mail::enqueue(tx, due, now).await
}

pub(super) async fn resend(
    db: &Db,
    user_id: Uuid,
    origin: &Origin,
    now: UnixMillis,
) -> Result<Resent, DbErr> {
    let tx = db.begin().await?;
    let Some(person) = locked(&tx, user_id).await? else { return Ok(Resent::Gone) };
    if person.verified_at.is_some() {
        return Ok(Resent::AlreadyVerified);
    }
    let row = confirm_mail(&tx, user_id, &person.email, origin, now).await?;
    tx.commit().await?;
    Ok(Resent::Due(row))
}

pub(super) async fn verify(db: &Db, user_id: Uuid, now: UnixMillis) -> Result<Verified, DbErr> {
    let tx = db.begin().await?;
    let Some(person) = locked(&tx, user_id).await? else { return Ok(Verified::Gone) };
    if person.verified_at.is_some() {
        return Ok(Verified::Already);
    }
    prove(&tx, &person, now).await?;
    tx.commit().await?;
    Ok(Verified::Now)
}

/// Marks the address as proven and gives the person their team and project. The row is locked by the caller.
pub(super) async fn prove(
    tx: &DatabaseTransaction,
    person: &user::Model,
    now: UnixMillis,
) -> Result<(), DbErr> {
    user::Entity::update_many()
        .col_expr(user::Column::VerifiedAt, Expr::value(now))
        .col_expr(user::Column::UpdatedAt, Expr::value(now))
        .filter(user::Column::Id.eq(person.id))
        .exec(tx)
        .await?;
    teams::create_default(tx, person.id, &person.name, now).await
}

pub(super) async fn reject(db: &Db, user_id: Uuid) -> Result<Verified, DbErr> {
    let removed = user::Entity::delete_many()
        .filter(user::Column::Id.eq(user_id))
        .filter(user::Column::VerifiedAt.is_null())
        .exec(db.writer())
        .await?;
    if removed.rows_affected == 1 {
        return Ok(Verified::Now);
    }
    let person = user::Entity::find_by_id(user_id).one(db.reader()).await?;
    Ok(person.map_or(Verified::Gone, |_| Verified::Already))
}

/// A recovery mail for a known address; for an unknown one the same number of statements and the same commit, so that
/// the time tells nothing (contract §2).
pub(super) async fn recover(
    db: &Db,
    email: &EmailAddress,
    origin: &Origin,
    now: UnixMillis,
) -> Result<(), DbErr> {
    let tx = db.begin().await?;
    let person =
        user::Entity::find().filter(user::Column::EmailNormal.eq(email.normal())).one(&tx).await?;
    if let Some(person) = person {
        let data = MailData {
            password_version: Some(person.password_version),
            name: person.verified_at.map(|_| person.name.clone()),
            ..origin.mail_data(now)
        };
        let due = NewMail {
            user_id: person.id,
            kind: Kind::Recover,
            recipient: &person.email,
            data,
            traceparent: &origin.traceparent,
        };
        mail::enqueue(&tx, due, now).await?;
    } else {
        decoy(&tx, now).await?;
    }
    tx.commit().await
}

/// What [`mail::enqueue`] does, on rows that nobody reads.
async fn decoy(tx: &DatabaseTransaction, now: UnixMillis) -> Result<(), DbErr> {
    let nobody = uuid_v7(now);
    let of_nobody =
        outbox_row::Column::UserId.eq(nobody).and(outbox_row::Column::Kind.eq("recover"));
    outbox_row::Entity::find().filter(of_nobody).one(tx).await?;
    outbox_row::Entity::update_many()
        .col_expr(outbox_row::Column::State, Expr::value("superseded"))
        .filter(outbox_row::Column::UserId.eq(nobody))
        .filter(outbox_row::Column::Kind.eq("recover"))
        .filter(outbox_row::Column::State.eq("pending"))
        .exec(tx)
        .await?;
    let [random] = random_bytes::<1>();
    tx.execute_raw(Statement::from_sql_and_values(
        tx.get_database_backend(),
        "UPDATE decoys SET touched_at = $1 WHERE slot = $2",
        [now.into(), i32::from(random % 64).into()],
    ))
    .await?;
    Ok(())
}

/// A new password: the compare-and-set is on the row's version, so that of N resets by one token one wins, and a crash
/// leaves the old password or the new one (security §1.2).
pub(super) async fn set_password(
    db: &Db,
    user_id: Uuid,
    password_version: i32,
    password_hash: String,
    proof: Proof,
    origin: &Origin,
    now: UnixMillis,
) -> Result<Reset, DbErr> {
    let tx = db.begin().await?;
    let Some(person) = locked(&tx, user_id).await? else { return Ok(Reset::Stale) };
    if person.password_version != password_version {
        return Ok(Reset::Stale);
    }
    let epoch = person.session_epoch + 1;
    user::Entity::update_many()
        .set(user::ActiveModel {
            password_hash: Set(password_hash),
            password_version: Set(password_version + 1),
            session_epoch: Set(epoch),
            updated_at: Set(now),
            ..Default::default()
        })
        .filter(user::Column::Id.eq(user_id))
        .exec(&tx)
        .await?;
    let proven = person.verified_at.is_some() || proof == Proof::Mailbox;
    if person.verified_at.is_none() && proof == Proof::Mailbox {
        prove(&tx, &person, now).await?;
    }
    let data = MailData { name: proven.then(|| person.name.clone()), ..origin.mail_data(now) };
    let due = NewMail {
        user_id,
        kind: Kind::PasswordChanged,
        recipient: &person.email,
        data,
        traceparent: &origin.traceparent,
    };
    mail::enqueue(&tx, due, now).await?;
    tx.commit().await?;
    Ok(Reset::Now { epoch })
}

pub(super) async fn rehash(
    db: &Db,
    user_id: Uuid,
    old_hash: &str,
    new_hash: String,
) -> Result<(), DbErr> {
    user::Entity::update_many()
        .col_expr(user::Column::PasswordHash, Expr::value(new_hash))
        .filter(user::Column::Id.eq(user_id))
        .filter(user::Column::PasswordHash.eq(old_hash))
        .exec(db.writer())
        .await?;
    Ok(())
}

pub(super) async fn collect_unverified(db: &Db, before: UnixMillis) -> Result<u64, DbErr> {
    let collected = user::Entity::delete_many()
        .filter(user::Column::VerifiedAt.is_null().and(user::Column::CreatedAt.lt(before)))
        .exec(db.writer())
        .await?;
    Ok(collected.rows_affected)
}

/// The person's row, locked until the transaction ends (on SQLite the whole file is).
pub(super) async fn locked(
    tx: &DatabaseTransaction,
    user_id: Uuid,
) -> Result<Option<user::Model>, DbErr> {
    user::Entity::find_by_id(user_id).lock_exclusive().one(tx).await
}
