//! Registering, proving an address, recovering: one transaction each.
//!
//! What decides is always a row: the unique address, `verified_at IS NULL`, the password's version. So each of N parallel
//! calls gets one answer, on one daemon and on ten, and a crash leaves all of it or nothing.

use latchkey_entity::user;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, DbErr, EntityTrait as _, QueryFilter as _, QuerySelect as _,
};
use uuid::Uuid;

use super::change;
use super::desk::Desk;
use crate::account::EmailAddress;
use crate::account::standing::{SessionRow, Standing, Status, TokenRow};
use crate::audit::{Action, Actor, Detail, RequestOrigin};
use crate::clock::UnixMillis;
use crate::database::Transaction;
use crate::mail::{self, LinkKind, MailData, NewMail};
use crate::secret::{Secret, uuid_v7};
use crate::team::teams;

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
    pub origin: RequestOrigin,
}

/// What became of a registration.
#[derive(Clone, Debug)]
pub enum Registered {
    /// The person is there as this, the mail is due.
    Now(Box<Standing>),
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

pub(super) async fn register(desk: Desk<'_>, person: &NewPerson) -> Result<Registered, DbErr> {
    let now = desk.now;
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
        has_logged_in: Set(false),
    };
    let tx = desk.db.begin().await?;
    let inserted = user::Entity::insert(row)
        .on_conflict(OnConflict::column(user::Column::EmailNormal).do_nothing().to_owned())
        .exec_without_returning(&tx)
        .await?;
    if inserted == 0 {
        return Ok(Registered::EmailTaken);
    }
    let data = MailData::of_request(&person.origin, now);
    confirm_mail(&tx, id, person.email.as_typed(), data, &person.origin, now).await?;
    let detail = Detail::none().personal("email", person.email.as_typed());
    desk.own(&tx, Action::Registered, id, detail, &person.origin).await?;
    tx.commit().await?;
    Ok(Registered::Now(Box::new(Standing {
        id,
        email: person.email.as_typed().to_owned(),
        email_normal: person.email.normal().to_owned(),
        name: person.name.clone(),
        password_hash: Secret::new(person.password_hash.clone()),
        password_version: 0,
        session_epoch: 0,
        status: Status::Active,
        verified_at: None,
        created_at: now,
        created_ip: person.origin.ip.clone(),
        has_logged_in: false,
        membership: None,
        session: SessionRow::Absent,
        token: TokenRow::Absent,
    })))
}

/// The confirmation mail: without the name, which a stranger may have chosen.
async fn confirm_mail(
    tx: &Transaction,
    user_id: Uuid,
    recipient: &str,
    data: MailData,
    origin: &RequestOrigin,
    now: UnixMillis,
) -> Result<Uuid, DbErr> {
    let (kind, traceparent) = (LinkKind::Confirm, origin.traceparent.as_str());
    mail::enqueue(tx, NewMail { user_id, kind, recipient, data, traceparent }, now).await
}

pub(super) async fn resend(
    desk: Desk<'_>,
    user_id: Uuid,
    origin: &RequestOrigin,
) -> Result<Resent, DbErr> {
    let tx = desk.db.begin().await?;
    let Some(person) = locked(&tx, user_id).await? else { return Ok(Resent::Gone) };
    if person.verified_at.is_some() {
        return Ok(Resent::AlreadyVerified);
    }
    // It tells when and from where the account was made, not who asks again (security §1.5).
    let data = MailData {
        at: person.created_at,
        ip: person.created_ip.clone(),
        user_agent: String::new(),
        ..MailData::of_request(&origin, desk.now)
    };
    let row = confirm_mail(&tx, user_id, &person.email, data, origin, desk.now).await?;
    desk.own(&tx, Action::ConfirmationResent, user_id, Detail::none(), origin).await?;
    tx.commit().await?;
    Ok(Resent::Due(row))
}

pub(super) async fn verify(
    desk: Desk<'_>,
    user_id: Uuid,
    origin: &RequestOrigin,
) -> Result<Verified, DbErr> {
    let tx = desk.db.begin().await?;
    let Some(person) = locked(&tx, user_id).await? else { return Ok(Verified::Gone) };
    if is_disabled(&person) {
        return Ok(Verified::Gone);
    }
    if person.verified_at.is_some() {
        return Ok(Verified::Already);
    }
    prove(desk, &tx, &person, origin).await?;
    change::drop_pending(&tx, user_id).await?;
    tx.commit().await?;
    Ok(Verified::Now)
}

/// Marks the address as proven and gives the person their team and project. The row is locked by the caller.
pub(super) async fn prove(
    desk: Desk<'_>,
    tx: &Transaction,
    person: &user::Model,
    origin: &RequestOrigin,
) -> Result<(), DbErr> {
    user::Entity::update_many()
        .col_expr(user::Column::VerifiedAt, Expr::value(desk.now))
        .col_expr(user::Column::UpdatedAt, Expr::value(desk.now))
        .filter(user::Column::Id.eq(person.id))
        .exec(tx)
        .await?;
    desk.own(tx, Action::EmailVerified, person.id, Detail::none(), origin).await?;
    let (team, project) = teams::create_default(tx, person.id, &person.name, desk.now).await?;
    let who = Actor::Person(person.id);
    desk.in_team(tx, Action::TeamCreated, who, team, Detail::none(), origin).await?;
    let detail = Detail::none().id("project", project);
    desk.in_team(tx, Action::ProjectCreated, who, team, detail, origin).await
}

/// The person's row, locked until the transaction ends (on SQLite the whole file is).
pub(super) async fn locked(tx: &Transaction, user_id: Uuid) -> Result<Option<user::Model>, DbErr> {
    user::Entity::find_by_id(user_id).lock_exclusive().one(tx).await
}

/// Whether the operator has closed the account: no link of it works, and only the right password learns why.
pub(super) fn is_disabled(person: &user::Model) -> bool {
    person.status != "active"
}
