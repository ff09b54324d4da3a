//! The default team, which a user gets when the email address is proven, and the teams that users
//! create, change and delete.

use std::collections::BTreeSet;

use latchkey_entity::{membership, project, team, user};
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, ConnectionTrait, DbErr, EntityTrait as _, FromQueryResult,
    PaginatorTrait as _, QueryFilter as _, QuerySelect as _, Statement,
};
use uuid::Uuid;

use super::change;
use super::projects::{conflicts, slug_taken};
use super::{Actor, Permission, Refusal, Role, Slug, TeamState};
use crate::audit::ChangeContext;
use crate::audit::{self, Action, Detail};
use crate::clock::UnixMillis;
use crate::database::tenant_scope::{self, TenantScope};
use crate::database::{Db, Transaction};
use crate::secret::uuid_v7;

/// Greatest length of a team's name in characters. A user's name has the same limit.
const NAME_CHARACTERS_MAX: usize = 100;

/// Creates a user's default team, with the user as its owner and with a default project. Returns
/// the ids of the team and the project. Runs in the caller's transaction, which is inside the
/// tenant scope of the new team after this call.
pub async fn create_default<C: ConnectionTrait>(
    tx: &C,
    user_id: Uuid,
    person_name: &str,
    now: UnixMillis,
) -> Result<(Uuid, Uuid), DbErr> {
    let suffix = "'s team";
    let kept: String = person_name.chars().take(NAME_CHARACTERS_MAX - suffix.len()).collect();
    let team = team::Model {
        id: uuid_v7(now),
        name: format!("{kept}{suffix}"),
        slug: default_slug(person_name).as_str().to_owned(),
        created_at: now,
        status: TeamState::Active,
        require_factor: false,
    };
    let Some(project_id) = insert(tx, &team, user_id).await? else {
        return Err(DbErr::RecordNotInserted);
    };
    Ok((team.id, project_id))
}

/// The slug of a user's default team. It consists of the letters and digits of the user's name as
/// one word, and a random part that makes the slug unique.
fn default_slug(person_name: &str) -> Slug {
    let letters: String =
        person_name.chars().filter(char::is_ascii_alphanumeric).take(24).collect();
    Slug::of_name(&letters, "team").unique()
}

/// Writes a team with its owner and its first project. Returns the project's id, or none if the
/// slug is taken.
async fn insert<C: ConnectionTrait>(
    tx: &C,
    made: &team::Model,
    owner: Uuid,
) -> Result<Option<Uuid>, DbErr> {
    tenant_scope::enter(tx, TenantScope::Team(made.id)).await?;
    let row = team::ActiveModel {
        id: Set(made.id),
        name: Set(made.name.clone()),
        slug: Set(made.slug.clone()),
        created_at: Set(made.created_at),
        status: Set(made.status),
        require_factor: Set(made.require_factor),
    };
    let taken = OnConflict::column(team::Column::Slug).do_nothing().to_owned();
    if team::Entity::insert(row).on_conflict(taken).exec_without_returning(tx).await? == 0 {
        return Ok(None);
    }
    let project_id = uuid_v7(made.created_at);
    let project = project::ActiveModel {
        id: Set(project_id),
        team_id: Set(made.id),
        name: Set("Default".to_owned()),
        slug: Set("default".to_owned()),
        created_at: Set(made.created_at),
    };
    let membership = membership::ActiveModel {
        id: Set(uuid_v7(made.created_at)),
        team_id: Set(made.id),
        user_id: Set(owner),
        role: Set(Role::Owner.name().to_owned()),
        epoch: Set(0),
        created_at: Set(made.created_at),
        last_used_at: Set(0),
        last_project_id: Set(None),
    };
    project::Entity::insert(project).exec_without_returning(tx).await?;
    membership::Entity::insert(membership).exec_without_returning(tx).await?;
    Ok(Some(project_id))
}

/// A team, with the data that a member of the team sees.
#[derive(Clone, Debug, FromQueryResult)]
pub struct MyTeam {
    pub id: Uuid,
    pub name: String,
    pub slug: String,
    /// The user's role in the team.
    pub role: String,
    pub created_at: i64,
    /// `active` or `disabled`.
    pub status: TeamState,
    /// Whether members need a session with two factors to use the team.
    pub require_factor: bool,
}

impl MyTeam {
    pub(super) fn of(team: team::Model, role: Role) -> Self {
        let team::Model { id, name, slug, created_at, status, require_factor } = team;
        let role = role.name().to_owned();
        Self { id, name, slug, role, created_at, status, require_factor }
    }
}

