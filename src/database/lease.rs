//! [`DbPool`] and [`Lease`]: the connections of either database, and the statements on one of them.

use std::sync::Arc;

use sea_orm::sea_query::Values;
use sea_orm::sqlx::{self, AssertSqlSafe, Postgres, Sqlite};
use sea_orm::{
    DatabaseBackend, DatabaseConnection, DbErr, ExecResult, QueryResult, RuntimeErr, Statement,
};
use sea_query_sqlx::SqlxValues;

use super::connections::{Connections, Held, Permit};
use super::guard::Shared;

/// The connections of one database. The clone of a pool has the same connections.
#[derive(Clone, Debug)]
pub(super) enum DbPool {
    Postgres(Arc<Connections<Postgres>>),
    Sqlite(Arc<Connections<Sqlite>>),
}

/// Evaluates an expression for either database.
macro_rules! on_either {
    ($of:ident, $value:expr, $it:ident => $done:expr) => {
        match $value {
            $of::Postgres($it) => $done,
            $of::Sqlite($it) => $done,
        }
    };
}

impl DbPool {
    pub(super) fn new(of: &DatabaseConnection, shared: &Arc<Shared>) -> Self {
        if of.get_database_backend() == DatabaseBackend::Postgres {
            let pool = of.get_postgres_connection_pool().clone();
            Self::Postgres(Connections::new(pool, shared.clone()))
        } else {
            let pool = of.get_sqlite_connection_pool().clone();
            Self::Sqlite(Connections::new(pool, shared.clone()))
        }
    }

    pub(super) fn backend(&self) -> DatabaseBackend {
        match self {
            Self::Postgres(_) => DatabaseBackend::Postgres,
            Self::Sqlite(_) => DatabaseBackend::Sqlite,
        }
    }

    pub(super) async fn take(&self) -> Result<Lease, DbErr> {
        Ok(match self {
            Self::Postgres(pool) => Lease::Postgres(pool.take().await?),
            Self::Sqlite(pool) => Lease::Sqlite(pool.take().await?),
        })
    }

    /// Leaves one connection to SeaORM until the result is dropped.
    pub(super) async fn lend(&self) -> Result<Lent, DbErr> {
        Ok(match self {
            Self::Postgres(pool) => Lent::Postgres(pool.lend().await?),
            Self::Sqlite(pool) => Lent::Sqlite(pool.lend().await?),
        })
    }

    pub(super) fn size(&self) -> u32 {
        on_either!(Self, self, pool => pool.size())
    }

    pub(super) fn idle(&self) -> usize {
        on_either!(Self, self, pool => pool.idle())
    }

    pub(super) fn max(&self) -> u32 {
        on_either!(Self, self, pool => pool.max())
    }

    pub(super) fn close_idle(&self) {
        on_either!(Self, self, pool => pool.close_idle());
    }
}

/// The permit for a connection that SeaORM uses.
#[expect(dead_code, reason = "it is held until SeaORM has used the connection")]
pub(super) enum Lent {
    Postgres(Permit<Postgres>),
    Sqlite(Permit<Sqlite>),
}

/// A connection in use.
#[derive(Debug)]
pub(super) enum Lease {
    Postgres(Held<Postgres>),
    Sqlite(Held<Sqlite>),
}

/// Runs one call on the connection. The connection is settled only after a call that succeeded.
macro_rules! run {
    ($lease:expr, $connection:ident => $call:expr) => {
        on_either!(Lease, $lease, held => {
            held.is_settled = false;
            let $connection = held.connection();
            let done = $call.await;
            held.is_settled = done.is_ok();
            done
        })
    };
}

impl Lease {
    pub(super) fn backend(&self) -> DatabaseBackend {
        match self {
            Self::Postgres(_) => DatabaseBackend::Postgres,
            Self::Sqlite(_) => DatabaseBackend::Sqlite,
        }
    }

    pub(super) async fn execute(&mut self, statement: Statement) -> Result<ExecResult, DbErr> {
        let Statement { sql, values, .. } = statement;
        run!(self, it => async { prepared(sql, values).execute(it).await.map(ExecResult::from) })
            .map_err(|error| DbErr::Exec(RuntimeErr::SqlxError(error.into())))
    }

    /// Runs statements without parameters.
    pub(super) async fn execute_unprepared(&mut self, sql: &str) -> Result<ExecResult, DbErr> {
        run!(self, it => async {
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(it).await.map(ExecResult::from)
        })
        .map_err(|error| DbErr::Exec(RuntimeErr::SqlxError(error.into())))
    }

    /// Reads all rows. It also reads the end of the response, so nothing is left for the next call.
    pub(super) async fn query(&mut self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let Statement { sql, values, .. } = statement;
        run!(self, it => async {
            let rows = prepared(sql, values).fetch_all(it).await?;
            Ok(rows.into_iter().map(QueryResult::from).collect())
        })
        .map_err(|error: sqlx::Error| DbErr::Query(RuntimeErr::SqlxError(error.into())))
    }

    /// Begins a transaction with these statements.
    pub(super) async fn begin(&mut self, sql: &str) -> Result<(), DbErr> {
        on_either!(Self, self, held => held.in_transaction = true);
        self.execute_unprepared(sql).await.map(drop)
    }

    pub(super) async fn commit(&mut self) -> Result<(), DbErr> {
        self.end_transaction("COMMIT").await
    }

    pub(super) async fn roll_back(&mut self) -> Result<(), DbErr> {
        self.end_transaction("ROLLBACK").await
    }

    async fn end_transaction(&mut self, sql: &str) -> Result<(), DbErr> {
        self.execute_unprepared(sql).await?;
        on_either!(Self, self, held => held.in_transaction = false);
        Ok(())
    }
}

fn prepared<DB: sqlx::Database>(
    sql: String,
    values: Option<Values>,
) -> sqlx::query::Query<'static, DB, SqlxValues>
where
    SqlxValues: sqlx::IntoArguments<DB>,
{
    let values = SqlxValues(values.unwrap_or_else(|| Values(Vec::new())));
    sqlx::query_with(AssertSqlSafe(sql), values)
}
