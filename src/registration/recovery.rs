//! Recovering, and what becomes of a password.

use latchkey_entity::{outbox as outbox_row, user};
use sea_orm::sea_query::{Expr, ExprTrait as _};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, ConnectionTrait, DbErr, EntityTrait as _, QueryFilter as _,
    Statement,
};
use uuid::Uuid;

use super::change;
use super::desk::Desk;
use super::flow::{self, Proof, Reset, locked, prove};
use crate::account::EmailAddress;
use crate::audit::{self, Action, Actor, Detail, RequestOrigin};
use crate::clock::UnixMillis;
use crate::database::{Db, Transaction};
use crate::mail::{self, LinkKind, MailData, NewMail, NewNotice, NoticeKind};
use crate::secret::{random_bytes, uuid_v7};

/// A recovery mail for a known address; for an unknown one the same number of statements and the same commit, so that
/// the time tells nothing (contract §2).
pub(super) async fn recover(
    desk: Desk<'_>,
    email: &EmailAddress,
    origin: &RequestOrigin,
) -> Result<(), DbErr> {
    let now = desk.now;
    let tx = desk.db.begin().await?;
    let person =
        user::Entity::find().filter(user::Column::EmailNormal.eq(email.normal())).one(&tx).await?;
    if let Some(person) = person {
        let data = MailData {
            password_version: Some(person.password_version),
            name: person.verified_at.map(|_| person.name.clone()),
            ..MailData::of_request(&origin, now)
        };
        let due = NewMail {
            user_id: person.id,
            kind: LinkKind::Recover,
            recipient: &person.email,
            data,
            traceparent: &origin.traceparent,
        };
        mail::enqueue(&tx, due, now).await?;
        desk.on(&tx, Action::RecoveryAsked, Actor::Nobody, person.id, origin).await?;
    } else {
        decoy(&tx, now).await?;
        audit::decoy(&tx, now).await?;
    }
    tx.commit().await
}

/// What [`mail::enqueue`] does, on rows that nobody reads.
async fn decoy(tx: &Transaction, now: UnixMillis) -> Result<(), DbErr> {
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
    desk: Desk<'_>,
    user_id: Uuid,
    password_version: i32,
    password_hash: String,
    proof: Proof,
    origin: &RequestOrigin,
) -> Result<Reset, DbErr> {
    let now = desk.now;
    let tx = desk.db.begin().await?;
    let Some(person) = locked(&tx, user_id).await? else { return Ok(Reset::Stale) };
    if person.password_version != password_version || flow::is_disabled(&person) {
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
    change::drop_pending(&tx, user_id).await?;
    let action = match proof {
        Proof::Password => Action::PasswordChanged,
        Proof::Mailbox => Action::PasswordReset,
    };
    desk.own(&tx, action, user_id, Detail::none(), origin).await?;
    if person.verified_at.is_none() && proof == Proof::Mailbox {
        prove(desk, &tx, &person, origin).await?;
    }
    let (kind, data) = (NoticeKind::PasswordChanged, MailData::of_request(&origin, now));
    let notice = NewNotice { user_id, kind, data, traceparent: &origin.traceparent };
    mail::notify(&tx, notice, now).await?;
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
