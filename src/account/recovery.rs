//! The transactions that write a recovery mail and that set a new password.

use latchkey_entity::outbox::{self as outbox_row, OutboxState};
use sea_orm::sea_query::{Expr, ExprTrait as _};
use sea_orm::{ColumnTrait as _, DbErr, EntityTrait as _, QueryFilter as _};
use uuid::Uuid;

use super::{change, register};
use crate::audit::{self, Action, Actor, ChangeContext, Detail};
use crate::clock::UnixMillis;
use crate::database::Transaction;
use crate::mail::{self, LinkKind, MailData, NewMail, NewNotice, NoticeKind};
use crate::secret::uuid_v7;
use crate::user::{EmailAddress, table};

#[derive(Debug)]
pub struct NewPassword {
    pub user_id: Uuid,
    /// The version of the password that was checked, or the version that the password had when the
    /// token was mailed.
    pub password_version: i32,
    /// The new hash, as a PHC string.
    pub password_hash: String,
    pub proof: Proof,
}

/// Result of setting a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// The password is set. Every session with a lower epoch has ended.
    Now {
        /// The account's new epoch.
        epoch: i32,
    },
    /// The password is not set. Another call has changed the password in the meantime, or the
    /// account is deleted or disabled.
    Stale,
}

/// The proof that allows the client to set a new password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The old password, or a fresh second factor, in a session with this epoch.
    Session { epoch: i32 },
    /// A mailed token, which also proves the email address.
    Mailbox,
}

/// Writes a recovery mail if an account has the email address. If no account has it, the same
/// number of statements and a commit are run, so that the response time reveals nothing.
pub(super) async fn recover(cx: &ChangeContext<'_>, email: &EmailAddress) -> Result<(), DbErr> {
    let now = cx.now;
    let tx = cx.db.begin().await?;
    if let Some(person) = table::by_address(&tx, email.normal()).await? {
        let data = MailData {
            password_version: Some(person.password_version),
            name: person.verified_at.map(|_| person.name.clone()),
            ..MailData::of_request(&cx.origin, now)
        };
        let due = NewMail {
            user_id: person.id,
            kind: LinkKind::Recover,
            recipient: &person.email,
            data,
            traceparent: &cx.origin.traceparent,
        };
        mail::enqueue(&tx, due, now).await?;
        cx.record_on(&tx, Action::RecoveryAsked, Actor::Nobody, person.id).await?;
    } else {
        decoy(&tx, now).await?;
        audit::decoy(&tx, now).await?;
    }
    tx.commit().await
}

/// Runs the statements of [`mail::enqueue`] on rows that are never read.
async fn decoy(tx: &Transaction, now: UnixMillis) -> Result<(), DbErr> {
    let nobody = uuid_v7(now);
    let of_nobody =
        outbox_row::Column::UserId.eq(nobody).and(outbox_row::Column::Kind.eq("recover"));
    outbox_row::Entity::find().filter(of_nobody).one(tx).await?;
    outbox_row::Entity::update_many()
        .col_expr(outbox_row::Column::State, Expr::value(OutboxState::Superseded))
        .filter(outbox_row::Column::UserId.eq(nobody))
        .filter(outbox_row::Column::Kind.eq("recover"))
        .filter(outbox_row::Column::State.eq(OutboxState::Pending))
        .exec(tx)
        .await?;
    audit::touch_decoy(tx, now).await
}

/// Sets a new password by a compare-and-set on the password version in the row. So if N calls use
/// the same token, only one of them succeeds. After a crash, the row has either the old password or
/// the new one.
pub(super) async fn set_password(cx: &ChangeContext<'_>, new: NewPassword) -> Result<Reset, DbErr> {
    let NewPassword { user_id, password_version, password_hash, proof } = new;
    let now = cx.now;
    let tx = cx.db.begin().await?;
    let Some(person) = table::lock(&tx, user_id).await? else { return Ok(Reset::Stale) };
    let is_ended = matches!(proof, Proof::Session { epoch } if epoch != person.session_epoch);
    if person.password_version != password_version || is_ended || register::is_disabled(&person) {
        return Ok(Reset::Stale);
    }
    let epoch = table::set_password(&tx, &person, password_hash, now).await?;
    change::drop_pending(&tx, user_id).await?;
    let action = match proof {
        Proof::Session { .. } => Action::PasswordChanged,
        Proof::Mailbox => Action::PasswordReset,
    };
    cx.record_own(&tx, action, user_id, Detail::none()).await?;
    if person.verified_at.is_none() && proof == Proof::Mailbox {
        register::prove(cx, &tx, &person).await?;
    }
    let (kind, data) = (NoticeKind::PasswordChanged, MailData::of_request(&cx.origin, now));
    let notice = NewNotice { user_id, kind, data, traceparent: &cx.origin.traceparent };
    mail::notify(&tx, notice, now).await?;
    tx.commit().await?;
    Ok(Reset::Now { epoch })
}
