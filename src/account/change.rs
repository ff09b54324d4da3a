//! Changes of an account's email address and name.

use std::time::Duration;

use latchkey_entity::email_change::{self, EmailChangeState};
use sea_orm::sea_query::{Expr, ExprTrait as _};
use sea_orm::{ActiveValue::Set, ColumnTrait as _, DbErr, EntityTrait as _, QueryFilter as _};
use uuid::Uuid;

use super::{AccountOwner, factor_undo, leaving, register};
use crate::audit::{Action, Actor, ChangeContext, Detail};
use crate::clock::{CLOCKS_APART_MAX, UnixMillis, millis};
use crate::database::batches::Expired;
use crate::database::{Db, Transaction};
use crate::mail::{self, LinkKind, MailData, NewMail, NewNotice, NoticeKind, UNDO_TTL};
use crate::secret::uuid_v7;
use crate::user::table::{self, Inserted};
use crate::user::{EmailAddress, User};

/// How late the mail with the link that confirms or undoes a change can be sent. Later it is given
/// up.
pub(super) const MAIL_LATE_MAX: Duration = Duration::from_hours(24);

/// Result of asking for a change of email address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// The mails are in the outbox.
    Now,
    /// An account already has the new address.
    EmailTaken,
    /// The account no longer exists, or its sessions have ended since the request was checked.
    Gone,
}

/// Result of confirming a change of email address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmed {
    /// The account with this id has the new address.
    Now(Uuid),
    /// The change was confirmed before.
    Already,
    /// Another account has taken the address in the meantime.
    EmailTaken,
    /// The change was undone or replaced, or the account is deleted or disabled.
    Gone,
}

/// Result of undoing or refusing a change of email address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undone {
    /// The change is undone or refused. After an undo, the account has the old email address and no
    /// session.
    Now,
    /// The sessions of the account have ended and the link is used up. But another account with a
    /// proven address has the old address now, so the account keeps the new one.
    AddressTaken,
    /// The change can no longer be undone or refused.
    Gone,
}

/// Asks for a change of email address. A mail to the new address contains a link that confirms the
/// change. If the old address was proven, a notice to it contains a link that undoes the change.
pub(super) async fn ask(
    cx: &ChangeContext<'_>,
    owner: AccountOwner,
    email: &EmailAddress,
) -> Result<Asked, DbErr> {
    let now = cx.now;
    let tx = cx.db.begin().await?;
    let Some(person) = owner.lock(&tx).await? else { return Ok(Asked::Gone) };
    if table::by_address(&tx, email.normal()).await?.is_some() {
        return Ok(Asked::EmailTaken);
    }
    drop_pending(&tx, person.id).await?;
    let change_id = uuid_v7(now);
    let row = email_change::ActiveModel {
        id: Set(change_id),
        user_id: Set(person.id),
        old_email: Set(person.email.clone()),
        new_email: Set(email.as_typed().to_owned()),
        state: Set(EmailChangeState::Pending),
        created_at: Set(now),
        ..Default::default()
    };
    email_change::Entity::insert(row).exec_without_returning(&tx).await?;
    let data = MailData {
        change_id: Some(change_id),
        new_email: Some(email.as_typed().to_owned()),
        ..MailData::of_request(&cx.origin, now)
    };
    let (user_id, traceparent) = (person.id, cx.origin.traceparent.as_str());
    let notice = NewNotice { user_id, kind: NoticeKind::EmailChangeNotice, data, traceparent };
    let due = NewMail {
        user_id,
        kind: LinkKind::ChangeEmail,
        recipient: email.as_typed(),
        data: notice.data.clone(),
        traceparent,
    };
    mail::enqueue(&tx, due, now).await?;
    mail::notify(&tx, notice, now).await?;
    let detail = Detail::none()
        .id("change", change_id)
        .personal("oldEmail", person.email.as_str())
        .personal("newEmail", email.as_typed());
    cx.record_own(&tx, Action::EmailChangeAsked, person.id, detail).await?;
    tx.commit().await?;
    Ok(Asked::Now)
}

