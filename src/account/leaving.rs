//! Deletion of accounts: by the user, by the owner of the mailbox, and by the daemon if the address
//! is never proven.
//!
//! The audit keeps the events of a deleted account. The data that identifies the user in them is
//! deleted with the account, by the foreign keys of the schema.

use latchkey_entity::user;
use sea_orm::{
    ColumnTrait as _, DbErr, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use uuid::Uuid;

use super::register::{self, Verified};
use crate::audit::{Action, Actor, ChangeContext, Detail};
use crate::clock::UnixMillis;
use crate::mail;
use crate::team::joining;
use crate::team::teams::{self, Leaving};
use crate::user::{UserState, table};

/// Accounts that one transaction deletes. Each takes about six statements, so a transaction uses
/// the one writer for about 0.1 seconds.
const COLLECT_BATCH: u64 = 50;
/// Transactions of one run: about 2 seconds of work, which is within the pool's deadline. The next
/// tick continues.
const COLLECT_BATCHES_MAX: u32 = 20;

/// Result of deleting an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deleted {
    Now,
    /// Not deleted: the user is the only owner of these teams, which have other members.
    OwnsTeams(Vec<String>),
}

/// Deletes an account and the rows that refer to it: mails, memberships, endings, changes of
/// address, and identities in the audit.
///
/// If the address was proven, other teams' invitations of it and unsent mails to it are deleted
/// too. An address that was never proven may belong to another person, so these stay then.
pub(super) async fn delete(cx: &ChangeContext<'_>, user_id: Uuid) -> Result<Deleted, DbErr> {
    let tx = cx.db.begin().await?;
    let Some(person) = table::lock(&tx, user_id).await? else { return Ok(Deleted::Now) };
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
    // Always in the order of ids, because the teams' audit streams are locked in this order.
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
    table::delete(&tx, &[user_id]).await?;
    tx.commit().await?;
    Ok(Deleted::Now)
}

/// Deletes an account that was registered with another person's address. The owner of the mailbox
/// asks for it.
pub(super) async fn reject(cx: &ChangeContext<'_>, user_id: Uuid) -> Result<Verified, DbErr> {
    let tx = cx.db.begin().await?;
    let Some(person) = table::lock(&tx, user_id).await? else { return Ok(Verified::Gone) };
    if person.verified_at.is_some() {
        return Ok(Verified::Already);
    }
    // A disabled account stays: otherwise its address could be registered again.
    if register::is_disabled(&person) {
        return Ok(Verified::Gone);
    }
    cx.record_on(&tx, Action::AccountRejected, Actor::Nobody, user_id).await?;
    table::delete(&tx, &[user_id]).await?;
    tx.commit().await?;
    Ok(Verified::Now)
}

/// Deletes accounts that were created before a time and never verified, the oldest first. Returns
/// how many.
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
    table::delete(&tx, &due).await?;
    tx.commit().await?;
    Ok(u64::try_from(due.len()).unwrap_or(u64::MAX))
}
