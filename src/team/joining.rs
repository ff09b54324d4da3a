//! The functions by which an invited user lists, accepts and declines invitations.
//!
//! An invitation is for an email address. Only a user who has proven that address can accept the
//! invitation. The user accepts it with the mailed link or in the list of invitations after a
//! login.
//!
//! The inviter's permission is checked again when the invitation is accepted. An invitation cannot
//! be accepted if the inviter is no longer allowed to invite users, or if the inviter's role is now
//! below the role that the invitation gives.

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

/// An invitation that can be accepted, with the data that the invited user sees.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Offer {
    pub id: Uuid,
    /// The invited email address as it was typed.
    pub email: String,
    /// The invited email address in its normal form. It is compared with the address of the user.
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

/// The value by which a user identifies the invitation to accept.
#[derive(Clone, Copy, Debug)]
pub enum Shown<'a> {
    /// The digest of the mailed token.
    Link(&'a str),
    /// The invitation's id. A logged-in user sends it.
    Id(Uuid),
}

/// The user who accepts an invitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invitee {
    pub user_id: Uuid,
    /// Whether the user has proven two factors. A team can require this.
    pub has_two_factors: bool,
}

/// The limits for memberships.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// The setting `teams.members_max`.
    pub members_max: u64,
    /// The setting `teams.max_per_user`.
    pub teams_max: u64,
}

const OFFERS: &str = "SELECT i.id, i.email, i.email_normal, i.team_id, t.name AS team_name, i.role, \
     u.name AS inviter_name, u.email AS inviter_email, i.created_at, i.expires_at \
     FROM invitations i JOIN teams t ON t.id = i.team_id LEFT JOIN users u ON u.id = i.invited_by \
     WHERE t.status = 'active' AND i.expires_at > $1";

/// Lists at most `limit` invitations of a proven email address, in the order of their ids. The list
/// begins after the id `after`. It contains only invitations that have not expired and whose team
/// is active.
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
    Ok(found)
}

/// Whether any team has invited an email address. The setting `registration.mode = "invite"` needs
/// this.
pub async fn is_invited(db: &Db, address: &str, now: UnixMillis) -> Result<bool, DbErr> {
    Ok(!offers(db, address, (Uuid::nil(), 1), now).await?.is_empty())
}

/// Returns the invitation of a mailed link, or none if the link is no longer valid. Changes
/// nothing.
pub async fn offer_of(db: &Db, digest: &str, now: UnixMillis) -> Result<Option<Offer>, DbErr> {
    let sql = format!("{OFFERS} AND i.digest = $2");
    let tx = tenant_scope::read(db, TenantScope::Invitation(digest)).await?;
    let values: [Value; 2] = [now.into(), digest.into()];
    let statement = Statement::from_sql_and_values(db.backend(), sql, values);
    let found = Offer::find_by_statement(statement).one(&tx).await?;
    Ok(found)
}

/// Makes the user a member and deletes the invitation. If several calls do this at once, only one
/// of them succeeds. Returns the team as the user sees it.
///
/// Every transaction locks users before teams, and so does this one. The invitation is read again
/// after the team is locked.
pub async fn accept(
    cx: &ChangeContext<'_>,
    Invitee { user_id, has_two_factors }: Invitee,
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
    if team.require_factor && !has_two_factors {
        return Err(Refusal::FactorRequired);
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
    // The new epoch is higher than every old epoch of this user in the team. So if the user was a
    // member before, the tokens of that time stay out of date.
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

/// Deletes an invitation for the user's own email address, without making the user a member.
pub async fn decline(cx: &ChangeContext<'_>, user_id: Uuid, id: Uuid) -> Result<(), Refusal> {
    let tx = cx.db.begin().await?;
    let person = locked(&tx, user_id).await?;
    let seen = find(&tx, Shown::Id(id), &person, cx.now).await?;
    let (invitation, _) = lock(&tx, &seen, cx.now).await?.ok_or(Refusal::NotFound)?;
    let detail = Detail::none().id("invitation", id);
    Ok(end(cx, tx, &invitation, (user_id, Action::InvitationDeclined, detail)).await?)
}

/// Returns the teams that have an invitation for a proven email address, in the order of the team
/// ids. Expired invitations are included.
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

/// Deletes a team's invitation for an email address, and returns the invitation. Runs in the
/// caller's transaction, which is inside the tenant scope of the team after this call. The caller
/// has locked the team.
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
    /// The refusal for an invitation that never existed or no longer exists.
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

/// Locks the user until the transaction ends, so that two calls at the same time cannot together
/// exceed the user's limit of teams. Refuses a user whose email address is not proven.
async fn locked(tx: &Transaction, user_id: Uuid) -> Result<user::Model, Refusal> {
    let found = user::Entity::find_by_id(user_id).lock_exclusive().one(tx).await?;
    found.filter(|person| person.verified_at.is_some()).ok_or(Refusal::Forbidden)
}

/// Reads the invitation if it is for this user. If another user sends the link, the refusal says
/// that the invitation is for another email address. If another user sends the id, the refusal is
/// the same as for an unknown id.
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
/// the invitation was deleted, has expired or was mailed again in the meantime. On SQLite the whole
/// file is locked.
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

/// Whether the inviter is still a member, has an active account and is still allowed to invite
/// users with this role. The caller has locked the team.
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

/// Deletes the invitation, records in the audit whether it was accepted or declined, and commits.
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
