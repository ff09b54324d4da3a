//! The operator's commands for teams. They run in the process of the command line, also while
//! daemons run.
//!
//! An operator who runs a command has access to the database, so these functions check no
//! permission.

use latchkey_entity::{invitation, membership, project, project_key, team, user};
use sea_orm::sea_query::{Expr, ExprTrait as _, Func};
use sea_orm::{
    ColumnTrait as _, DbErr, EntityTrait as _, PaginatorTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _, QueryTrait as _,
};
use uuid::Uuid;

use super::TeamState;
use super::{Role, Slug};
use crate::audit::{Action, Actor, ChangeContext, Changed, Detail};
use crate::clock::UnixMillis;
use crate::database::tenant_scope::{self, TenantScope};
use crate::database::{Db, containing};

pub use team::Model as Team;

/// The id or the slug by which an operator identifies a team.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    Id(Uuid),
    Slug(Slug),
}

impl std::str::FromStr for Which {
    type Err = String;

    /// Reads an id or a slug.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        let slug = Slug::parse(text).map(Self::Slug);
        slug.map_err(|error| format!("neither the id of a team nor a slug: {error}"))
    }
}

/// Selects the teams to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// A part of the slug or of the name. Upper and lower case count as the same.
    pub search: Option<String>,
    /// Only teams in this state.
    pub status: Option<TeamState>,
}

/// Lists at most `limit` teams, in the order of their ids, which is the order of creation. The list
/// begins after the id `after`.
pub async fn list(db: &Db, filter: &Filter, after: Uuid, limit: u64) -> Result<Vec<Team>, DbErr> {
    let tx = tenant_scope::read(db, TenantScope::Operator).await?;
    let mut query = team::Entity::find().filter(team::Column::Id.gt(after));
    if let Some(part) = &filter.search {
        let name = Expr::expr(Func::lower(Expr::col(team::Column::Name))).like(containing(part));
        query = query.filter(Expr::col(team::Column::Slug).like(containing(part)).or(name));
    }
    if let Some(status) = filter.status {
        query = query.filter(team::Column::Status.eq(status));
    }
    let found = query.order_by_asc(team::Column::Id).limit(limit).all(&tx).await?;
    tx.commit().await?;
    Ok(found)
}

/// A team, with the numbers that the command line shows.
#[derive(Clone, Debug)]
pub struct Census {
    pub team: Team,
    pub members: u64,
    /// The number of members without a second factor.
    pub members_without_factor: u64,
    /// The number of open invitations.
    pub invitations: u64,
    pub projects: u64,
    /// The number of keys in all projects of the team.
    pub keys: u64,
    /// The id and the email address of each owner.
    pub owners: Vec<(Uuid, String)>,
}

pub async fn show(db: &Db, which: &Which, now: UnixMillis) -> Result<Option<Census>, DbErr> {
    let tx = tenant_scope::read(db, TenantScope::Operator).await?;
    let Some(team) = by(which).one(&tx).await? else { return Ok(None) };
    let members = membership::Entity::find().filter(membership::Column::TeamId.eq(team.id));
    let owners: Vec<Uuid> = members
        .clone()
        .filter(membership::Column::Role.eq(Role::Owner.name()))
        .order_by_asc(membership::Column::Id)
        .select_only()
        .column(membership::Column::UserId)
        .into_tuple()
        .all(&tx)
        .await?;
    let owners = user::Entity::find().filter(user::Column::Id.is_in(owners));
    let ids = members.clone().select_only().column(membership::Column::UserId).into_query();
    let without_factor = user::Entity::find()
        .filter(user::Column::FactorCount.eq(0))
        .filter(user::Column::Id.in_subquery(ids));
    let projects = project::Entity::find().filter(project::Column::TeamId.eq(team.id));
    let keys = project_key::Entity::find().filter(project_key::Column::TeamId.eq(team.id));
    let invitations = invitation::Entity::find()
        .filter(invitation::Column::TeamId.eq(team.id))
        .filter(invitation::Column::ExpiresAt.gt(now));
    let census = Census {
        members: members.count(&tx).await?,
        members_without_factor: without_factor.count(&tx).await?,
        invitations: invitations.count(&tx).await?,
        projects: projects.count(&tx).await?,
        keys: keys.count(&tx).await?,
        owners: owners.all(&tx).await?.into_iter().map(|owner| (owner.id, owner.email)).collect(),
        team,
    };
    tx.commit().await?;
    Ok(Some(census))
}

/// Disables or enables a team. Every check of a token of this team reads the state. So the change
/// takes effect at once on every node.
pub async fn set_state(
    cx: &ChangeContext<'_>,
    which: &Which,
    state: TeamState,
) -> Result<Changed, DbErr> {
    let tx = tenant_scope::begin(cx.db, TenantScope::Operator).await?;
    let Some(team) = by(which).lock_exclusive().one(&tx).await? else { return Ok(Changed::Gone) };
    if team.status == state {
        return Ok(Changed::Already(team.id));
    }
    team::Entity::update_many()
        .col_expr(team::Column::Status, Expr::value(state))
        .filter(team::Column::Id.eq(team.id))
        .exec(&tx)
        .await?;
    let action = match state {
        TeamState::Active => Action::TeamEnabled,
        TeamState::Disabled => Action::TeamDisabled,
    };
    cx.record_in_team(&tx, action, Actor::Operator, team.id, Detail::none()).await?;
    tx.commit().await?;
    Ok(Changed::Now(team.id))
}

fn by(which: &Which) -> sea_orm::Select<team::Entity> {
    match which {
        Which::Id(id) => team::Entity::find_by_id(*id),
        Which::Slug(slug) => team::Entity::find().filter(team::Column::Slug.eq(slug.as_str())),
    }
}
