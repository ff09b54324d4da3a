//! Removing people: by themselves, by the owner of the mailbox, and for want of proof.
//!
//! What identifies them in the audit goes with them (the schema's cascades see to it); the events stay.

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

/// Accounts that one transaction collects: half a dozen statements each, so a tenth of a second of the one writer.
const COLLECT_BATCH: u64 = 50;
/// Transactions of one collection: 2 s of work, within the pool's deadline. The next tick goes on.
const COLLECT_BATCHES_MAX: u32 = 20;

/// What became of deleting a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// Done.
    Now,
    /// These teams have others and no other owner.
    OwnsTeams(Vec<String>),
}

/// Deletes a person: rows that name them go with them (mail, memberships, endings, changes of address, identities of the
/// audit). So do the invitations of their address by other teams, and mail to it that has not left. Of an address that was
/// never proven neither: it may be somebody else's.
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
    // In the order of ids, always: the teams' streams are locked in it.
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

/// Removes an account that was made with somebody else's address: by the owner of the mailbox.
pub(super) async fn reject(cx: &ChangeContext<'_>, user_id: Uuid) -> Result<Verified, DbErr> {
    let tx = cx.db.begin().await?;
    let Some(person) = table::lock(&tx, user_id).await? else { return Ok(Verified::Gone) };
    if person.verified_at.is_some() {
        return Ok(Verified::Already);
    }
    // What the operator has closed stays, or the address would be free to register again.
    if register::is_disabled(&person) {
        return Ok(Verified::Gone);
    }
    cx.record_on(&tx, Action::AccountRejected, Actor::Nobody, user_id).await?;
    table::delete(&tx, &[user_id]).await?;
    tx.commit().await?;
    Ok(Verified::Now)
}

/// Removes accounts that were never verified, made before a moment, the oldest first; how many.
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
