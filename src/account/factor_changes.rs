//! The transactions that change the factors of an account. Each one also writes the audit event and
//! the mail.

use latchkey_entity::first_factor::{self, FirstFactorState};
use sea_orm::{ActiveValue::Set, DbErr, EntityTrait as _};
use uuid::Uuid;

use super::{AccountOwner, change};
use crate::audit::{Action, ChangeContext, Detail};
use crate::database::Transaction;
use crate::factor::{
    FACTORS_MAX, Factor, FactorKind, FactorMethod, passkey_table, table as factors,
};
use crate::mail::{self, MailData, NewNotice, NoticeKind};
use crate::secret::uuid_v7;
use crate::user::{User, table};

/// A factor whose first proof was right.
#[derive(Debug)]
pub struct NewFactor {
    pub factor: Factor,
    /// The digests of the recovery codes, which are stored with the first factor of an account.
    pub digests: Vec<String>,
}

/// The result of adding a factor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Added {
    Now {
        factor: Box<Factor>,
        /// The account's new epoch, if this is its first factor.
        epoch: Option<i32>,
        /// The number of factors.
        count: i32,
        /// The version of the factors.
        version: i32,
    },
    /// The account has the greatest number of factors.
    TooMany,
    /// The passkey is registered already, for this account or another one.
    Taken,
    /// The account no longer exists or may not be used, or a parallel request has added the factor.
    Gone,
}

/// The result of removing a factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removed {
    /// The factor of this kind was removed.
    Now(FactorKind),
    /// The user has no such factor.
    Gone,
}

pub(super) async fn add(
    cx: &ChangeContext<'_>,
    owner: AccountOwner,
    NewFactor { factor, digests }: NewFactor,
) -> Result<Added, DbErr> {
    let (user_id, id, kind) = (owner.user_id, factor.id, factor.kind);
    let tx = cx.db.begin().await?;
    let user = owner.lock(&tx).await?.filter(|user| user.verified_at.is_some());
    let Some(user) = user else { return Ok(Added::Gone) };
    let before = factors::of_user(&tx, user_id).await?;
    if before.iter().any(|it| it.id == id) {
        return Ok(Added::Gone);
    }
    let is_old = |it: &&Factor| kind == FactorKind::Totp && it.kind == kind;
    let kept = before.iter().filter(|it| !is_old(it)).count();
    let replaced = before.iter().find(is_old).map(|it| it.id);
    if u64::try_from(kept).unwrap_or(u64::MAX) >= FACTORS_MAX {
        return Ok(Added::TooMany);
    }
    // The time comes from the worker, as for every other change, so that an undo finds the factor.
    let factor = Factor { created_at: cx.now, ..factor };
    match kind {
        FactorKind::Totp => factors::insert(&tx, factor.clone()).await?,
        FactorKind::Passkey if passkey_table::insert(&tx, factor.clone()).await? => {}
        FactorKind::Passkey => return Ok(Added::Taken),
    }
    let count = i32::try_from(kept).unwrap_or(i32::MAX - 1) + 1;
    table::set_factor_count(&tx, user_id, count, cx.now).await?;
    let mut epoch = None;
    if before.is_empty() {
        factors::replace_codes(&tx, user_id, digests).await?;
        // Perhaps a thief of the password asked for the change. Now it needs a second factor.
        change::drop_pending(&tx, user_id).await?;
        epoch = Some(table::next_epoch(&tx, user_id, cx.now).await?);
    }
    let mut detail = Detail::none().id("factor", id).word("kind", FactorMethod::from(kind).name());
    if let Some(replaced) = replaced {
        detail = detail.id("replaced", replaced);
    }
    cx.record_own(&tx, Action::FactorAdded, user_id, detail).await?;
    if before.is_empty() {
        let first_id = uuid_v7(cx.now);
        let first = first_factor::ActiveModel {
            id: Set(first_id),
            user_id: Set(user_id),
            state: Set(FirstFactorState::Added),
            undo_digest: Set(None),
            undo_until: Set(None),
            created_at: Set(cx.now),
        };
        first_factor::Entity::insert(first).exec_without_returning(&tx).await?;
        let data =
            MailData { change_id: Some(first_id), ..MailData::of_request(&cx.origin, cx.now) };
        notify_with(cx, &tx, user_id, (NoticeKind::FirstFactorAdded, data)).await?;
    } else {
        notify(cx, &tx, user_id, NoticeKind::FactorAdded).await?;
    }
    tx.commit().await?;
    Ok(Added::Now { factor: Box::new(factor), epoch, count, version: user.factor_version + 1 })
}

pub(super) async fn rename(
    cx: &ChangeContext<'_>,
    (owner, id): (AccountOwner, Uuid),
    name: String,
) -> Result<Option<Factor>, DbErr> {
    let user_id = owner.user_id;
    let tx = cx.db.begin().await?;
    if owner.lock(&tx).await?.is_none() {
        return Ok(None);
    }
    let Some(factor) = factors::find(&tx, (user_id, id)).await? else { return Ok(None) };
    if factor.name == name {
        return Ok(Some(factor));
    }
    factors::rename(&tx, id, &name).await?;
    let factor = Factor { name, ..factor };
    let detail = Detail::none().id("factor", id);
    cx.record_own(&tx, Action::FactorRenamed, user_id, detail).await?;
    tx.commit().await?;
    Ok(Some(factor))
}

