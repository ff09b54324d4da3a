//! Invitations as the invited user sees them: their list, and how they are accepted or declined.
//!
//! An invitation is for an email address. A user who has proven that address accepts it, by the
//! mailed link or while logged in.
//!
//! What the inviter needed to invite is checked again at acceptance. An invitation cannot be
//! accepted if the inviter may no longer invite, or no longer has at least the role that the
//! invitation gives.

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

/// An invitation that can be accepted, as the invited user sees it.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Offer {
    pub id: Uuid,
    /// The address as it was typed.
    pub email: String,
    /// The address in its normal form, which is compared.
    pub email_normal: String,
    pub team_id: Uuid,
    pub team_name: String,
    /// The role that the invitation gives.
    pub role: String,
    /// The inviter's name. None if the inviter's account is deleted.
    pub inviter_name: Option<String>,
    /// The inviter's email address.
    pub inviter_email: Option<String>,
    pub created_at: i64,
    /// When the invitation expires.
    pub expires_at: i64,
}

/// What identifies an invitation that a user accepts.
#[derive(Clone, Copy, Debug)]
pub enum Shown<'a> {
    /// The digest of the mailed token.
    Link(&'a str),
    /// The invitation's id. The invited user is logged in.
    Id(Uuid),
}

/// The limits for memberships.
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

/// Lists the invitations of a proven address after `after`, at most `limit`, in the order of ids.
/// Only invitations of active teams that have not expired are listed.
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

/// Whether any team has invited an address. `registration.mode = "invite"` needs this.
pub async fn is_invited(db: &Db, address: &str, now: UnixMillis) -> Result<bool, DbErr> {
    Ok(!offers(db, address, (Uuid::nil(), 1), now).await?.is_empty())
}

/// Returns the invitation of a mailed link, or none if it is no longer valid. Changes nothing.
pub async fn offer_of(db: &Db, digest: &str, now: UnixMillis) -> Result<Option<Offer>, DbErr> {
    let sql = format!("{OFFERS} AND i.digest = $2");
    let tx = tenant_scope::read(db, TenantScope::Invitation(digest)).await?;
    let values: [Value; 2] = [now.into(), digest.into()];
    let statement = Statement::from_sql_and_values(db.backend(), sql, values);
    let found = Offer::find_by_statement(statement).one(&tx).await?;
    tx.commit().await?;
    Ok(found)
}

/// Makes the user a member and deletes the invitation. Of any number of calls at once, one
/// succeeds. Returns the team as the user sees it.
///
/// Users are locked before teams, as everywhere. The invitation is read again after the team is
/// locked.
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
        return Err(conflict("The inviter may no longer invite you. Ask for a new invitation."));
    }
    let is_me = membership::Column::UserId.eq(user_id);
    let of_team = membership::Column::TeamId.eq(team.id);
    if membership::Entity::find().filter(of_team.and(is_me)).one(&tx).await?.is_some() {
        return Err(conflict("You are already a member of the team."));
    }
    if members_of(&tx, team.id).await? >= room.members_max {
        return Err(conflict("The team already has the maximum number of members."));
    }
    // A user who was in the team before had a lower epoch, so the tokens of that time stay out of
    // date.
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

/// Deletes an invitation of the user's own address, without making the user a member.
pub async fn decline(cx: &ChangeContext<'_>, user_id: Uuid, id: Uuid) -> Result<(), Refusal> {
    let tx = cx.db.begin().await?;
    let person = locked(&tx, user_id).await?;
    let seen = find(&tx, Shown::Id(id), &person, cx.now).await?;
    let (invitation, _) = lock(&tx, &seen, cx.now).await?.ok_or(Refusal::NotFound)?;
    let detail = Detail::none().id("invitation", id);
    Ok(end(cx, tx, &invitation, (user_id, Action::InvitationDeclined, detail)).await?)
}

/// Returns the teams that have an invitation of a proven address, in the order of ids. Expired
/// invitations are included.
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

/// Deletes a team's invitation of an address, and returns it. Runs in the caller's transaction,
/// which is inside the team from then on. The caller has locked the team.
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
    /// The refusal for an invitation that does not exist, or no longer exists.
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

/// Locks the user until the transaction ends, so that two calls at once cannot exceed the limit of
/// teams together. Refuses a user whose address is not proven.
async fn locked(tx: &Transaction, user_id: Uuid) -> Result<user::Model, Refusal> {
    let found = user::Entity::find_by_id(user_id).lock_exclusive().one(tx).await?;
    found.filter(|person| person.verified_at.is_some()).ok_or(Refusal::Forbidden)
}

/// Reads the invitation if it is for this user. With a link, other users learn that it is for
/// another address. With an id, they learn nothing.
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

/// Enters the team's tenant scope, locks the team, and reads the invitation again. Returns none if
/// the invitation has ended, has expired or was mailed again meanwhile. On SQLite the whole file is
/// locked.
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

/// Whether the inviter is still a member who may invite with this role, and whose account is
/// active. The caller has locked the team.
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

/// Deletes the invitation, records its result in the audit, and commits.
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
