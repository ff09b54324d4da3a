//! The functions that list, create, change and delete the projects of a team.

use latchkey_entity::project;
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, ConnectionTrait, DbErr, EntityTrait as _,
    PaginatorTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, SqlErr,
};
use uuid::Uuid;

use super::change;
use super::{Actor, Permission, Refusal, Slug};
use crate::audit::ChangeContext;
use crate::audit::{Action, Detail};
use crate::database::tenant_scope::{self, TenantScope};
use crate::database::{Db, Transaction};
use crate::secret::uuid_v7;

pub use project::Model as Project;

/// Lists at most `limit` projects of a team, in the order of their ids, which is the order of
/// creation. The list begins after the id `after`.
pub async fn list(db: &Db, team: Uuid, after: Uuid, limit: u64) -> Result<Vec<Project>, DbErr> {
    let tx = tenant_scope::read(db, TenantScope::Team(team)).await?;
    let found = project::Entity::find()
        .filter(project::Column::TeamId.eq(team))
        .filter(project::Column::Id.gt(after))
        .order_by_asc(project::Column::Id)
        .limit(limit)
        .all(&tx)
        .await?;
    Ok(found)
}

pub async fn show(db: &Db, team: Uuid, id: Uuid) -> Result<Option<Project>, DbErr> {
    let tx = tenant_scope::read(db, TenantScope::Team(team)).await?;
    let found = find(&tx, team, id).await?;
    Ok(found)
}

/// Reads one project. The caller's transaction is inside the tenant scope of the team.
pub(super) async fn find<C: ConnectionTrait>(
    tx: &C,
    team: Uuid,
    id: Uuid,
) -> Result<Option<Project>, DbErr> {
    project::Entity::find_by_id(id).filter(project::Column::TeamId.eq(team)).one(tx).await
}

/// Creates a project. If no slug is given, the project gets a slug that is derived from its name.
pub async fn create(
    cx: &ChangeContext<'_>,
    actor: Actor,
    (name, slug): (&str, Option<Slug>),
    projects_max: u64,
) -> Result<Project, Refusal> {
    let act = change::begin(cx, actor, None, Permission::ManageProjects).await?;
    let of_team = project::Column::TeamId.eq(actor.team_id);
    if project::Entity::find().filter(of_team).count(&act.tx).await? >= projects_max {
        return Err(Refusal::Conflict(format!(
            "The team already has {projects_max} projects, which is the maximum."
        )));
    }
    let mut made = Project {
        id: uuid_v7(cx.now),
        team_id: actor.team_id,
        name: name.to_owned(),
        slug: String::new(),
        created_at: cx.now,
    };
    let wanted = slug.clone().unwrap_or_else(|| Slug::of_name(name, "project"));
    wanted.as_str().clone_into(&mut made.slug);
    if !insert(&act.tx, &made).await? {
        if slug.is_some() {
            return Err(slug_taken());
        }
        wanted.unique().as_str().clone_into(&mut made.slug);
        if !insert(&act.tx, &made).await? {
            return Err(DbErr::RecordNotInserted.into());
        }
    }
    act.commit(Action::ProjectCreated, None, Detail::none().id("project", made.id)).await?;
    Ok(made)
}

/// Inserts the row of a project. Returns false if the team already has a project with this slug.
async fn insert(tx: &Transaction, project: &Project) -> Result<bool, DbErr> {
    let row = project::ActiveModel {
        id: Set(project.id),
        team_id: Set(project.team_id),
        name: Set(project.name.clone()),
        slug: Set(project.slug.clone()),
        created_at: Set(project.created_at),
    };
    let slug = OnConflict::columns([project::Column::TeamId, project::Column::Slug]);
    let inserted = project::Entity::insert(row)
        .on_conflict(slug.clone().do_nothing().to_owned())
        .exec_without_returning(tx)
        .await?;
    Ok(inserted == 1)
}

/// Changes a project's name and slug.
pub async fn update(
    cx: &ChangeContext<'_>,
    actor: Actor,
    id: Uuid,
    (name, slug): (Option<&str>, Option<Slug>),
) -> Result<Project, Refusal> {
    let act = change::begin(cx, actor, None, Permission::ManageProjects).await?;
    let mut project = find(&act.tx, actor.team_id, id).await?.ok_or(Refusal::NotFound)?;
    let before = project.clone();
    if let Some(name) = name {
        name.clone_into(&mut project.name);
    }
    if let Some(slug) = slug {
        slug.as_str().clone_into(&mut project.slug);
    }
    if project == before {
        return Ok(project);
    }
    let changed = project::Entity::update_many()
        .set(project::ActiveModel {
            name: Set(project.name.clone()),
            slug: Set(project.slug.clone()),
            ..Default::default()
        })
        .filter(project::Column::Id.eq(id))
        .filter(project::Column::TeamId.eq(actor.team_id))
        .exec(&act.tx)
        .await;
    conflicts(changed)?;
    act.commit(Action::ProjectUpdated, None, Detail::none().id("project", id)).await?;
    Ok(project)
}

/// Deletes a project with its keys, if `name` is the name of the project. The sessions in this
/// project continue in another project of the team.
pub async fn delete(
    cx: &ChangeContext<'_>,
    actor: Actor,
    id: Uuid,
    name: &str,
) -> Result<(), Refusal> {
    let act = change::begin(cx, actor, None, Permission::ManageProjects).await?;
    let project = find(&act.tx, actor.team_id, id).await?.ok_or(Refusal::NotFound)?;
    if project.name != name {
        return Err(Refusal::OtherName);
    }
    project::Entity::delete_many()
        .filter(project::Column::Id.eq(id))
        .filter(project::Column::TeamId.eq(actor.team_id))
        .exec(&act.tx)
        .await?;
    Ok(act.commit(Action::ProjectDeleted, None, Detail::none().id("project", id)).await?)
}

pub(super) fn slug_taken() -> Refusal {
    Refusal::Conflict("The slug is already in use.".to_owned())
}

/// If the database reports that the slug is not unique, returns the refusal for a taken slug.
pub(super) fn conflicts<T>(changed: Result<T, DbErr>) -> Result<T, Refusal> {
    changed.map_err(|error| match error.sql_err() {
        Some(SqlErr::UniqueConstraintViolation(_)) => slug_taken(),
        _ => error.into(),
    })
}