/// Lists at most `limit` teams of a user, in the order of their ids, which is the order of
/// creation. The list begins after the id `after`.
pub async fn of_user(
    db: &Db,
    user_id: Uuid,
    after: Uuid,
    limit: u64,
) -> Result<Vec<MyTeam>, DbErr> {
    let tx = tenant_scope::read(db, TenantScope::Person(user_id)).await?;
    let statement = Statement::from_sql_and_values(
        db.backend(),
        "SELECT t.id, t.name, t.slug, m.role, t.created_at, t.status, t.require_factor FROM memberships m JOIN teams t ON t.id = m.team_id \
         WHERE m.user_id = $1 AND t.id > $2 ORDER BY t.id LIMIT $3",
        [user_id.into(), after.into(), i64::try_from(limit).unwrap_or(i64::MAX).into()],
    );
    let found = MyTeam::find_by_statement(statement).all(&tx).await?;
    Ok(found)
}

/// Creates a team with a first project. The user becomes the owner of the team. If no slug is
/// given, the team gets a slug that is derived from its name.
pub async fn create(
    cx: &ChangeContext<'_>,
    user_id: Uuid,
    (name, slug): (&str, Option<Slug>),
    teams_max: u64,
) -> Result<MyTeam, Refusal> {
    let tx = tenant_scope::begin(cx.db, TenantScope::Person(user_id)).await?;
    // The user's row is locked, so that two calls at the same time cannot together exceed the limit
    // of teams.
    if user::Entity::find_by_id(user_id).lock_exclusive().one(&tx).await?.is_none() {
        return Err(Refusal::NotFound);
    }
    room_for_one_more(&tx, user_id, teams_max).await?;
    let wanted = slug.clone().unwrap_or_else(|| Slug::of_name(name, "team"));
    let mut team = team::Model {
        id: uuid_v7(cx.now),
        name: name.to_owned(),
        slug: wanted.as_str().to_owned(),
        created_at: cx.now,
        status: TeamState::Active,
        require_factor: false,
    };
    if insert(&tx, &team, user_id).await?.is_none() {
        if slug.is_some() {
            return Err(slug_taken());
        }
        wanted.unique().as_str().clone_into(&mut team.slug);
        if insert(&tx, &team, user_id).await?.is_none() {
            return Err(DbErr::RecordNotInserted.into());
        }
    }
    let actor = audit::Actor::Person(user_id);
    cx.record_in_team(&tx, Action::TeamCreated, actor, team.id, Detail::none()).await?;
    tx.commit().await?;
    Ok(MyTeam::of(team, Role::Owner))
}

/// Refuses if the user already belongs to the maximum number of teams. The caller has locked the
/// user's row, and the transaction is inside the user's tenant scope.
pub(super) async fn room_for_one_more(
    tx: &Transaction,
    user_id: Uuid,
    teams_max: u64,
) -> Result<(), Refusal> {
    let mine = membership::Entity::find().filter(membership::Column::UserId.eq(user_id));
    if mine.count(tx).await? < teams_max {
        return Ok(());
    }
    Err(Refusal::Conflict(format!("You are already in {teams_max} teams, which is the maximum.")))
}

/// Reads a team for a member with this role.
pub async fn show(db: &Db, team_id: Uuid, role: Role) -> Result<Option<MyTeam>, DbErr> {
    let tx = tenant_scope::read(db, TenantScope::Team(team_id)).await?;
    let found = team::Entity::find_by_id(team_id).one(&tx).await?;
    Ok(found.map(|team| MyTeam::of(team, role)))
}

/// The changes of a team. A value that is none stays as it is.
#[derive(Clone, Debug, Default)]
pub struct TeamUpdate {
    pub name: Option<String>,
    pub slug: Option<Slug>,
    /// Whether members need a session with two factors to use the team. Only an owner can change
    /// this.
    pub require_factor: Option<bool>,
}

impl TeamUpdate {
    /// The permission that the changes need.
    pub const fn permission(&self) -> Permission {
        if self.require_factor.is_some() {
            Permission::RequireFactor
        } else {
            Permission::ManageTeam
        }
    }
}

/// Changes a team.
pub async fn update(
    cx: &ChangeContext<'_>,
    actor: Actor,
    update: TeamUpdate,
) -> Result<MyTeam, Refusal> {
    let act = change::begin(cx, actor, None, update.permission()).await?;
    let before = find(&act.tx, actor.team_id).await?;
    let mut team = before.clone();
    team.name = update.name.unwrap_or(team.name);
    if let Some(slug) = update.slug {
        slug.as_str().clone_into(&mut team.slug);
    }
    team.require_factor = update.require_factor.unwrap_or(team.require_factor);
    if team == before {
        return Ok(MyTeam::of(team, act.role));
    }
    let changed = team::Entity::update_many()
        .set(team::ActiveModel {
            name: Set(team.name.clone()),
            slug: Set(team.slug.clone()),
            require_factor: Set(team.require_factor),
            ..Default::default()
        })
        .filter(team::Column::Id.eq(actor.team_id))
        .exec(&act.tx)
        .await;
    conflicts(changed)?;
    let role = act.role;
    let detail = match (before.require_factor, team.require_factor) {
        (false, true) => Detail::none().word("factor", "required"),
        (true, false) => Detail::none().word("factor", "not-required"),
        _ => Detail::none(),
    };
    act.commit(Action::TeamUpdated, None, detail).await?;
    Ok(MyTeam::of(team, role))
}