pub(super) async fn remove(
    cx: &ChangeContext<'_>,
    (owner, id): (AccountOwner, Uuid),
) -> Result<Removed, DbErr> {
    let user_id = owner.user_id;
    let tx = cx.db.begin().await?;
    let Some(user) = owner.lock(&tx).await? else { return Ok(Removed::Gone) };
    let Some(factor) = factors::delete(&tx, (user_id, id)).await? else {
        return Ok(Removed::Gone);
    };
    count_again(cx, &tx, &user).await?;
    let kind = FactorMethod::from(factor.kind).name();
    let detail = Detail::none().id("factor", id).word("kind", kind);
    cx.record_own(&tx, Action::FactorRemoved, user_id, detail).await?;
    notify(cx, &tx, user_id, NoticeKind::FactorRemoved).await?;
    tx.commit().await?;
    Ok(Removed::Now(factor.kind))
}

/// Replaces the recovery codes. Returns false if the account has no factor.
pub(super) async fn replace_codes(
    cx: &ChangeContext<'_>,
    owner: AccountOwner,
    digests: Vec<String>,
) -> Result<bool, DbErr> {
    let user_id = owner.user_id;
    let tx = cx.db.begin().await?;
    let user = owner.lock(&tx).await?;
    if user.is_none_or(|user| user.factor_count == 0) {
        return Ok(false);
    }
    factors::replace_codes(&tx, user_id, digests).await?;
    cx.record_own(&tx, Action::RecoveryCodesReplaced, user_id, Detail::none()).await?;
    notify(cx, &tx, user_id, NoticeKind::RecoveryCodesReplaced).await?;
    tx.commit().await?;
    Ok(true)
}

/// Uses up a recovery code. Returns false if the code is wrong or was used before.
pub(super) async fn spend_code(
    cx: &ChangeContext<'_>,
    user_id: Uuid,
    digest: &str,
) -> Result<bool, DbErr> {
    let tx = cx.db.begin().await?;
    let user = table::lock(&tx, user_id).await?;
    if user.is_none() || !factors::spend_code(&tx, user_id, digest).await? {
        return Ok(false);
    }
    let left = factors::codes_left(&tx, user_id).await?;
    let left = u32::try_from(left).unwrap_or(u32::MAX);
    let detail = Detail::none().number("left", i64::from(left));
    cx.record_own(&tx, Action::RecoveryCodeUsed, user_id, detail).await?;
    let data = MailData { codes_left: Some(left), ..MailData::of_request(&cx.origin, cx.now) };
    notify_with(cx, &tx, user_id, (NoticeKind::RecoveryCodeUsed, data)).await?;
    tx.commit().await?;
    Ok(true)
}

pub(super) async fn record_counter_fell(
    cx: &ChangeContext<'_>,
    (user_id, factor): (Uuid, Uuid),
) -> Result<(), DbErr> {
    let tx = cx.db.begin().await?;
    let detail = Detail::none().id("factor", factor);
    cx.record_own(&tx, Action::PasskeyCounterFell, user_id, detail).await?;
    tx.commit().await
}

pub(super) async fn record_step_up(
    cx: &ChangeContext<'_>,
    user_id: Uuid,
    method: &'static str,
) -> Result<(), DbErr> {
    let tx = cx.db.begin().await?;
    let detail = Detail::none().word("method", method);
    cx.record_own(&tx, Action::SteppedUp, user_id, detail).await?;
    tx.commit().await
}

/// Counts the user's factors after some were deleted. The last factor takes the recovery codes with
/// it.
pub(super) async fn count_again(
    cx: &ChangeContext<'_>,
    tx: &Transaction,
    user: &User,
) -> Result<(), DbErr> {
    let left = factors::of_user(tx, user.id).await?.len();
    if left == 0 {
        factors::replace_codes(tx, user.id, Vec::new()).await?;
    }
    table::set_factor_count(tx, user.id, i32::try_from(left).unwrap_or(i32::MAX), cx.now).await
}

pub(super) async fn notify(
    cx: &ChangeContext<'_>,
    tx: &Transaction,
    user_id: Uuid,
    kind: NoticeKind,
) -> Result<(), DbErr> {
    notify_with(cx, tx, user_id, (kind, MailData::of_request(&cx.origin, cx.now))).await
}

async fn notify_with(
    cx: &ChangeContext<'_>,
    tx: &Transaction,
    user_id: Uuid,
    (kind, data): (NoticeKind, MailData),
) -> Result<(), DbErr> {
    let notice = NewNotice { user_id, kind, data, traceparent: &cx.origin.traceparent };
    mail::notify(tx, notice, cx.now).await.map(drop)
}
