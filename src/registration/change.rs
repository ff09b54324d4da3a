//! Changing the address and the name.

use latchkey_entity::{email_change, user};
use sea_orm::sea_query::{Expr, ExprTrait as _};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, DbErr, EntityTrait as _, QueryFilter as _, SqlErr,
};
use uuid::Uuid;

use super::desk::Desk;
use super::flow;
use crate::account::EmailAddress;
use crate::audit::{Action, Actor, Detail, RequestOrigin};
use crate::clock::UnixMillis;
use crate::database::Transaction;
use crate::mail::{self, LinkKind, MailData, NewMail, NewNotice, NoticeKind};
use crate::secret::uuid_v7;

/// A change of address that somebody asks for.
#[derive(Clone, Debug)]
pub struct AddressChange {
    /// Whose.
    pub user_id: Uuid,
    /// The new address.
    pub email: EmailAddress,
    /// From where.
    pub origin: RequestOrigin,
}

/// What became of asking for another address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// The mails are due.
    Now,
    /// It is the address of an account.
    EmailTaken,
    /// There is no such person any more.
    Gone,
}

/// What became of confirming another address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmed {
    /// Done, for this person.
    Now(Uuid),
    /// Done before.
    Already,
    /// The address has got an account in the meantime.
    EmailTaken,
    /// The change was undone or replaced, or the person is gone.
    Gone,
}

/// What became of undoing a change of address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undone {
    /// Done; the person has the old address, and no session.
    Now,
    /// It cannot be undone any more.
    Gone,
}

/// Asks for another address: a link to the new one, a notice with an undo to the old one if it was proven.
pub(super) async fn ask(desk: Desk<'_>, change: &AddressChange) -> Result<Asked, DbErr> {
    let now = desk.now;
    let tx = desk.db.begin().await?;
    let Some(person) = flow::locked(&tx, change.user_id).await? else { return Ok(Asked::Gone) };
    let taken = user::Entity::find()
        .filter(user::Column::EmailNormal.eq(change.email.normal()))
        .one(&tx)
        .await?;
    if taken.is_some() {
        return Ok(Asked::EmailTaken);
    }
    drop_pending(&tx, person.id).await?;
    let change_id = uuid_v7(now);
    let row = email_change::ActiveModel {
        id: Set(change_id),
        user_id: Set(person.id),
        old_email: Set(person.email.clone()),
        new_email: Set(change.email.as_typed().to_owned()),
        state: Set("pending".to_owned()),
        created_at: Set(now),
        ..Default::default()
    };
    email_change::Entity::insert(row).exec_without_returning(&tx).await?;
    let data = MailData {
        change_id: Some(change_id),
        new_email: Some(change.email.as_typed().to_owned()),
        ..MailData::of_request(&change.origin, now)
    };
    let (user_id, traceparent) = (person.id, change.origin.traceparent.as_str());
    let notice = NewNotice { user_id, kind: NoticeKind::EmailChange, data, traceparent };
    let due = NewMail {
        user_id,
        kind: LinkKind::ChangeEmail,
        recipient: change.email.as_typed(),
        data: notice.data.clone(),
        traceparent,
    };
    mail::enqueue(&tx, due, now).await?;
    mail::notify(&tx, notice, now).await?;
    let detail = Detail::none()
        .id("change", change_id)
        .personal("oldEmail", person.email.as_str())
        .personal("newEmail", change.email.as_typed());
    desk.own(&tx, Action::EmailChangeAsked, person.id, detail, &change.origin).await?;
    tx.commit().await?;
    Ok(Asked::Now)
}

pub(super) async fn confirm(
    desk: Desk<'_>,
    id: Uuid,
    origin: &RequestOrigin,
) -> Result<Confirmed, DbErr> {
    let now = desk.now;
    let tx = desk.db.begin().await?;
    let Some((change, person)) = locked(&tx, id).await? else { return Ok(Confirmed::Gone) };
    match change.state.as_str() {
        "pending" => {}
        "done" => return Ok(Confirmed::Already),
        _ => return Ok(Confirmed::Gone),
    }
    if flow::is_disabled(&person) {
        return Ok(Confirmed::Gone);
    }
    let Ok(email) = EmailAddress::parse(&change.new_email) else { return Ok(Confirmed::Gone) };
    match set_address(&tx, person.id, &email, now).await {
        Err(error) if matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))) => {
            return Ok(Confirmed::EmailTaken);
        }
        other => other?,
    }
    let detail = Detail::none()
        .id("change", id)
        .personal("oldEmail", person.email.as_str())
        .personal("newEmail", email.as_typed());
    desk.own(&tx, Action::EmailChanged, person.id, detail, origin).await?;
    if person.verified_at.is_none() {
        flow::prove(desk, &tx, &person, origin).await?;
    }
    set_state(&tx, id, "done").await?;
    tx.commit().await?;
    Ok(Confirmed::Now(person.id))
}

