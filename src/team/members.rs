//! The functions that list, change and remove the members of a team. One more function stores which
//! team a user has chosen.
//!
//! A member cannot change another member who has a higher role, and cannot give a role above their
//! own. A team always has an owner. Each change locks the team first. So if the last two owners
//! give up their role at the same time, only one of them succeeds.

use std::cmp::max;

use latchkey_entity::{membership, project};
use sea_orm::sea_query::{Expr, ExprTrait as _};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, ConnectionTrait, DbErr, EntityTrait as _, FromQueryResult,
    PaginatorTrait as _, QueryFilter as _, Statement,
};
use uuid::Uuid;

use super::change;
use super::{Actor, Permission, Refusal, Role};
use crate::audit::ChangeContext;
use crate::audit::{self, Action, Detail};
use crate::clock::UnixMillis;
use crate::database::tenant_scope::{self, TenantScope};
use crate::database::{Db, Transaction};

/// A member, with the data that the other members see.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Member {
    /// The id of the membership. It is the cursor for pages of the list.
    pub id: Uuid,
    pub user_id: Uuid,
    pub name: String,
    /// The email address as typed.
    pub email: String,
    pub role: String,
    /// The epoch of the membership. It is the claim `mep` of the member's vaultTokens. A vaultToken
    /// with a lower `mep` is out of date.
    pub epoch: i32,
    /// When the membership began.
    pub created_at: i64,
}

/// How a membership ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The member left the team.
    Left,
    /// Another member removed this member.
    Removed,
}

/// Lists at most `limit` members of a team, in the order in which they joined. The list begins
/// after the membership with the id `after`.
pub async fn list(db: &Db, team: Uuid, after: Uuid, limit: u64) -> Result<Vec<Member>, DbErr> {
    let tx = tenant_scope::read(db, TenantScope::Team(team)).await?;
    let values = [team.into(), after.into(), i64::try_from(limit).unwrap_or(i64::MAX).into()];
    let statement = Statement::from_sql_and_values(
        tx.get_database_backend(),
        "SELECT m.id, m.user_id, u.name, u.email, m.role, m.epoch, m.created_at FROM memberships m \
         JOIN users u ON u.id = m.user_id WHERE m.team_id = $1 AND m.id > $2 ORDER BY m.id LIMIT $3",
        values,
    );
    let found = Member::find_by_statement(statement).all(&tx).await?;
    Ok(found)
}

/// Gives a member another role. The epoch of the membership rises, which shows resource servers
/// that the tokens with a lower epoch are out of date.
pub async fn change_role(
    cx: &ChangeContext<'_>,
    actor: Actor,
    user_id: Uuid,
    role: Role,
) -> Result<Member, Refusal> {
    let act = change::begin(cx, actor, Some(user_id), Permission::ManageMembers).await?;
    let (tx, team) = (&act.tx, actor.team_id);
    let mut member = find(tx, team, user_id).await?.ok_or(Refusal::NotFound)?;
    let before = Role::from_name(&member.role).ok_or(Refusal::Forbidden)?;
    if before > act.role || role > act.role {
        return Err(Refusal::Forbidden);
    }
    if before == role {
        return Ok(member);
    }
    if before == Role::Owner {
        keep_an_owner(tx, team).await?;
    }
    role.name().clone_into(&mut member.role);
    member.epoch = max(next_epoch(tx, cx, team).await?, member.epoch.saturating_add(1));
    membership::Entity::update_many()
        .set(membership::ActiveModel {
            role: Set(member.role.clone()),
            epoch: Set(member.epoch),
            ..Default::default()
        })
        .filter(of(team, user_id))
        .exec(tx)
        .await?;
    let detail = Detail::none().word("from", before.name()).word("to", role.name());
    let detail = detail.number("epoch", member.epoch.into());
    act.commit(Action::MemberRoleChanged, Some(user_id), detail).await?;
    Ok(member)
}

