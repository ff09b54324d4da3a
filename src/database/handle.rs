//! [`Handle`]: a pool of connections whose errors the [`Guard`] examines.

use std::time::Instant;

use sea_orm::{
    AccessMode, ConnectionTrait, DatabaseBackend, DbErr, ExecResult, IsolationLevel, QueryResult,
    Statement,
};

use super::Transaction;
use super::guard::Guard;
use super::lease::DbPool;
use super::measure::{Meter, operation};

/// A pool of connections: [`Db::reader`](super::Db::reader) or [`Db::writer`](super::Db::writer).
#[derive(Clone, Debug)]
pub struct Handle {
    pub(super) pool: DbPool,
    pub(super) guard: Guard,
    pub(super) meter: Meter,
    /// Whether a single statement that returns rows needs a transaction. SQLite commits such a
    /// statement when its rows have been read, and sqlx does not report an error of that commit.
    wraps_queries: bool,
}

impl Handle {
    pub(super) fn reader(guard: Guard, pool: DbPool, meter: Meter) -> Self {
        Self { pool, guard, meter, wraps_queries: false }
    }

    pub(super) fn writer(guard: Guard, pool: DbPool, meter: Meter) -> Self {
        let wraps_queries = pool.backend() == DatabaseBackend::Sqlite;
        Self { pool, guard, meter, wraps_queries }
    }

    /// Begins a transaction that reads one snapshot of the database, however long it takes.
    ///
    /// # Errors
    /// The database's error.
    pub async fn begin_snapshot(&self) -> Result<Transaction, DbErr> {
        self.begin_reading(IsolationLevel::RepeatableRead, "").await
    }

    pub(super) async fn begin_reading(
        &self,
        level: IsolationLevel,
        then: &str,
    ) -> Result<Transaction, DbErr> {
        self.begin("BEGIN", (level, AccessMode::ReadOnly), then).await
    }

    pub(super) async fn begin_writing(&self, then: &str) -> Result<Transaction, DbErr> {
        let mode = (IsolationLevel::ReadCommitted, AccessMode::ReadWrite);
        self.begin("BEGIN IMMEDIATE", mode, then).await
    }

    /// Begins a transaction. SQLite has neither the isolation levels nor the access modes. On
    /// PostgreSQL, the statement `then` is sent in the same message.
    async fn begin(
        &self,
        on_sqlite: &str,
        (level, access): (IsolationLevel, AccessMode),
        then: &str,
    ) -> Result<Transaction, DbErr> {
        let begin = async {
            let started = Instant::now();
            let begun = async {
                let mut lease = self.pool.take().await?;
                match self.pool.backend() {
                    DatabaseBackend::Postgres => {
                        let sql = format!("BEGIN ISOLATION LEVEL {level} {access}{then}");
                        lease.begin(&sql).await?;
                    }
                    _ => lease.begin(on_sqlite).await?,
                }
                Ok(lease)
            };
            let begun = begun.await;
            self.meter.record("BEGIN", started.elapsed(), begun.is_err());
            begun
        };
        let lease = self.call(begin).await?;
        Ok(Transaction::new(lease, self.guard.clone(), self.meter.clone()))
    }

    /// Runs one call to the database. The guard admits it, and examines its error.
    pub(super) async fn call<T>(
        &self,
        work: impl Future<Output = Result<T, DbErr>>,
    ) -> Result<T, DbErr> {
        self.guard.admit()?;
        let call = self.guard.call();
        call.end(work.await)
    }
}

#[async_trait::async_trait]
impl ConnectionTrait for Handle {
    fn get_database_backend(&self) -> DatabaseBackend {
        self.pool.backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        let operation = operation(&statement.sql);
        self.call(async {
            let mut lease = self.pool.take().await?;
            self.meter.statement(operation, lease.execute(statement)).await
        })
        .await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let operation = operation(sql);
        self.call(async {
            let mut lease = self.pool.take().await?;
            self.meter.statement(operation, lease.execute_unprepared(sql)).await
        })
        .await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        Ok(self.query_all_raw(statement).await?.into_iter().next())
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        if self.wraps_queries {
            let tx = self.begin_writing("").await?;
            let rows = tx.query_all_raw(statement).await?;
            return tx.commit().await.map(|()| rows);
        }
        let operation = operation(&statement.sql);
        self.call(async {
            let mut lease = self.pool.take().await?;
            self.meter.statement(operation, lease.query(statement)).await
        })
        .await
    }
}