/// Takes a change back, and with it every later one: whoever took the account over by this one made those too, and their
/// links went to mailboxes of theirs. Whoever asked for it held the password: every session ends.
pub(super) async fn undo(
    desk: Desk<'_>,
    id: Uuid,
    origin: &RequestOrigin,
) -> Result<Undone, DbErr> {
    let now = desk.now;
    let tx = desk.db.begin().await?;
    let Some((change, person)) = locked(&tx, id).await? else { return Ok(Undone::Gone) };
    if change.state == "undone" {
        return Ok(Undone::Gone);
    }
    let since = email_change::Column::UserId
        .eq(person.id)
        .and(email_change::Column::CreatedAt.gte(change.created_at));
    let taken_effect = email_change::Column::State.eq("done");
    let changes = email_change::Entity::find().filter(since.clone());
    if changes.filter(taken_effect).one(&tx).await?.is_some() {
        let Ok(email) = EmailAddress::parse(&change.old_email) else { return Ok(Undone::Gone) };
        match set_address(&tx, person.id, &email, now).await {
            Err(error) if matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))) => {
                return Ok(Undone::Gone);
            }
            other => other?,
        }
    }
    user::Entity::update_many()
        .col_expr(user::Column::SessionEpoch, Expr::col(user::Column::SessionEpoch).add(1))
        .filter(user::Column::Id.eq(person.id))
        .exec(&tx)
        .await?;
    email_change::Entity::update_many()
        .col_expr(email_change::Column::State, Expr::value("undone"))
        .filter(since)
        .exec(&tx)
        .await?;
    let detail = Detail::none().id("change", id);
    desk.own(&tx, Action::EmailChangeUndone, person.id, detail, origin).await?;
    tx.commit().await?;
    Ok(Undone::Now)
}

/// Refuses a change that is pending: the new address was somebody else's.
pub(super) async fn refuse(
    desk: Desk<'_>,
    id: Uuid,
    origin: &RequestOrigin,
) -> Result<Undone, DbErr> {
    let tx = desk.db.begin().await?;
    let found = locked(&tx, id).await?.filter(|(change, _)| change.state == "pending");
    let Some((change, _)) = found else { return Ok(Undone::Gone) };
    set_state(&tx, id, "undone").await?;
    let refused = Action::EmailChangeRefused;
    desk.on(&tx, refused, Actor::Nobody, change.user_id, origin).await?;
    tx.commit().await?;
    Ok(Undone::Now)
}

pub(super) async fn rename(
    desk: Desk<'_>,
    user_id: Uuid,
    name: String,
    origin: &RequestOrigin,
) -> Result<(), DbErr> {
    let tx = desk.db.begin().await?;
    let renamed = user::Entity::update_many()
        .col_expr(user::Column::Name, Expr::value(name))
        .col_expr(user::Column::UpdatedAt, Expr::value(desk.now))
        .filter(user::Column::Id.eq(user_id))
        .exec(&tx)
        .await?;
    if renamed.rows_affected == 1 {
        desk.own(&tx, Action::Renamed, user_id, Detail::none(), origin).await?;
    }
    tx.commit().await
}

/// Voids the changes of address that wait for their confirmation: another one was asked for, or the person has proven the
/// mailbox or set a password since, and whoever asked before may have been a stranger (security §1.5).
pub(super) async fn drop_pending(tx: &Transaction, user_id: Uuid) -> Result<(), DbErr> {
    email_change::Entity::update_many()
        .col_expr(email_change::Column::State, Expr::value("superseded"))
        .filter(email_change::Column::UserId.eq(user_id))
        .filter(email_change::Column::State.eq("pending"))
        .exec(tx)
        .await
        .map(drop)
}

/// A change and whose it is. The person's row is locked first, as everywhere here, and the change read under that lock.
async fn locked(
    tx: &Transaction,
    id: Uuid,
) -> Result<Option<(email_change::Model, user::Model)>, DbErr> {
    let Some(change) = email_change::Entity::find_by_id(id).one(tx).await? else { return Ok(None) };
    let Some(person) = flow::locked(tx, change.user_id).await? else { return Ok(None) };
    let change = email_change::Entity::find_by_id(id).one(tx).await?;
    Ok(change.map(|change| (change, person)))
}

/// Gives a person another address. The password's version goes with it: a recovery link that is open lies in the mailbox
/// of before, and is void.
async fn set_address(
    tx: &Transaction,
    user_id: Uuid,
    email: &EmailAddress,
    now: UnixMillis,
) -> Result<(), DbErr> {
    user::Entity::update_many()
        .col_expr(user::Column::Email, Expr::value(email.as_typed()))
        .col_expr(user::Column::EmailNormal, Expr::value(email.normal()))
        .col_expr(user::Column::PasswordVersion, Expr::col(user::Column::PasswordVersion).add(1))
        .col_expr(user::Column::UpdatedAt, Expr::value(now))
        .filter(user::Column::Id.eq(user_id))
        .exec(tx)
        .await?;
    Ok(())
}

async fn set_state(tx: &Transaction, id: Uuid, state: &str) -> Result<(), DbErr> {
    email_change::Entity::update_many()
        .col_expr(email_change::Column::State, Expr::value(state))
        .filter(email_change::Column::Id.eq(id))
        .exec(tx)
        .await?;
    Ok(())
}
