//! Deletion of accounts: by the user, by the owner of the email address, or by the daemon if the
//! email address is never proven.
//!
//! The audit keeps the events of a deleted account. The data that identifies the user in these
//! events is deleted together with the account, by the foreign keys of the schema.

use latchkey_entity::user;
use sea_orm::{
    ColumnTrait as _, DbErr, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use uuid::Uuid;

use super::AccountOwner;
use super::register::{self, Verified};
use crate::audit::{self, Action, Actor, ChangeContext, Detail};
use crate::clock::UnixMillis;
use crate::database::Transaction;
use crate::mail;
use crate::team::joining;
use crate::team::teams::{self, Leaving};
use crate::user::{UserState, table};

/// The number of accounts that one transaction deletes. Each account takes about six statements, so
/// a transaction occupies SQLite's only writer for about 0.1 seconds.
const COLLECT_BATCH: u64 = 50;
/// The largest number of transactions in one run. They take about 2 seconds, which is within the
/// deadline of the worker pool. The next run deletes the remaining accounts.
const COLLECT_BATCHES_MAX: u32 = 20;

/// Result of deleting an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deleted {
    Now,
    /// The account is not deleted, because its sessions have ended since the request was checked.
    SessionEnded,
    /// The account is not deleted, because the user is the only owner of these teams, and they have
    /// other members.
    OwnsTeams(Vec<String>),
}

/// Deletes an account and the rows that refer to it: mails, memberships, ended sessions, changes of
/// email address, and identities in the audit.
///
/// If the email address was proven, the invitations of other teams to this address and the unsent
/// mails to it are also deleted. If the address was never proven, these invitations and mails stay,
/// because the address perhaps belongs to another person.
pub(super) async fn delete(cx: &ChangeContext<'_>, owner: AccountOwner) -> Result<Deleted, DbErr> {
    let tx = cx.db.begin().await?;
    let user_id = owner.user_id;
    let Some(person) = owner.lock(&tx).await? else {
        let is_deleted = table::lock(&tx, user_id).await?.is_none();
        return Ok(if is_deleted { Deleted::Now } else { Deleted::SessionEnded });
    };
    let address = person.email_normal.as_str();
    let inviting = match person.verified_at {
        Some(_) => joining::inviting(&tx, address).await?,
        None => Vec::new(),
    };
    let left = match teams::leaving(&tx, user_id, &inviting).await? {
        Leaving::OwnedWithOthers(names) => return Ok(Deleted::OwnsTeams(names)),
        Leaving::Free(left) => left,
    };
    let who = Actor::Person(user_id);
    cx.record_own(&tx, Action::AccountDeleted, user_id, Detail::none()).await?;
    let of_teams = left.iter().map(|team| (team.team_id, Some(team.ends)));
    let mut events: Vec<(Uuid, Option<bool>)> =
        of_teams.chain(inviting.into_iter().map(|team| (team, None))).collect();
    // The events are recorded in the order of the team ids, because every transaction locks the
    // audit streams of teams in this order.
    events.sort_unstable();
    let mut typed = vec![person.email.clone()];
    for (team, ends) in events {
        let mut detail = Detail::none().word("reason", "account-deleted");
        let action = match ends {
            Some(true) => Action::TeamDeleted,
            Some(false) => Action::MemberLeft,
            None => {
                let Some(invitation) = joining::withdraw(&tx, team, address).await? else {
                    continue;
                };
                detail = detail.id("invitation", invitation.id);
                typed.push(invitation.email);
                Action::InvitationDeclined
            }
        };
        cx.record_in_team(&tx, action, who, team, detail).await?;
    }
    if person.verified_at.is_some() {
        mail::withdraw(&tx, address, typed).await?;
    }
    for team in left.iter().filter(|team| team.ends) {
        teams::delete(&tx, team.team_id).await?;
    }
    delete_users(cx, &tx, &[user_id]).await?;
    tx.commit().await?;
    Ok(Deleted::Now)
}

/// Deletes the rows of users that are locked, and their identities in the audit.
pub(super) async fn delete_users(
    cx: &ChangeContext<'_>,
    tx: &Transaction,
    users: &[Uuid],
) -> Result<(), DbErr> {
    audit::erase(tx, cx.chain, users).await?;
    table::delete(tx, users).await
}

/// Deletes an account that was registered with another person's email address. That person has
/// asked for the deletion.
pub(super) async fn reject(cx: &ChangeContext<'_>, user_id: Uuid) -> Result<Verified, DbErr> {
    let tx = cx.db.begin().await?;
    let Some(person) = table::lock(&tx, user_id).await? else { return Ok(Verified::Gone) };
    if person.verified_at.is_some() {
        return Ok(Verified::Already);
    }
    // A disabled account is not deleted. Otherwise its email address could be registered again.
    if register::is_disabled(&person) {
        return Ok(Verified::Gone);
    }
    cx.record_on(&tx, Action::AccountRejected, Actor::Nobody, user_id).await?;
    delete_users(cx, &tx, &[user_id]).await?;
    tx.commit().await?;
    Ok(Verified::Now)
}

/// Deletes the accounts that were created before the time `before` and never verified, the oldest
/// first. Returns the number of deleted accounts.
pub(super) async fn collect_unverified(
    cx: &ChangeContext<'_>,
    before: UnixMillis,
) -> Result<u64, DbErr> {
    let mut collected = 0;
    for _ in 0..COLLECT_BATCHES_MAX {
        let batch = collect_batch(cx, before).await?;
        collected += batch;
        if batch < COLLECT_BATCH {
            break;
        }
    }
    Ok(collected)
}

async fn collect_batch(cx: &ChangeContext<'_>, before: UnixMillis) -> Result<u64, DbErr> {
    let tx = cx.db.begin().await?;
    let due: Vec<Uuid> = user::Entity::find()
        .select_only()
        .column(user::Column::Id)
        .filter(user::Column::VerifiedAt.is_null())
        .filter(user::Column::Status.eq(UserState::Active))
        .filter(user::Column::CreatedAt.lt(before))
        .order_by_asc(user::Column::CreatedAt)
        .limit(COLLECT_BATCH)
        .lock_exclusive()
        .into_tuple()
        .all(&tx)
        .await?;
    for user_id in &due {
        let collected = Action::AccountCollected;
        cx.record_on(&tx, collected, Actor::System, *user_id).await?;
    }
    delete_users(cx, &tx, &due).await?;
    tx.commit().await?;
    Ok(u64::try_from(due.len()).unwrap_or(u64::MAX))
}
