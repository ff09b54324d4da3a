//! The undo of an account's first factor, with the link in the mail about this factor. The owner of
//! the email address uses it if another person, who knows the password, has added the factor.

use latchkey_entity::first_factor::{self, FirstFactorState};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait as _, DbErr, EntityTrait as _, QueryFilter as _};
use uuid::Uuid;

use super::factor_changes::{count_again, notify};
use super::{AccountError, AccountService, change};
use crate::admission::{Action, Ask, Client};
use crate::audit::{self, ChangeContext, Detail};
use crate::clock::{CLOCKS_APART_MAX, UnixMillis, millis};
use crate::database::batches::Expired;
use crate::database::{Db, Transaction};
use crate::factor::table as factors;
use crate::mail::{NoticeKind, UNDO_TTL, undo};
use crate::secret::sha256;
use crate::telemetry::labels::EndReason;
use crate::user::{User, table};

/// The result of undoing the first factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FactorUndone {
    Now,
    /// The link is unknown, used or expired.
    Gone,
}

impl AccountService<'_> {
    /// Returns when the first factor was added that an undo link would remove, without removing it.
    /// Returns none if the factor can no longer be undone.
    pub async fn preview_factor_undo(
        &self,
        token: &str,
    ) -> Result<Option<UnixMillis>, AccountError> {
        let digest = sha256(token.as_bytes());
        let first = undo::find_first_factor(self.db, &digest, self.clock.now()).await?;
        let first = first.filter(|first| first.state == FirstFactorState::Added);
        Ok(first.map(|first| first.created_at))
    }

    /// Removes the first factor of an account and the factors that were added later. Ends every
    /// session, and makes the password invalid.
    pub async fn undo_first_factor(
        &self,
        client: &mut Client<'_>,
        token: &str,
    ) -> Result<FactorUndone, AccountError> {
        self.admit(client, Ask::Action(Action::Verify)).await?;
        let digest = sha256(token.as_bytes());
        let found = undo::find_first_factor(self.db, &digest, self.clock.now()).await?;
        let Some(first) = found else { return Ok(FactorUndone::Gone) };
        let undone = self.accounts.undo_first_factor(client.call(), first.id).await?;
        if undone == FactorUndone::Now {
            self.delete_ended_sessions(first.user_id, None, EndReason::FactorUndone).await;
            self.deliveries.wake();
        }
        Ok(undone)
    }
}

/// Undoes the first factor, and every later time at which the account got its first factor: the
/// mails about these times perhaps went to an address of the attacker.
pub(super) async fn undo(cx: &ChangeContext<'_>, id: Uuid) -> Result<FactorUndone, DbErr> {
    let tx = cx.db.begin().await?;
    let find = || first_factor::Entity::find_by_id(id).one(&tx);
    let Some(first) = find().await? else { return Ok(FactorUndone::Gone) };
    let Some(user) = table::lock(&tx, first.user_id).await? else { return Ok(FactorUndone::Gone) };
    // The row is read again under the lock of the user, because the link works once.
    let first = find().await?.filter(|first| first.state == FirstFactorState::Added);
    let Some(first) = first else { return Ok(FactorUndone::Gone) };
    first_factor::Entity::update_many()
        .col_expr(first_factor::Column::State, Expr::value(FirstFactorState::Undone))
        .filter(first_factor::Column::UserId.eq(user.id))
        .filter(first_factor::Column::CreatedAt.gte(first.created_at))
        .exec(&tx)
        .await?;
    // The account had no factor before this one, so all its factors were added since.
    let removed = factors::delete_all(&tx, user.id).await?;
    count_again(cx, &tx, &user).await?;
    change::drop_pending(&tx, user.id).await?;
    table::void_password(&tx, user.id, cx.now).await?;
    record(cx, &tx, &user, removed).await?;
    tx.commit().await?;
    Ok(FactorUndone::Now)
}

/// Removes the factors that were added since `since`, when a change of address is undone that was
/// requested at this time. This also ends the trust in all devices.
pub(super) async fn remove_since(
    cx: &ChangeContext<'_>,
    tx: &Transaction,
    user: &User,
    since: UnixMillis,
) -> Result<(), DbErr> {
    let removed = factors::delete_since(tx, user.id, since).await?;
    count_again(cx, tx, user).await?;
    if removed > 0 { record(cx, tx, user, removed).await } else { Ok(()) }
}

async fn record(
    cx: &ChangeContext<'_>,
    tx: &Transaction,
    user: &User,
    removed: u64,
) -> Result<(), DbErr> {
    let detail = Detail::none().number("factors", i64::try_from(removed).unwrap_or(i64::MAX));
    cx.record_own(tx, audit::Action::FactorUndone, user.id, detail).await?;
    if removed > 0 { notify(cx, tx, user.id, NoticeKind::FactorRemoved).await } else { Ok(()) }
}

/// Deletes the rows of first factors whose link can no longer be used. Returns their number.
pub async fn sweep_first_factors(db: &Db, now: UnixMillis) -> Result<u64, DbErr> {
    let kept = millis(UNDO_TTL + change::MAIL_LATE_MAX);
    let condition = format!("created_at < $1 - {kept} AND (undo_until IS NULL OR undo_until < $1)");
    let expired = Expired { table: "first_factors", key: "id", condition: &condition };
    expired.delete(db, now - millis(CLOCKS_APART_MAX)).await
}
