//! The tenant scope of a transaction: the rows that it may see. These are the rows of one team, the
//! rows of one user, or all rows.
//!
//! On PostgreSQL, row-level security reads the scope (`latchkey.team` and four more settings of the
//! transaction). PostgreSQL then hides every other row, also from the owner of the tables. A
//! transaction without a scope sees no row.
//!
//! This is the second line of defence, because each query names its team as well. On SQLite the
//! queries are the only line of defence. The policies are in the migration `000004_tenancy`.

use sea_orm::{ConnectionTrait, DatabaseBackend, DbErr, Statement};
use uuid::Uuid;

use super::{Db, Transaction};

/// The rows that a transaction may see in tables that name a team.
#[derive(Clone, Copy, Debug)]
pub enum TenantScope<'a> {
    /// All rows of one team.
    Team(Uuid),
    /// The teams, projects and memberships of a user, for reading.
    Person(Uuid),
    /// The invitation whose token has this digest, for reading.
    Invitation(&'a str),
    /// The invitations of this normalised email address, and their teams, for reading. The caller
    /// has proven that it owns the email address.
    Address(&'a str),
    /// All rows: for the operator's commands and for sweeps, never for a request.
    Operator,
}

/// Sets one setting for each kind of scope, so that a new scope replaces the previous scope. A
/// further setting, `latchkey.key`, is set by the function that reads a project's key.
const ENTER: &str = "SELECT set_config('latchkey.team', $1, true), \
     set_config('latchkey.user', $2, true), set_config('latchkey.invitation', $3, true), \
     set_config('latchkey.address', $4, true), \
     set_config('latchkey.operator', $5, true)";

/// Puts a transaction into this scope until it ends or enters another scope.
pub async fn enter<C: ConnectionTrait>(tx: &C, scope: TenantScope<'_>) -> Result<(), DbErr> {
    if tx.get_database_backend() != DatabaseBackend::Postgres {
        return Ok(());
    }
    let mut settings = [const { String::new() }; 5];
    match scope {
        TenantScope::Team(team) => settings[0] = team.to_string(),
        TenantScope::Person(user) => settings[1] = user.to_string(),
        TenantScope::Invitation(digest) => digest.clone_into(&mut settings[2]),
        TenantScope::Address(normal) => normal.clone_into(&mut settings[3]),
        TenantScope::Operator => "on".clone_into(&mut settings[4]),
    }
    let settings = settings.map(Into::into);
    tx.execute_raw(Statement::from_sql_and_values(DatabaseBackend::Postgres, ENTER, settings))
        .await
        .map(drop)
}

/// Begins a transaction that may write, inside a scope.
pub async fn begin(db: &Db, scope: TenantScope<'_>) -> Result<Transaction, DbErr> {
    let tx = db.begin().await?;
    enter(&tx, scope).await?;
    Ok(tx)
}

/// Begins a transaction that reads, inside a scope.
pub async fn read(db: &Db, scope: TenantScope<'_>) -> Result<Transaction, DbErr> {
    let tx = db.begin_reading().await?;
    enter(&tx, scope).await?;
    Ok(tx)
}

/// Whether the role of the database is exempt from row-level security: a superuser, or a role with
/// BYPASSRLS. False on SQLite.
pub async fn is_bypassed(db: &Db) -> Result<bool, DbErr> {
    if !db.is_postgres() {
        return Ok(false);
    }
    let sql =
        "SELECT rolsuper OR rolbypassrls AS bypassed FROM pg_roles WHERE rolname = current_user";
    let row = db.reader().query_one_raw(Statement::from_string(db.backend(), sql)).await?;
    row.map_or(Ok(false), |row| row.try_get("", "bypassed"))
}
