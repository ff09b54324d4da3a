//! The functions by which a team creates, lists, mails again and revokes its invitations. The role
//! in an invitation is never above the inviter's own role. The functions for the invited user are
//! in [`joining`](super::joining).
//!
//! The table stores only the digest of the token in a mailed link. The token itself is derived from
//! the outbox row (see [`mailed_token`]). A team has at most one invitation for each email address.
//! If the address is invited again or the invitation is mailed again, the mail contains a new link,
//! and the old link becomes invalid.

use std::time::Duration;

use latchkey_entity::{invitation, membership, team, user};
use sea_orm::sea_query::{ExprTrait as _, SimpleExpr};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait as _, DbErr, EntityTrait as _,
    IntoActiveModel as _, PaginatorTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    Statement,
};
use uuid::Uuid;

use super::change::{self, TeamChange};
use super::{Actor, Permission, Refusal, Role};
use crate::admission::Admission;
use crate::audit::ChangeContext;
use crate::audit::{Action, Detail};
use crate::clock::{UnixMillis, millis};
use crate::database::tenant_scope::{self, TenantScope};
use crate::database::{Db, Transaction};
use crate::mail::{self, INVITATION_TTL, Kind, LinkKind, MailData, NewMail, mailed_token};
use crate::secret::{self, Secret, uuid_v7};
use crate::user::EmailAddress;

pub use latchkey_entity::invitation::Model as Invitation;

/// How long an expired invitation stays in the team's list. During this time a member can mail it
/// again.
const KEPT_EXPIRED: Duration = Duration::from_hours(30 * 24);
const DAY_MS: i64 = 24 * 3_600_000;

/// The data and limits that are needed to mail an invitation.
#[derive(Clone, Debug)]
pub struct Post<'a> {
    /// The key `"mail-token"`, derived from the master key.
    pub key: &'a Secret<[u8; 32]>,
    /// Data for the mail, such as its language. This data contains nothing about the inviter's
    /// device, because the recipient perhaps does not know the inviter.
    pub data: MailData,
    /// The trace of the request.
    pub traceparent: &'a str,
    /// The setting `teams.members_max`. It limits the sum of members and open invitations.
    pub members_max: u64,
    /// The setting `teams.invitations_per_day`.
    pub per_day: u32,
    /// The limits for the inviter and for the recipient's email address.
    pub admission: &'a Admission,
}

/// Lists at most `limit` invitations of a team, in the order of their ids. The list begins after
/// the id `after`. Expired invitations stay in the list for 30 days, so that a member can mail them
/// again.
pub async fn list(db: &Db, team: Uuid, after: Uuid, limit: u64) -> Result<Vec<Invitation>, DbErr> {
    let tx = tenant_scope::read(db, TenantScope::Team(team)).await?;
    let found = invitation::Entity::find()
        .filter(invitation::Column::TeamId.eq(team))
        .filter(invitation::Column::Id.gt(after))
        .order_by_asc(invitation::Column::Id)
        .limit(limit)
        .all(&tx)
        .await?;
    Ok(found)
}

/// Whether a team already has an invitation for an email address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Is {
    New,
    There,
}

/// Invites an email address. This function does not check whether the address has an account. If
/// the team has already invited the address, the invitation gets a new link and this role.
pub async fn create(
    cx: &ChangeContext<'_>,
    actor: Actor,
    (email, role): (&EmailAddress, Role),
    post: Post<'_>,
) -> Result<Invitation, Refusal> {
    let act = change::begin(cx, actor, None, Permission::ManageInvitations).await?;
    let (made, is) = draft(&act, cx, actor, (email, role)).await?;
    let sent = send(&act, cx, actor, made, post).await?;
    if is == Is::New {
        let row = sent.clone().into_active_model();
        invitation::Entity::insert(row).exec_without_returning(&act.tx).await?;
    } else {
        write(&act.tx, sent.clone()).await?;
    }
    let detail = told_of(&sent).word("role", role.name());
    act.commit(Action::InvitationCreated, None, detail).await?;
    Ok(sent)
}