/// Deletes a team with all its data, if `name` is the name of the team. The sessions in this team
/// continue in another team of their user.
pub async fn delete_confirmed(
    cx: &ChangeContext<'_>,
    actor: Actor,
    name: &str,
) -> Result<(), Refusal> {
    let act = change::begin(cx, actor, None, Permission::DeleteTeam).await?;
    if find(&act.tx, actor.team_id).await?.name != name {
        return Err(Refusal::OtherName);
    }
    delete(&act.tx, actor.team_id).await?;
    Ok(act.commit(Action::TeamDeleted, None, Detail::none()).await?)
}

async fn find(tx: &Transaction, team_id: Uuid) -> Result<team::Model, Refusal> {
    team::Entity::find_by_id(team_id).one(tx).await?.ok_or(Refusal::NotFound)
}

/// What the deletion of a user means for the user's teams.
#[derive(Debug, PartialEq, Eq)]
pub enum Leaving {
    /// The user can be deleted. These are all of the user's teams, in the order of ids.
    Free(Vec<Left>),
    /// The user cannot be deleted. The user is the only owner of the teams with these names, and
    /// they have other members.
    OwnedWithOthers(Vec<String>),
}

/// A team that the user leaves because of the deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    pub team_id: Uuid,
    /// Whether the team has no other member. It is then deleted together with the user.
    pub ends: bool,
}

#[derive(FromQueryResult)]
struct Company {
    name: String,
    is_owner: i64,
    others: i64,
    other_owners: i64,
}

/// Finds out which teams are deleted together with a user, or which teams prevent the deletion of
/// the user.
///
/// Locks every team of the user and every team in `others`, in the order of the team ids. So no
/// team can lose its other owner in the meantime. The caller has locked the user's row, so the user
/// cannot join another team in the meantime.
pub async fn leaving<C: ConnectionTrait>(
    tx: &C,
    user_id: Uuid,
    others: &[Uuid],
) -> Result<Leaving, DbErr> {
    tenant_scope::enter(tx, TenantScope::Person(user_id)).await?;
    let mine: Vec<Uuid> = membership::Entity::find()
        .select_only()
        .column(membership::Column::TeamId)
        .filter(membership::Column::UserId.eq(user_id))
        .into_tuple()
        .all(tx)
        .await?;
    let (mut left, mut held) = (Vec::new(), Vec::new());
    let all: BTreeSet<Uuid> = mine.iter().chain(others).copied().collect();
    for team_id in all {
        tenant_scope::enter(tx, TenantScope::Team(team_id)).await?;
        if !mine.contains(&team_id) {
            team::Entity::find_by_id(team_id).lock_exclusive().one(tx).await?;
            continue;
        }
        change::lock_role(tx, Actor { team_id, user_id }).await?;
        let Some(team) = company(tx, team_id, user_id).await? else { continue };
        left.push(Left { team_id, ends: team.others == 0 });
        if team.others > 0 && team.is_owner > 0 && team.other_owners == 0 {
            held.push(team.name);
        }
    }
    Ok(if held.is_empty() { Leaving::Free(left) } else { Leaving::OwnedWithOthers(held) })
}

async fn company<C: ConnectionTrait>(
    tx: &C,
    team_id: Uuid,
    user_id: Uuid,
) -> Result<Option<Company>, DbErr> {
    let statement = Statement::from_sql_and_values(
        tx.get_database_backend(),
        "SELECT t.name, \
         (SELECT COUNT(*) FROM memberships o WHERE o.team_id = t.id AND o.user_id = $2 AND o.role = 'owner') AS is_owner, \
         (SELECT COUNT(*) FROM memberships o WHERE o.team_id = t.id AND o.user_id <> $2) AS others, \
         (SELECT COUNT(*) FROM memberships o WHERE o.team_id = t.id AND o.user_id <> $2 AND o.role = 'owner') \
         AS other_owners FROM teams t WHERE t.id = $1",
        [team_id.into(), user_id.into()],
    );
    Company::find_by_statement(statement).one(tx).await
}

/// Deletes a team with all its data. Runs in the caller's transaction, which is inside the tenant
/// scope of the team after this call.
pub async fn delete<C: ConnectionTrait>(tx: &C, team_id: Uuid) -> Result<(), DbErr> {
    tenant_scope::enter(tx, TenantScope::Team(team_id)).await?;
    team::Entity::delete_by_id(team_id).exec(tx).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_plain_and_never_twice_the_same() {
        let slug = |name: &str| default_slug(name).as_str().to_owned();
        assert!(slug("Ada Löve-lace").starts_with("adalvelace-"));
        assert!(slug("张伟").starts_with("team-"));
        assert_ne!(slug("Ada"), slug("Ada"));
    }
}
