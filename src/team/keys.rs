//! Project keys, which are service accounts. Members create and revoke project keys with this
//! module. Programs authenticate with project keys (see [`KnownKey`]).
//!
//! A key belongs to its project, not to its creator. So the key stays valid when the creator leaves
//! the team. The scopes of a key are fixed at its creation, and no scope is above the creator's own
//! role. Revoking a key deletes its row. Then the tokens of the key are also invalid.

use latchkey_entity::project_key::{ActiveModel, Column, Entity};
use sea_orm::sea_query::{Expr, ExprTrait as _};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, DbErr, EntityTrait as _, FromQueryResult,
    PaginatorTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, Statement,
};
use uuid::Uuid;

use super::TeamState;
use super::change;
use super::key_text::{self, KeyText};
use super::roles::SCOPES;
use super::{Actor, Permission, Refusal, projects};
use crate::audit::ChangeContext;
use crate::audit::{Action, Detail};
use crate::clock::UnixMillis;
use crate::database::Db;
use crate::database::tenant_scope::{self, TenantScope};
use crate::secret::{self, Secret, uuid_v7};

pub use latchkey_entity::project_key::Model as ProjectKey;

/// The time in which the use of a key is recorded at most once. So a key that is used a thousand
/// times a second does not cause a thousand writes a second.
const USE_EVERY_MS: i64 = 60_000;

#[derive(Clone, Debug)]
pub struct NewKey {
    pub name: String,
    /// The names of the scopes, as in the table [`SCOPES`] and in the order of that table.
    pub scopes: Vec<&'static str>,
    /// When the key expires. None means that it never expires.
    pub expires_at: Option<UnixMillis>,
}

/// Lists at most `limit` keys of a project, in the order of their ids, which is the order of
/// creation. The list begins after the id `after`. Returns none if the team has no such project.
pub async fn list(
    db: &Db,
    team: Uuid,
    project: Uuid,
    after: Uuid,
    limit: u64,
) -> Result<Option<Vec<ProjectKey>>, DbErr> {
    let tx = tenant_scope::read(db, TenantScope::Team(team)).await?;
    if projects::find(&tx, team, project).await?.is_none() {
        return Ok(None);
    }
    let found = Entity::find()
        .filter(of(team, project))
        .filter(Column::Id.gt(after))
        .order_by_asc(Column::Id)
        .limit(limit)
        .all(&tx)
        .await?;
    tx.commit().await?;
    Ok(Some(found))
}

/// Creates a key, and returns its text. The text is not stored, so it cannot be shown again.
pub async fn create(
    cx: &ChangeContext<'_>,
    actor: Actor,
    project: Uuid,
    key: NewKey,
    keys_max: u64,
) -> Result<(ProjectKey, Secret<String>), Refusal> {
    let act = change::begin(cx, actor, None, Permission::ManageKeys).await?;
    if projects::find(&act.tx, actor.team_id, project).await?.is_none() {
        return Err(Refusal::NotFound);
    }
    let may =
        |scope: &&str| SCOPES.iter().any(|(name, _, least)| name == scope && act.role >= *least);
    if !key.scopes.iter().all(may) {
        return Err(Refusal::Forbidden);
    }
    if Entity::find().filter(Column::TeamId.eq(actor.team_id)).count(&act.tx).await? >= keys_max {
        let detail = format!(
            "The team already has {keys_max} keys, which is the maximum. Revoke a key first."
        );
        return Err(Refusal::Conflict(detail));
    }
    let id = uuid_v7(cx.now);
    let text = key_text::make(id);
    let made = ProjectKey {
        id,
        team_id: actor.team_id,
        project_id: project,
        name: key.name,
        scopes: key.scopes.join(" "),
        digest: secret::sha256(text.expose().as_bytes()),
        created_by: Some(actor.user_id),
        created_at: cx.now,
        expires_at: key.expires_at,
        last_used_at: None,
    };
    let row = ActiveModel {
        id: Set(made.id),
        team_id: Set(made.team_id),
        project_id: Set(made.project_id),
        name: Set(made.name.clone()),
        scopes: Set(made.scopes.clone()),
        digest: Set(made.digest.clone()),
        created_by: Set(made.created_by),
        created_at: Set(made.created_at),
        expires_at: Set(made.expires_at),
        last_used_at: Set(None),
    };
    Entity::insert(row).exec_without_returning(&act.tx).await?;
    let detail = Detail::none().id("key", id).id("project", project);
    act.commit(Action::ProjectKeyCreated, None, detail).await?;
    Ok((made, text))
}

/// Revokes a key. The key and its tokens are invalid from now on.
pub async fn revoke(
    cx: &ChangeContext<'_>,
    actor: Actor,
    project: Uuid,
    id: Uuid,
) -> Result<(), Refusal> {
    let act = change::begin(cx, actor, None, Permission::ManageKeys).await?;
    let revoked = Entity::delete_many()
        .filter(of(actor.team_id, project))
        .filter(Column::Id.eq(id))
        .exec(&act.tx)
        .await?;
    if revoked.rows_affected == 0 {
        return Err(Refusal::NotFound);
    }
    let detail = Detail::none().id("key", id).id("project", project);
    Ok(act.commit(Action::ProjectKeyRevoked, None, detail).await?)
}