/// Prepares an invitation before it is mailed, and finds out whether the team has already invited
/// the address. Refuses the new invitation if its role is above the caller's own role, or if it
/// replaces an invitation whose role is above the caller's own role.
async fn draft(
    act: &TeamChange<'_>,
    cx: &ChangeContext<'_>,
    actor: Actor,
    (email, role): (&EmailAddress, Role),
) -> Result<(Invitation, Is), Refusal> {
    let before = invitation::Entity::find()
        .filter(invitation::Column::TeamId.eq(actor.team_id))
        .filter(invitation::Column::EmailNormal.eq(email.normal()))
        .one(&act.tx)
        .await?;
    let replaced = before.as_ref().map_or(Some(Role::Viewer), |it| Role::from_name(&it.role));
    if role > act.role || replaced.is_none_or(|replaced| replaced > act.role) {
        return Err(Refusal::Forbidden);
    }
    let is = if before.is_none() { Is::New } else { Is::There };
    let made = Invitation {
        id: before.map_or_else(|| uuid_v7(cx.now), |it| it.id),
        team_id: actor.team_id,
        email: email.as_typed().to_owned(),
        email_normal: email.normal().to_owned(),
        role: role.name().to_owned(),
        invited_by: None,
        digest: String::new(),
        created_at: cx.now,
        expires_at: cx.now,
    };
    Ok((made, is))
}

/// Mails an invitation again, with the caller as its inviter. The invitation gets a new link and is
/// valid for a week from now. The old link becomes invalid.
pub async fn resend(
    cx: &ChangeContext<'_>,
    actor: Actor,
    id: Uuid,
    post: Post<'_>,
) -> Result<Invitation, Refusal> {
    let act = change::begin(cx, actor, None, Permission::ManageInvitations).await?;
    let found = within_reach(&act, actor.team_id, id).await?;
    let sent = send(&act, cx, actor, found, post).await?;
    write(&act.tx, sent.clone()).await?;
    act.commit(Action::InvitationResent, None, told_of(&sent)).await?;
    Ok(sent)
}

/// Revokes an invitation. Its link becomes invalid.
pub async fn revoke(cx: &ChangeContext<'_>, actor: Actor, id: Uuid) -> Result<(), Refusal> {
    let act = change::begin(cx, actor, None, Permission::ManageInvitations).await?;
    let found = within_reach(&act, actor.team_id, id).await?;
    delete(&act.tx, actor.team_id, id).await?;
    Ok(act.commit(Action::InvitationRevoked, None, told_of(&found)).await?)
}

/// The data that the audit records about an invitation: its id and its email address.
///
/// The address is stored with the personal data of the acting member, and is deleted together with
/// this data. It cannot be stored with the data of the invited user, because that user perhaps has
/// no account yet.
fn told_of(invitation: &Invitation) -> Detail {
    Detail::none().id("invitation", invitation.id).personal("email", invitation.email.as_str())
}

/// Deletes invitations that expired more than 30 days ago.
pub async fn sweep(db: &Db, now: UnixMillis) -> Result<(), DbErr> {
    let tx = tenant_scope::begin(db, TenantScope::Operator).await?;
    invitation::Entity::delete_many()
        .filter(invitation::Column::ExpiresAt.lt(now - millis(KEPT_EXPIRED)))
        .exec(&tx)
        .await?;
    tx.commit().await
}

/// Reads an invitation of the team. Refuses it if its role is above the caller's own role.
async fn within_reach(act: &TeamChange<'_>, team: Uuid, id: Uuid) -> Result<Invitation, Refusal> {
    let found = invitation::Entity::find_by_id(id)
        .filter(invitation::Column::TeamId.eq(team))
        .one(&act.tx)
        .await?
        .ok_or(Refusal::NotFound)?;
    match Role::from_name(&found.role) {
        Some(role) if role <= act.role => Ok(found),
        _ => Err(Refusal::Forbidden),
    }
}

/// Updates the row of an invitation that exists already.
async fn write(tx: &Transaction, invitation: Invitation) -> Result<(), DbErr> {
    let (team, id) = (invitation.team_id, invitation.id);
    let row = invitation.into_active_model().reset_all();
    invitation::Entity::update_many().set(row).filter(of(team, id)).exec(tx).await.map(drop)
}

/// Deletes an invitation of the team.
pub(super) async fn delete(tx: &Transaction, team: Uuid, id: Uuid) -> Result<(), DbErr> {
    invitation::Entity::delete_many().filter(of(team, id)).exec(tx).await.map(drop)
}

fn of(team: Uuid, id: Uuid) -> SimpleExpr {
    invitation::Column::TeamId.eq(team).and(invitation::Column::Id.eq(id))
}

