//! Notices: mails that report to users what happened to their accounts, and the limits on their
//! number.
//!
//! An attacker who causes events could flood a user with notices. [`notify`] is the only way to
//! write a notice, and it follows two rules:
//!
//! - A notice goes to the proven email address of the account, which is read from the account's
//!   row. An account without a proven address gets no notice, because any client can register with
//!   the email address of another user.
//! - If the notices of a kind merge, a recipient gets one notice of this kind an hour. The first
//!   notice is sent at once. All further events within the hour become one notice. This notice is
//!   sent when the hour is over, describes the newest event and says how many events there were.
//!   For kinds that do not merge, the caller counts the notice in a budget before it calls
//!   `notify`. Every event is reported while the account exists, and no notice of one kind delays a
//!   notice of another kind. When an account is deleted, its waiting notices are deleted too.
//!
//! Both rules hold across replicas and restarts: `notify` locks the account's row, and counts the
//! rows of the outbox.

use std::time::Duration;

use latchkey_entity::outbox::{self, Column, OutboxState};
use latchkey_entity::user;
use sea_orm::sea_query::{Expr, LockType};
use sea_orm::{ColumnTrait as _, DbErr, EntityTrait as _, QueryFilter as _};
use sea_orm::{QueryOrder as _, QuerySelect as _};
use uuid::Uuid;

use crate::clock::{UnixMillis, millis};
use crate::database::Transaction;
use crate::mail::outbox::{NewRow, insert};
use crate::mail::{Kind, MailData, NoticeKind};

/// If the notices of a kind merge, a recipient gets one notice of this kind within this time.
const MERGE_WITHIN: Duration = Duration::from_hours(1);

/// A notice to the user of an account.
#[derive(Clone, Debug)]
pub struct NewNotice<'a> {
    pub user_id: Uuid,
    pub kind: NoticeKind,
    /// The data of its text. [`notify`] adds the name of the user.
    pub data: MailData,
    /// The trace of the request that caused the notice (W3C `traceparent`), or empty.
    pub traceparent: &'a str,
}

/// The result of [`notify`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notified {
    /// The notice is due now.
    Due,
    /// The notice is sent within an hour, together with other notices of its kind.
    Merged,
    /// The account has no proven address, so it gets no mail.
    Unproven,
    /// The account does not exist any more.
    Gone,
}

/// The address that an account has proven. Only the account's row gives one.
#[derive(Clone, Copy, Debug)]
struct ProvenAddress<'a>(&'a str);

impl<'a> ProvenAddress<'a> {
    fn of(user: &'a user::Model) -> Option<Self> {
        user.verified_at.map(|_| Self(&user.email))
    }
}

/// Writes the outbox row of a notice in the caller's transaction, or merges the notice into a
/// notice that already waits.
///
/// Locks the account's row until the transaction ends. While the row is locked, other transactions
/// can still write rows that refer to the account.
pub async fn notify(
    tx: &Transaction,
    notice: NewNotice<'_>,
    now: UnixMillis,
) -> Result<Notified, DbErr> {
    let user = user::Entity::find_by_id(notice.user_id).lock(LockType::NoKeyUpdate).one(tx).await?;
    let Some(user) = user else { return Ok(Notified::Gone) };
    let Some(ProvenAddress(recipient)) = ProvenAddress::of(&user) else {
        return Ok(Notified::Unproven);
    };
    let last = if Kind::from(notice.kind).declared().merges {
        last_within_the_hour(tx, &notice, recipient, now).await?
    } else {
        None
    };
    let data = MailData { name: Some(user.name.clone()), ..notice.data };
    let (due_at, notified) = match last {
        None => (now, Notified::Due),
        Some(last) => {
            if last.created_at > now && merge(tx, &last, &data, notice.traceparent).await? {
                return Ok(Notified::Merged);
            }
            (last.created_at.min(now) + millis(MERGE_WITHIN), Notified::Merged)
        }
    };
    let (user_id, kind) = (notice.user_id, Kind::from(notice.kind));
    let traceparent = notice.traceparent;
    let row = NewRow { user_id, kind, recipient, data, traceparent, due_at };
    insert(tx, row, now).await?;
    Ok(notified)
}

/// The newest notice of this kind to this recipient that was sent within the last hour or is due
/// within the next hour. A row with a later time was written before the clock was set back, and is
/// ignored.
async fn last_within_the_hour(
    tx: &Transaction,
    notice: &NewNotice<'_>,
    recipient: &str,
    now: UnixMillis,
) -> Result<Option<outbox::Model>, DbErr> {
    let hour = millis(MERGE_WITHIN);
    outbox::Entity::find()
        .filter(Column::UserId.eq(notice.user_id))
        .filter(Column::Kind.eq(Kind::from(notice.kind).name()))
        .filter(Column::Recipient.eq(recipient))
        .filter(Column::CreatedAt.gt(now - hour))
        .filter(Column::CreatedAt.lte(now + hour))
        .order_by_desc(Column::CreatedAt)
        .limit(1)
        .one(tx)
        .await
}

/// Adds the newest event to a notice that is not due yet. Returns false if a worker has already
/// claimed or sent the notice. The worker then sends the text without this event. This happens if
/// an operator sends the notice early, or if the clocks of replicas differ.
async fn merge(
    tx: &Transaction,
    waiting: &outbox::Model,
    newest: &MailData,
    traceparent: &str,
) -> Result<bool, DbErr> {
    let before = match serde_json::from_str::<MailData>(&waiting.data) {
        Ok(data) => data.times.max(1),
        Err(error) => {
            tracing::warn!(
                mail = %waiting.id,
                %error,
                "the data of a notice cannot be read, so it counts as one event"
            );
            1
        }
    };
    let data = MailData { times: before.saturating_add(1), ..newest.clone() };
    let data = serde_json::to_string(&data).map_err(|error| DbErr::Json(error.to_string()))?;
    let merged = outbox::Entity::update_many()
        .col_expr(Column::Data, Expr::value(data))
        .col_expr(Column::Traceparent, Expr::value(traceparent))
        .filter(Column::Id.eq(waiting.id))
        .filter(Column::State.eq(OutboxState::Pending))
        .filter(Column::LeasedUntil.eq(0))
        .exec(tx)
        .await?;
    Ok(merged.rows_affected == 1)
}