fn of(team: Uuid, project: Uuid) -> sea_orm::sea_query::SimpleExpr {
    Column::TeamId.eq(team).and(Column::ProjectId.eq(project))
}

/// A key that is valid now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownKey {
    pub id: Uuid,
    pub team_id: Uuid,
    pub project_id: Uuid,
    pub scopes: Vec<&'static str>,
    /// When the key expires. None means that it never expires.
    pub expires_at: Option<UnixMillis>,
    last_used_at: Option<UnixMillis>,
}

#[derive(FromQueryResult)]
struct Row {
    team_id: Uuid,
    project_id: Uuid,
    scopes: String,
    digest: String,
    expires_at: Option<i64>,
    last_used_at: Option<i64>,
    team_status: TeamState,
    revoked: i64,
}

/// `$1` is the id of the key, and `$2` is the `jti` of one of its tokens. On PostgreSQL a database
/// function does the same lookup. It opens the tenant scope only for this key
/// (`migration/src/baseline/row_security.rs`).
macro_rules! select {
    ($from:literal) => {
        concat!(
            "SELECT k.team_id, k.project_id, k.scopes, k.digest, k.expires_at, k.last_used_at, team_status, \
             (SELECT COUNT(*) FROM revoked_tokens r WHERE r.jti = $2) AS revoked FROM ",
            $from
        )
    };
}
const ON_SQLITE: &str = select!(
    "(SELECT x.*, t.status AS team_status FROM project_keys x JOIN teams t ON t.id = x.team_id WHERE x.id = $1) k"
);
const ON_POSTGRES: &str = select!("latchkey_project_key($1) k");

impl KnownKey {
    /// Returns the key whose text a program has sent. Returns none if there is no such key, if the
    /// secret is wrong, if the key has expired, or if its team is disabled. The digests of the
    /// texts are compared, in constant time.
    pub async fn shown(db: &Db, text: &KeyText, now: UnixMillis) -> Result<Option<Self>, DbErr> {
        let row = look(db, text.id, "").await?;
        let is_it = |row: &Row| secret::equal(row.digest.as_bytes(), text.digest.as_bytes());
        Ok(row.filter(is_it).and_then(|row| Self::live(text.id, &row, now)))
    }

    /// Returns the key to which a token belongs. Returns none if the key is no longer valid or the
    /// token was revoked.
    pub async fn behind(
        db: &Db,
        id: Uuid,
        jti: &str,
        now: UnixMillis,
    ) -> Result<Option<Self>, DbErr> {
        let row = look(db, id, jti).await?.filter(|row| row.revoked == 0);
        Ok(row.and_then(|row| Self::live(id, &row, now)))
    }

    fn live(id: Uuid, row: &Row, now: UnixMillis) -> Option<Self> {
        let expired = row.expires_at.is_some_and(|at| at <= now);
        let active = row.team_status == TeamState::Active;
        (active && !expired).then(|| Self {
            id,
            team_id: row.team_id,
            project_id: row.project_id,
            scopes: scopes(&row.scopes),
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
        })
    }

    /// Records that the key was used, at most once a minute.
    pub async fn used(&self, db: &Db, now: UnixMillis) -> Result<(), DbErr> {
        let before = now - USE_EVERY_MS;
        if self.last_used_at.is_some_and(|at| at > before) {
            return Ok(());
        }
        let tx = tenant_scope::begin(db, TenantScope::Team(self.team_id)).await?;
        // If two daemons want to record the use at the same time, only one of them writes.
        Entity::update_many()
            .col_expr(Column::LastUsedAt, Expr::value(now))
            .filter(of(self.team_id, self.project_id))
            .filter(Column::Id.eq(self.id))
            .filter(Column::LastUsedAt.is_null().or(Column::LastUsedAt.lte(before)))
            .exec(&tx)
            .await?;
        tx.commit().await
    }
}

async fn look(db: &Db, id: Uuid, jti: &str) -> Result<Option<Row>, DbErr> {
    let sql = if db.is_postgres() { ON_POSTGRES } else { ON_SQLITE };
    let statement = Statement::from_sql_and_values(db.backend(), sql, [id.into(), jti.into()]);
    Row::find_by_statement(statement).one(db.reader()).await
}

/// Reads a list of scopes. Returns the scopes that are in [`SCOPES`], each once and in the order of
/// that table.
pub fn scopes(list: &str) -> Vec<&'static str> {
    let named = |name: &str| list.split(' ').any(|word| word == name);
    SCOPES.iter().map(|(name, _, _)| *name).filter(|name| named(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::team::Role;

    #[test]
    fn scopes_are_read_in_the_order_of_the_table_and_unknown_ones_are_none() {
        assert_eq!(scopes("team:own vault:read vault:read root"), ["vault:read", "team:own"]);
        assert!(scopes("").is_empty() && scopes("vault").is_empty());
        assert_eq!(
            scopes(&super::super::roles::scope_of(Role::Member)),
            ["vault:read", "vault:write"]
        );
    }
}
