//! Invitations as whoever was invited sees them: listed, accepted, declined.
//!
//! An invitation is for an address: it is accepted by the person who has proven that one, by the mailed link or where they
//! are signed in. What is asked of the inviter is asked when it is accepted: whoever may no longer invite, or lost the role
//! that they gave, has invited nobody.

use latchkey_entity::{invitation, membership, team, user};
use sea_orm::sea_query::ExprTrait as _;
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, ConnectionTrait, DbErr, EntityTrait as _, FromQueryResult,
    QueryFilter as _, QueryOrder as _, QuerySelect as _, Statement, Value,
};
use uuid::Uuid;

use super::TeamState;
use super::invitations::{self, Invitation, members_of};
use super::members::next_epoch;
use super::teams::{MyTeam, room_for_one_more};
use super::{Permission, Refusal, Role};
use crate::audit::ChangeContext;
use crate::audit::{self, Action, Detail};
use crate::clock::UnixMillis;
use crate::database::tenant_scope::{self, TenantScope};
use crate::database::{Db, Transaction};
use crate::secret::uuid_v7;

/// An invitation that can be accepted, as whoever was invited sees it.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Offer {
    pub id: Uuid,
    /// The address as it was typed.
    pub email: String,
    /// The one form that is compared.
    pub email_normal: String,
    /// Into which team.
    pub team_id: Uuid,
    pub team_name: String,
    /// As what.
    pub role: String,
    /// What the inviter is called; none where they are gone.
    pub inviter_name: Option<String>,
    /// Their address.
    pub inviter_email: Option<String>,
    /// When it was made.
    pub created_at: i64,
    /// Void from this moment on.
    pub expires_at: i64,
}

/// By what somebody shows that they were invited.
#[derive(Clone, Copy, Debug)]
pub enum Shown<'a> {
    /// The digest of the mailed token.
    Link(&'a str),
    /// The invitation's id: whoever was invited is signed in.
    Id(Uuid),
}

/// What bounds a membership.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// `teams.members_max`.
    pub members_max: u64,
    /// `teams.max_per_user`.
    pub teams_max: u64,
}

const OFFERS: &str = "SELECT i.id, i.email, i.email_normal, i.team_id, t.name AS team_name, i.role, \
     u.name AS inviter_name, u.email AS inviter_email, i.created_at, i.expires_at \
     FROM invitations i JOIN teams t ON t.id = i.team_id LEFT JOIN users u ON u.id = i.invited_by \
     WHERE t.status = 'active' AND i.expires_at > $1";

/// The invitations of a proven address after `after`, by id, `limit` at most: of active teams, unexpired.
pub async fn offers(
    db: &Db,
    address: &str,
    (after, limit): (Uuid, u64),
    now: UnixMillis,
) -> Result<Vec<Offer>, DbErr> {
    let sql = format!("{OFFERS} AND i.email_normal = $2 AND i.id > $3 ORDER BY i.id LIMIT $4");
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let values: [Value; 4] = [now.into(), address.into(), after.into(), limit.into()];
    let tx = tenant_scope::read(db, TenantScope::Address(address)).await?;
    let statement = Statement::from_sql_and_values(db.backend(), sql, values);
    let found = Offer::find_by_statement(statement).all(&tx).await?;
    tx.commit().await?;
    Ok(found)
}

/// Whether an address was invited anywhere: what `registration.mode = "invite"` asks.
pub async fn is_invited(db: &Db, address: &str, now: UnixMillis) -> Result<bool, DbErr> {
    Ok(!offers(db, address, (Uuid::nil(), 1), now).await?.is_empty())
}

/// What a mailed link offers, without touching anything; none where it is good no more.
pub async fn offer_of(db: &Db, digest: &str, now: UnixMillis) -> Result<Option<Offer>, DbErr> {
    let sql = format!("{OFFERS} AND i.digest = $2");
    let tx = tenant_scope::read(db, TenantScope::Invitation(digest)).await?;
    let values: [Value; 2] = [now.into(), digest.into()];
    let statement = Statement::from_sql_and_values(db.backend(), sql, values);
    let found = Offer::find_by_statement(statement).one(&tx).await?;
    tx.commit().await?;
    Ok(found)
}