/// Ends a membership. It is the caller's own membership, or that of a member whose role is not
/// above the caller's role.
pub async fn remove(cx: &ChangeContext<'_>, actor: Actor, user_id: Uuid) -> Result<Ended, Refusal> {
    let is_self = user_id == actor.user_id;
    let needed = if is_self { Permission::LeaveTeam } else { Permission::ManageMembers };
    let act = change::begin(cx, actor, Some(user_id), needed).await?;
    let (tx, team) = (&act.tx, actor.team_id);
    let member = find(tx, team, user_id).await?.ok_or(Refusal::NotFound)?;
    let role = Role::from_name(&member.role).ok_or(Refusal::Forbidden)?;
    if role > act.role {
        return Err(Refusal::Forbidden);
    }
    if role == Role::Owner {
        keep_an_owner(tx, team).await?;
    }
    let epoch = max(next_epoch(tx, cx, team).await?, member.epoch.saturating_add(1));
    membership::Entity::delete_many().filter(of(team, user_id)).exec(tx).await?;
    let (ended, action) = if is_self {
        (Ended::Left, Action::MemberLeft)
    } else {
        (Ended::Removed, Action::MemberRemoved)
    };
    let detail = Detail::none().word("role", role.name()).number("epoch", epoch.into());
    act.commit(action, Some(user_id), detail).await?;
    Ok(ended)
}

/// Returns the epoch of a membership that begins or changes now. The epoch is the number that the
/// audit event of this change has in the team's audit stream.
///
/// This number is higher than every epoch that a membership of this team ever had, even a
/// membership that has ended. No clock and no separate column is needed for it. The caller has
/// locked the team. This function locks the audit stream until the transaction ends.
///
/// The audit event that ends a membership also has such a number. Every token of that user in the
/// team whose `mep` is lower than this number is out of date.
pub(super) async fn next_epoch(
    tx: &Transaction,
    cx: &ChangeContext<'_>,
    team: Uuid,
) -> Result<i32, DbErr> {
    let number = audit::next_in_team(tx, cx.chain, team, cx.now).await?;
    Ok(i32::try_from(number).unwrap_or(i32::MAX))
}

/// Stores that the user has chosen this team, and this project if one is given. The user's next
/// login opens a session in this team and project.
///
/// The choice is stored by one statement. Returns [`Refusal::NotFound`] if the membership has ended
/// in the meantime, or if the project does not belong to the team.
pub async fn choose(
    db: &Db,
    actor: Actor,
    project: Option<Uuid>,
    now: UnixMillis,
) -> Result<(), Refusal> {
    let tx = tenant_scope::begin(db, TenantScope::Team(actor.team_id)).await?;
    let mut choice = membership::Entity::update_many()
        .col_expr(membership::Column::LastUsedAt, Expr::value(now))
        .filter(of(actor.team_id, actor.user_id));
    if let Some(id) = project {
        let of_team = project::Entity::find()
            .filter(project::Column::Id.eq(id))
            .filter(project::Column::TeamId.eq(actor.team_id));
        choice = choice
            .col_expr(membership::Column::LastProjectId, Expr::value(id))
            .filter(Expr::exists(sea_orm::QueryTrait::into_query(of_team)));
    }
    if choice.exec(&tx).await?.rows_affected == 0 {
        return Err(Refusal::NotFound);
    }
    Ok(tx.commit().await?)
}

async fn find<C: ConnectionTrait>(
    tx: &C,
    team: Uuid,
    user_id: Uuid,
) -> Result<Option<Member>, DbErr> {
    let statement = Statement::from_sql_and_values(
        tx.get_database_backend(),
        "SELECT m.id, m.user_id, u.name, u.email, m.role, m.epoch, m.created_at FROM memberships m \
         JOIN users u ON u.id = m.user_id WHERE m.team_id = $1 AND m.user_id = $2",
        [team.into(), user_id.into()],
    );
    Member::find_by_statement(statement).one(tx).await
}

/// Refuses a change that takes the owner role from the team's only owner. The caller has locked the
/// team.
async fn keep_an_owner(tx: &Transaction, team: Uuid) -> Result<(), Refusal> {
    let owners = membership::Entity::find()
        .filter(membership::Column::TeamId.eq(team))
        .filter(membership::Column::Role.eq(Role::Owner.name()))
        .count(tx)
        .await?;
    if owners > 1 {
        return Ok(());
    }
    let detail = "A team needs at least one owner. Make another member an owner first.";
    Err(Refusal::Conflict(detail.to_owned()))
}

fn of(team: Uuid, user_id: Uuid) -> sea_orm::sea_query::SimpleExpr {
    membership::Column::TeamId.eq(team).and(membership::Column::UserId.eq(user_id))
}