/// Writes the mail to the outbox. Returns the invitation with its new inviter, digest and expiry.
/// The caller has locked the team.
async fn send(
    act: &TeamChange<'_>,
    cx: &ChangeContext<'_>,
    actor: Actor,
    invitation: Invitation,
    post: Post<'_>,
) -> Result<Invitation, Refusal> {
    let tx = &act.tx;
    admit(tx, &invitation, &post, cx.now).await?;
    // This check comes last, because it spends budgets that all teams share. So an invitation that
    // another check refuses spends nothing.
    post.admission.admit_invitation(tx, actor.user_id, &invitation.email_normal).await?;
    let inviter = user::Entity::find_by_id(actor.user_id).one(tx).await?;
    let team = team::Entity::find_by_id(actor.team_id).one(tx).await?;
    let (inviter, team) = inviter.zip(team).ok_or(Refusal::NotFound)?;
    let due = NewMail {
        user_id: actor.user_id,
        kind: LinkKind::Invitation,
        recipient: &invitation.email,
        data: MailData {
            inviter: Some(inviter.email),
            team: Some(team.name),
            role: Some(invitation.role.clone()),
            ..post.data
        },
        traceparent: post.traceparent,
    };
    let row = mail::enqueue(tx, due, cx.now).await?;
    let token = mailed_token(post.key, Kind::Invitation, &invitation.email, row);
    Ok(Invitation {
        invited_by: Some(actor.user_id),
        digest: secret::sha256(token.expose().as_bytes()),
        expires_at: cx.now + millis(INVITATION_TTL),
        ..invitation
    })
}

/// Refuses an invitation if its email address belongs to a member, if the team would exceed its
/// limit of members, or if the team has reached its limit of mails for today. Otherwise counts the
/// mail. The caller has locked the team.
async fn admit(
    tx: &Transaction,
    invitation: &Invitation,
    post: &Post<'_>,
    now: UnixMillis,
) -> Result<(), Refusal> {
    if is_member(tx, invitation).await? {
        let detail = "A user with this address is already a member of the team.";
        return Err(Refusal::Conflict(detail.to_owned()));
    }
    room_for_one_more(tx, invitation, now, post.members_max).await?;
    count_the_day(tx, invitation.team_id, now, post.per_day).await
}

async fn is_member(tx: &Transaction, invitation: &Invitation) -> Result<bool, DbErr> {
    let statement = Statement::from_sql_and_values(
        tx.get_database_backend(),
        "SELECT m.id FROM memberships m JOIN users u ON u.id = m.user_id \
         WHERE m.team_id = $1 AND u.email_normal = $2",
        [invitation.team_id.into(), invitation.email_normal.as_str().into()],
    );
    Ok(tx.query_one_raw(statement).await?.is_some())
}

/// Refuses an invitation if the team's members and its other open invitations together have reached
/// the limit.
async fn room_for_one_more(
    tx: &Transaction,
    invitation: &Invitation,
    now: UnixMillis,
    members_max: u64,
) -> Result<(), Refusal> {
    let members = members_of(tx, invitation.team_id).await?;
    let invited = invitation::Entity::find()
        .filter(invitation::Column::TeamId.eq(invitation.team_id))
        .filter(invitation::Column::Id.ne(invitation.id))
        .filter(invitation::Column::ExpiresAt.gt(now))
        .count(tx)
        .await?;
    if members + invited < members_max {
        return Ok(());
    }
    let detail = format!(
        "The team has {members} members and {invited} open invitations. Together there may be at most {members_max}."
    );
    Err(Refusal::Conflict(detail))
}

/// Counts the members of a team. The caller has locked the team.
pub(super) async fn members_of(tx: &Transaction, team: Uuid) -> Result<u64, DbErr> {
    membership::Entity::find().filter(membership::Column::TeamId.eq(team)).count(tx).await
}

/// Counts one mail against the team's limit for this day (UTC). Refuses the mail if the limit is
/// reached. The count is part of the transaction.
async fn count_the_day(
    tx: &Transaction,
    team: Uuid,
    now: UnixMillis,
    per_day: u32,
) -> Result<(), Refusal> {
    let today = now.div_euclid(DAY_MS);
    let statement = Statement::from_sql_and_values(
        tx.get_database_backend(),
        "UPDATE teams SET invited_count = CASE WHEN invited_day = $2 THEN invited_count + 1 ELSE 1 END, \
         invited_day = $2 WHERE id = $1 AND (invited_day <> $2 OR invited_count < $3)",
        [team.into(), today.into(), i64::from(per_day).into()],
    );
    if tx.execute_raw(statement).await?.rows_affected() > 0 {
        return Ok(());
    }
    let detail = format!(
        "The team has mailed {per_day} invitations today (UTC), which is the maximum. Try again tomorrow."
    );
    Err(Refusal::Conflict(detail))
}