/// Makes the person a member, and ends the invitation: of any number of calls at once one does. The team as they see it.
///
/// People are held before teams, as everywhere; the invitation is read again once the team is locked.
pub async fn accept(
    cx: &ChangeContext<'_>,
    user_id: Uuid,
    shown: Shown<'_>,
    room: Room,
) -> Result<MyTeam, Refusal> {
    let tx = cx.db.begin().await?;
    let person = locked(&tx, user_id).await?;
    let seen = find(&tx, shown, &person, cx.now).await?;
    tenant_scope::enter(&tx, TenantScope::Person(user_id)).await?;
    room_for_one_more(&tx, user_id, room.teams_max).await?;
    let (invitation, team) = lock(&tx, &seen, cx.now).await?.ok_or_else(|| shown.gone())?;
    if team.status == TeamState::Disabled {
        return Err(Refusal::TeamDisabled);
    }
    let role = Role::from_name(&invitation.role).ok_or(Refusal::Forbidden)?;
    if !inviter_may(&tx, &invitation, role).await? {
        return Err(conflict("Whoever invited you may do so no more: ask for a new invitation."));
    }
    let is_me = membership::Column::UserId.eq(user_id);
    let of_team = membership::Column::TeamId.eq(team.id);
    if membership::Entity::find().filter(of_team.and(is_me)).one(&tx).await?.is_some() {
        return Err(conflict("You are a member of the team already."));
    }
    if members_of(&tx, team.id).await? >= room.members_max {
        return Err(conflict("The team has as many members as there may be."));
    }
    // Whoever was in the team before had a lower one: their tokens of then stay out of date.
    let epoch = next_epoch(&tx, cx, team.id).await?;
    let row = membership::ActiveModel {
        id: Set(uuid_v7(cx.now)),
        team_id: Set(team.id),
        user_id: Set(user_id),
        role: Set(role.name().to_owned()),
        epoch: Set(epoch),
        created_at: Set(cx.now),
        last_used_at: Set(0),
        last_project_id: Set(None),
    };
    membership::Entity::insert(row).exec_without_returning(&tx).await?;
    let detail = Detail::none().id("invitation", invitation.id).word("role", role.name());
    let detail = detail.number("epoch", epoch.into());
    end(cx, tx, &invitation, (user_id, Action::InvitationAccepted, detail)).await?;
    Ok(MyTeam::of(team, role))
}

/// Ends an invitation of one's own address, without becoming a member.
pub async fn decline(cx: &ChangeContext<'_>, user_id: Uuid, id: Uuid) -> Result<(), Refusal> {
    let tx = cx.db.begin().await?;
    let person = locked(&tx, user_id).await?;
    let seen = find(&tx, Shown::Id(id), &person, cx.now).await?;
    let (invitation, _) = lock(&tx, &seen, cx.now).await?.ok_or(Refusal::NotFound)?;
    let detail = Detail::none().id("invitation", id);
    Ok(end(cx, tx, &invitation, (user_id, Action::InvitationDeclined, detail)).await?)
}

/// The teams that have an invitation of a proven address, expired ones too, in the order of ids.
pub async fn inviting(tx: &Transaction, address: &str) -> Result<Vec<Uuid>, DbErr> {
    tenant_scope::enter(tx, TenantScope::Address(address)).await?;
    invitation::Entity::find()
        .select_only()
        .column(invitation::Column::TeamId)
        .filter(invitation::Column::EmailNormal.eq(address))
        .order_by_asc(invitation::Column::TeamId)
        .into_tuple()
        .all(tx)
        .await
}

/// Deletes a team's invitation of an address, in the caller's transaction, which stands in the team from then on; what it
/// was. The team is locked.
pub async fn withdraw(
    tx: &Transaction,
    team: Uuid,
    address: &str,
) -> Result<Option<Invitation>, DbErr> {
    tenant_scope::enter(tx, TenantScope::Team(team)).await?;
    let found = invitation::Entity::find()
        .filter(invitation::Column::TeamId.eq(team))
        .filter(invitation::Column::EmailNormal.eq(address))
        .one(tx)
        .await?;
    if let Some(invitation) = &found {
        invitations::delete(tx, team, invitation.id).await?;
    }
    Ok(found)
}