pub(super) async fn confirm(cx: &ChangeContext<'_>, id: Uuid) -> Result<Confirmed, DbErr> {
    let now = cx.now;
    let tx = cx.db.begin().await?;
    let Some((change, person)) = locked(&tx, id).await? else { return Ok(Confirmed::Gone) };
    match change.state {
        EmailChangeState::Pending => {}
        EmailChangeState::Done => return Ok(Confirmed::Already),
        EmailChangeState::Undone | EmailChangeState::Superseded => return Ok(Confirmed::Gone),
    }
    if register::is_disabled(&person) {
        return Ok(Confirmed::Gone);
    }
    let Ok(email) = EmailAddress::parse(&change.new_email) else { return Ok(Confirmed::Gone) };
    if table::set_address(&tx, person.id, &email, now).await? == Inserted::EmailTaken {
        return Ok(Confirmed::EmailTaken);
    }
    let detail = Detail::none()
        .id("change", id)
        .personal("oldEmail", person.email.as_str())
        .personal("newEmail", email.as_typed());
    cx.record_own(&tx, Action::EmailChanged, person.id, detail).await?;
    if person.verified_at.is_none() {
        register::prove(cx, &tx, &person).await?;
    }
    set_state(&tx, id, EmailChangeState::Done).await?;
    tx.commit().await?;
    Ok(Confirmed::Now(person.id))
}

/// Undoes a change of email address, and every change that the account made after it.
///
/// An attacker who took over the account with this change has perhaps made the later changes too.
/// The undo links of the later changes were mailed to the attacker's addresses, so the owner of the
/// account cannot undo them one by one. Every session ends, because the attacker knew the password.
/// The factors that were added since the change was requested are removed.
pub(super) async fn undo(cx: &ChangeContext<'_>, id: Uuid) -> Result<Undone, DbErr> {
    let now = cx.now;
    let tx = cx.db.begin().await?;
    let Some((change, person)) = locked(&tx, id).await? else { return Ok(Undone::Gone) };
    if change.state == EmailChangeState::Undone {
        return Ok(Undone::Gone);
    }
    let since = email_change::Column::UserId
        .eq(person.id)
        .and(email_change::Column::CreatedAt.gte(change.created_at));
    let taken_effect = email_change::Column::State.eq(EmailChangeState::Done);
    let changes = email_change::Entity::find().filter(since.clone());
    let mut undone = Undone::Now;
    if changes.filter(taken_effect).one(&tx).await?.is_some() {
        let Ok(email) = EmailAddress::parse(&change.old_email) else { return Ok(Undone::Gone) };
        if !make_way(cx, &tx, &person, &email).await? {
            undone = Undone::AddressTaken;
        } else if table::set_address(&tx, person.id, &email, now).await? == Inserted::EmailTaken {
            // Another account took the address at this moment. The transaction cannot go on.
            return Ok(Undone::Gone);
        }
    }
    factor_undo::remove_since(cx, &tx, &person, change.created_at).await?;
    table::raise_epoch(&tx, person.id, now).await?;
    email_change::Entity::update_many()
        .col_expr(email_change::Column::State, Expr::value(EmailChangeState::Undone))
        .filter(since)
        .exec(&tx)
        .await?;
    let detail = Detail::none().id("change", id);
    cx.record_own(&tx, Action::EmailChangeUndone, person.id, detail).await?;
    tx.commit().await?;
    Ok(undone)
}

/// Deletes the account that was registered with the owner's old email address in the meantime, if
/// its address was never proven. The undo link was mailed to that address, so the client that uses
/// the link owns the address. An account that the operator has disabled is not deleted.
/// Returns whether the address is free.
async fn make_way(
    cx: &ChangeContext<'_>,
    tx: &Transaction,
    owner: &User,
    email: &EmailAddress,
) -> Result<bool, DbErr> {
    let Some(holder) = table::by_address(tx, email.normal()).await? else { return Ok(true) };
    if holder.id == owner.id {
        return Ok(true);
    }
    let Some(holder) = table::lock(tx, holder.id).await? else { return Ok(true) };
    let may_go = holder.verified_at.is_none() && !register::is_disabled(&holder);
    if may_go {
        cx.record_on(tx, Action::AccountRejected, Actor::Nobody, holder.id).await?;
        leaving::delete_users(cx, tx, &[holder.id]).await?;
    }
    Ok(may_go)
}

