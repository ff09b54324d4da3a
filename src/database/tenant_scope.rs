//! The tenant scope of a transaction: the rows that it may see. These are the rows of one team, the
//! rows of one user, or all rows.
//!
//! On PostgreSQL, row-level security reads the scope from settings of the transaction. PostgreSQL
//! then hides every other row, also from the owner of the tables. A transaction without a scope
//! sees no row.
//!
//! This is the second line of defence, because each query names its team as well. On SQLite the
//! queries are the only line of defence. The policies are in
//! `migration/src/baseline/row_security.rs`.

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

/// Puts a transaction into this scope until it ends or enters another scope. In the scope of a user
/// or of invitations, it sees the teams that belong to them at this moment.
pub async fn enter<C: ConnectionTrait>(tx: &C, scope: TenantScope<'_>) -> Result<(), DbErr> {
    if tx.get_database_backend() != DatabaseBackend::Postgres {
        return Ok(());
    }
    let (name, value) = match scope {
        TenantScope::Team(team) => ("team", team.to_string()),
        TenantScope::Person(user) => ("user", user.to_string()),
        TenantScope::Invitation(digest) => ("invitation", digest.to_owned()),
        TenantScope::Address(normal) => ("address", normal.to_owned()),
        TenantScope::Operator => ("operator", "on".to_owned()),
    };
    let sql = "SELECT latchkey_enter($1, $2)";
    let values = [name.into(), value.into()];
    tx.execute_raw(Statement::from_sql_and_values(DatabaseBackend::Postgres, sql, values))
        .await
        .map(drop)
}

/// Begins a transaction that may write, inside a scope.
pub async fn begin(db: &Db, scope: TenantScope<'_>) -> Result<Transaction, DbErr> {
    let with_begin = with_begin(scope);
    let tx = db.begin_with(with_begin.as_deref().unwrap_or_default()).await?;
    if with_begin.is_none() {
        enter(&tx, scope).await?;
    }
    Ok(tx)
}

/// Begins a transaction that reads, inside a scope. Callers drop it without a commit. It then ends
/// in the background, so no response waits for this.
pub async fn read(db: &Db, scope: TenantScope<'_>) -> Result<Transaction, DbErr> {
    let with_begin = with_begin(scope);
    let tx = db.begin_reading_with(with_begin.as_deref().unwrap_or_default()).await?;
    if with_begin.is_none() {
        enter(&tx, scope).await?;
    }
    Ok(tx)
}

/// The statement that enters a scope in the same message as `BEGIN`. Such a message has no
/// parameters, so this works only for scopes that no client's text names.
fn with_begin(scope: TenantScope<'_>) -> Option<String> {
    let enter = |name, value| Some(format!("; SELECT latchkey_enter('{name}', '{value}')"));
    match scope {
        TenantScope::Team(team) => enter("team", team.to_string()),
        TenantScope::Person(user) => enter("user", user.to_string()),
        TenantScope::Operator => enter("operator", "on".to_owned()),
        TenantScope::Invitation(_) | TenantScope::Address(_) => None,
    }
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