impl Shown<'_> {
    /// What is said where there is no such invitation, or no more.
    fn gone(self) -> Refusal {
        match self {
            Self::Link(_) => Refusal::LinkInvalid,
            Self::Id(_) => Refusal::NotFound,
        }
    }
}

fn conflict(detail: &str) -> Refusal {
    Refusal::Conflict(detail.to_owned())
}

/// The person, held until the transaction ends: of two invitations that would be one team too many, one is accepted.
async fn locked(tx: &Transaction, user_id: Uuid) -> Result<user::Model, Refusal> {
    let found = user::Entity::find_by_id(user_id).lock_exclusive().one(tx).await?;
    found.filter(|person| person.verified_at.is_some()).ok_or(Refusal::Forbidden)
}

/// The invitation, if it is this person's. Others learn that a link is not theirs; of an id they learn nothing.
async fn find(
    tx: &Transaction,
    shown: Shown<'_>,
    person: &user::Model,
    now: UnixMillis,
) -> Result<Invitation, Refusal> {
    let mine = invitation::Column::EmailNormal.eq(&person.email_normal);
    let (scope, wanted) = match shown {
        Shown::Link(digest) => {
            (TenantScope::Invitation(digest), invitation::Column::Digest.eq(digest))
        }
        Shown::Id(id) => {
            (TenantScope::Address(&person.email_normal), invitation::Column::Id.eq(id).and(mine))
        }
    };
    tenant_scope::enter(tx, scope).await?;
    let found = invitation::Entity::find().filter(wanted).one(tx).await?;
    let found = found.filter(|it| it.expires_at > now).ok_or_else(|| shown.gone())?;
    if found.email_normal != person.email_normal {
        return Err(Refusal::OtherAddress);
    }
    Ok(found)
}

/// Enters and locks the team (on SQLite the whole file is), and reads the invitation again: none where it ended, expired
/// or was sent anew meanwhile.
async fn lock(
    tx: &Transaction,
    seen: &Invitation,
    now: UnixMillis,
) -> Result<Option<(Invitation, team::Model)>, DbErr> {
    tenant_scope::enter(tx, TenantScope::Team(seen.team_id)).await?;
    let team = team::Entity::find_by_id(seen.team_id).lock_exclusive().one(tx).await?;
    let found = invitation::Entity::find_by_id(seen.id)
        .filter(invitation::Column::TeamId.eq(seen.team_id))
        .filter(invitation::Column::Digest.eq(&seen.digest))
        .filter(invitation::Column::ExpiresAt.gt(now))
        .one(tx)
        .await?;
    Ok(found.zip(team))
}

/// Whether the inviter is a member still who may invite with this role, and whose account is in use. The team is locked.
async fn inviter_may(tx: &Transaction, invitation: &Invitation, role: Role) -> Result<bool, DbErr> {
    let Some(inviter) = invitation.invited_by else { return Ok(false) };
    let statement = Statement::from_sql_and_values(
        tx.get_database_backend(),
        "SELECT m.role FROM memberships m JOIN users u ON u.id = m.user_id \
         WHERE m.team_id = $1 AND m.user_id = $2 AND u.status = 'active'",
        [invitation.team_id.into(), inviter.into()],
    );
    let Some(row) = tx.query_one_raw(statement).await? else { return Ok(false) };
    let theirs = Role::from_name(&row.try_get::<String>("", "role")?);
    Ok(theirs.is_some_and(|theirs| {
        Permission::ManageInvitations.is_granted_to(theirs) && theirs >= role
    }))
}

/// Deletes the invitation, records what became of it, and makes both last.
async fn end(
    cx: &ChangeContext<'_>,
    tx: Transaction,
    invitation: &Invitation,
    (person, action, detail): (Uuid, Action, Detail),
) -> Result<(), DbErr> {
    invitations::delete(&tx, invitation.team_id, invitation.id).await?;
    let actor = audit::Actor::Person(person);
    cx.record_in_team(&tx, action, actor, invitation.team_id, detail).await?;
    tx.commit().await
}
