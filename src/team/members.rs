//! Members of a team: who they are, what role they have, how they go; and which team a person uses.
//!
//! Nobody touches somebody above, nobody gives a role above their own, and a team never is without an owner: each change
//! locks the team first, so that of two owners who step down at once one stays.

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

/// A member as the other members see them.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Member {
    /// The membership: what a page's cursor names.
    pub id: Uuid,
    pub user_id: Uuid,
    /// What they are called.
    pub name: String,
    /// Their address as typed.
    pub email: String,
    /// What they are in the team.
    pub role: String,
    /// `mep` of their vaultTokens: one with a lower one is out of date.
    pub epoch: i32,
    /// Since when.
    pub created_at: i64,
}

/// How a membership ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By the person.
    Left,
    /// By another one.
    Removed,
}

/// A team's members after the membership `after`, in the order of joining, `limit` at most.
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
    tx.commit().await?;
    Ok(found)
}

/// Gives a member another role; the membership's epoch tells verifiers that older tokens are out of date.
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

/// Ends a membership: one's own, or that of somebody not above.
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

/// The epoch of a membership that begins or changes now: the number of the event that tells of it, in the team's stream of
/// the audit. It is above whatever a membership of the team ever had, also one that ended, and asks neither a clock nor a
/// column of its own. The team is locked; its stream is from here on.
///
/// What ends a membership says it too: each token of that person in the team with a lower `mep` is out of date.
pub(super) async fn next_epoch(
    tx: &Transaction,
    cx: &ChangeContext<'_>,
    team: Uuid,
) -> Result<i32, DbErr> {
    let number = audit::next_in_team(tx, cx.chain, team, cx.now).await?;
    Ok(i32::try_from(number).unwrap_or(i32::MAX))
}

/// Remembers that a person uses this team, and this project where they chose one: what the next log-in gives.
///
/// One statement: a membership that ended meanwhile, or a project that is not the team's, is [`Refusal::NotFound`].
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

/// Refuses where the team has one owner alone. The team is locked.
async fn keep_an_owner(tx: &Transaction, team: Uuid) -> Result<(), Refusal> {
    let owners = membership::Entity::find()
        .filter(membership::Column::TeamId.eq(team))
        .filter(membership::Column::Role.eq(Role::Owner.name()))
        .count(tx)
        .await?;
    if owners > 1 {
        return Ok(());
    }
    let detail = "A team keeps at least one owner: make somebody else an owner first.";
    Err(Refusal::Conflict(detail.to_owned()))
}

fn of(team: Uuid, user_id: Uuid) -> sea_orm::sea_query::SimpleExpr {
    membership::Column::TeamId.eq(team).and(membership::Column::UserId.eq(user_id))
}