/// Refuses a pending change, because the new email address belongs to another person.
pub(super) async fn refuse(cx: &ChangeContext<'_>, id: Uuid) -> Result<Undone, DbErr> {
    let tx = cx.db.begin().await?;
    let found =
        locked(&tx, id).await?.filter(|(change, _)| change.state == EmailChangeState::Pending);
    let Some((change, _)) = found else { return Ok(Undone::Gone) };
    set_state(&tx, id, EmailChangeState::Undone).await?;
    let refused = Action::EmailChangeRefused;
    cx.record_on(&tx, refused, Actor::Nobody, change.user_id).await?;
    tx.commit().await?;
    Ok(Undone::Now)
}

pub(super) async fn rename(
    cx: &ChangeContext<'_>,
    user_id: Uuid,
    name: String,
) -> Result<(), DbErr> {
    let tx = cx.db.begin().await?;
    if table::set_name(&tx, user_id, name, cx.now).await? {
        cx.record_own(&tx, Action::Renamed, user_id, Detail::none()).await?;
    }
    tx.commit().await
}

/// Invalidates the pending changes of a user's email address.
///
/// This function is called when the user asks for another change, proves the email address, sets a
/// password or adds the first factor. Perhaps an attacker, and not the user, asked for the pending
/// change.
pub(super) async fn drop_pending(tx: &Transaction, user_id: Uuid) -> Result<(), DbErr> {
    email_change::Entity::update_many()
        .col_expr(email_change::Column::State, Expr::value(EmailChangeState::Superseded))
        .filter(email_change::Column::UserId.eq(user_id))
        .filter(email_change::Column::State.eq(EmailChangeState::Pending))
        .exec(tx)
        .await
        .map(drop)
}

/// Reads a change and its user. The user's row is locked first, as everywhere in this module, and
/// the change is read under that lock.
async fn locked(tx: &Transaction, id: Uuid) -> Result<Option<(email_change::Model, User)>, DbErr> {
    let Some(change) = email_change::Entity::find_by_id(id).one(tx).await? else { return Ok(None) };
    let Some(person) = table::lock(tx, change.user_id).await? else { return Ok(None) };
    let change = email_change::Entity::find_by_id(id).one(tx).await?;
    Ok(change.map(|change| (change, person)))
}

/// Deletes the changes that can no longer be confirmed or undone, because they contain email
/// addresses. Returns their number. `confirm_ttl` is the lifetime of the link that confirms a
/// change.
///
/// The undo of a change also undoes the later changes of the account. So a change is kept as long
/// as an earlier change of the account can be undone.
pub async fn sweep_email_changes(
    db: &Db,
    confirm_ttl: Duration,
    now: UnixMillis,
) -> Result<u64, DbErr> {
    let kept = millis(confirm_ttl.max(UNDO_TTL) + MAIL_LATE_MAX);
    let condition = format!(
        "created_at < $1 - {kept} AND NOT EXISTS (SELECT 1 FROM email_changes e \
         WHERE e.user_id = email_changes.user_id AND e.created_at <= email_changes.created_at \
         AND e.undo_until >= $1)"
    );
    let expired = Expired { table: "email_changes", key: "id", condition: &condition };
    expired.delete(db, now - millis(CLOCKS_APART_MAX)).await
}

async fn set_state(tx: &Transaction, id: Uuid, state: EmailChangeState) -> Result<(), DbErr> {
    email_change::Entity::update_many()
        .col_expr(email_change::Column::State, Expr::value(state))
        .filter(email_change::Column::Id.eq(id))
        .exec(tx)
        .await?;
    Ok(())
}
