//! Where a transaction stands: inside one team, with one person, or above all.
//!
//! On PostgreSQL row-level security reads it (`latchkey.team` and its kin, set for the transaction alone) and hides every
//! other row, from the tables' owner too; with nothing said there is nothing. It is the second wall: each query names its
//! team all the same, and on SQLite that is the only one. The policies are in the migration `000004_tenancy`.

use latchkey_entity::user;
use sea_orm::sea_query::LockType;
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, DatabaseBackend, DbErr, EntityTrait as _, FromQueryResult,
    QueryFilter as _, QueryOrder as _, QuerySelect as _, Statement,
};
use uuid::Uuid;

use super::teams::TeamStatus;
use super::{Actor, Desk, Permission, Refusal, Role};
use crate::audit::{self, Action, Detail, Event, Outcome};
use crate::database::{Db, Transaction};

/// What a transaction may see of the tables of tenancy.
#[derive(Clone, Copy, Debug)]
pub enum Scope<'a> {
    /// Everything of one team.
    Team(Uuid),
    /// The teams, projects and memberships that are a person's; to read.
    Person(Uuid),
    /// The invitation whose token has this digest; to read.
    Invitation(&'a str),
    /// The invitations of this address, in its normal form, and their teams; to read. Whose it is has to be proven.
    Address(&'a str),
    /// Everything: for the operator's commands and for sweeps, never for a request.
    Operator,
}

/// The settings, one a scope; leaving one scope is entering another. (`latchkey.key` is set by the one function that looks
/// a project's key up.)
const ENTER: &str = "SELECT set_config('latchkey.team', $1, true), set_config('latchkey.user', $2, true), \
     set_config('latchkey.invitation', $3, true), set_config('latchkey.address', $4, true), \
     set_config('latchkey.operator', $5, true)";

/// Lets a transaction stand in this scope, and in no other, until it ends or enters the next.
pub async fn enter<C: ConnectionTrait>(tx: &C, scope: Scope<'_>) -> Result<(), DbErr> {
    if tx.get_database_backend() != DatabaseBackend::Postgres {
        return Ok(());
    }
    let mut settings = [const { String::new() }; 5];
    match scope {
        Scope::Team(team) => settings[0] = team.to_string(),
        Scope::Person(user) => settings[1] = user.to_string(),
        Scope::Invitation(digest) => digest.clone_into(&mut settings[2]),
        Scope::Address(normal) => normal.clone_into(&mut settings[3]),
        Scope::Operator => "on".clone_into(&mut settings[4]),
    }
    let settings = settings.map(Into::into);
    tx.execute_raw(Statement::from_sql_and_values(DatabaseBackend::Postgres, ENTER, settings))
        .await
        .map(drop)
}

/// A transaction that may write, inside a scope.
pub async fn begin(db: &Db, scope: Scope<'_>) -> Result<Transaction, DbErr> {
    let tx = db.begin().await?;
    enter(&tx, scope).await?;
    Ok(tx)
}

/// A transaction that reads, inside a scope: one moment of the database.
pub async fn read(db: &Db, scope: Scope<'_>) -> Result<Transaction, DbErr> {
    let tx = db.begin_reading().await?;
    enter(&tx, scope).await?;
    Ok(tx)
}

/// A change of a team that is under way: the team is locked, so that its changes come one after another.
#[derive(Debug)]
pub struct Act<'a> {
    /// Inside the team.
    pub tx: Transaction,
    /// What the one who acts is, as of now.
    pub role: Role,
    actor: Actor,
    desk: &'a Desk<'a>,
}

/// Begins a change of a team: locks it, and reads once more whether this member may. `subject` is the other person whom
/// it is about: people are held before teams, by everybody, so that nobody waits in a circle.
pub async fn act<'a>(
    desk: &'a Desk<'a>,
    actor: Actor,
    subject: Option<Uuid>,
    permission: Permission,
) -> Result<Act<'a>, Refusal> {
    let tx = begin(desk.db, Scope::Team(actor.team_id)).await?;
    hold(&tx, subject.into_iter().chain([actor.user_id])).await?;
    let (role, status) = lock_role(&tx, actor).await?.ok_or(Refusal::NotFound)?;
    if !role.may(permission) {
        return Err(Refusal::Forbidden);
    }
    if status == TeamStatus::Disabled && !permission.holds_while_disabled() {
        return Err(Refusal::TeamDisabled);
    }
    Ok(Act { tx, role, actor, desk })
}

impl Act<'_> {
    /// Records the change and makes it last, both or neither.
    pub async fn commit(
        self,
        action: Action,
        subject: Option<Uuid>,
        detail: Detail,
    ) -> Result<(), DbErr> {
        let event = Event {
            action,
            outcome: Outcome::Success,
            actor: audit::Actor::Person(self.actor.user_id),
            subject,
            team: Some(self.actor.team_id),
            detail,
            origin: &self.desk.origin,
        };
        audit::record(&self.tx, self.desk.chain, &event, self.desk.now).await?;
        self.tx.commit().await
    }
}

/// Holds people until the transaction ends, in the order of their ids: none of them can be deleted meanwhile.
async fn hold<C: ConnectionTrait>(tx: &C, people: impl Iterator<Item = Uuid>) -> Result<(), DbErr> {
    user::Entity::find()
        .select_only()
        .column(user::Column::Id)
        .filter(user::Column::Id.is_in(people))
        .order_by_asc(user::Column::Id)
        .lock(LockType::KeyShare)
        .into_tuple::<Uuid>()
        .all(tx)
        .await
        .map(drop)
}

/// Locks a team until the transaction ends (on SQLite the whole file is), and says what a person is in it, and whether it
/// may be used.
///
/// The membership is locked with it: PostgreSQL then answers its newest version, not the one of before the wait.
pub async fn lock_role<C: ConnectionTrait>(
    tx: &C,
    actor: Actor,
) -> Result<Option<(Role, TeamStatus)>, DbErr> {
    #[derive(FromQueryResult)]
    struct Row {
        role: String,
        status: String,
    }
    let backend = tx.get_database_backend();
    let lock = if backend == DatabaseBackend::Postgres { " FOR UPDATE" } else { "" };
    let sql = format!(
        "SELECT m.role, t.status FROM teams t JOIN memberships m ON m.team_id = t.id \
         WHERE t.id = $1 AND m.user_id = $2{lock}"
    );
    let values = [actor.team_id.into(), actor.user_id.into()];
    let row = Row::find_by_statement(Statement::from_sql_and_values(backend, &sql, values));
    let found = row.one(tx).await?;
    Ok(found.and_then(|row| Some((Role::from_name(&row.role)?, TeamStatus::of(&row.status)))))
}

/// The database's role goes round the wall: a superuser, or one with BYPASSRLS. Never on SQLite.
pub async fn is_bypassed(db: &Db) -> Result<bool, DbErr> {
    if !db.is_postgres() {
        return Ok(false);
    }
    let sql =
        "SELECT rolsuper OR rolbypassrls AS bypassed FROM pg_roles WHERE rolname = current_user";
    let row = db.reader().query_one_raw(Statement::from_string(db.backend(), sql)).await?;
    row.map_or(Ok(false), |row| row.try_get("", "bypassed"))
}
