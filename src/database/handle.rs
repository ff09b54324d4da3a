//! [`Handle`]: a pool of connections whose errors the [`Guard`] examines.

use std::time::Instant;

use sea_orm::{
    AccessMode, ConnectionTrait, DatabaseBackend, DatabaseConnection, DbErr, ExecResult,
    IsolationLevel, QueryResult, SqliteTransactionMode, Statement, TransactionOptions,
};

use super::guard::Guard;
use super::measure::Measure;
use super::{Transaction, transaction};

/// A pool of connections: [`Db::reader`](super::Db::reader) or [`Db::writer`](super::Db::writer).
#[derive(Clone, Debug)]
pub struct Handle {
    pub(super) inner: DatabaseConnection,
    pub(super) guard: Guard,
    pub(super) measure: Option<Measure>,
    /// Whether a single statement that returns rows needs a transaction. SQLite commits such a
    /// statement when its rows have been read, and sqlx does not report an error of that commit.
    wraps_queries: bool,
}

impl Handle {
    pub(super) fn reader(guard: Guard, inner: DatabaseConnection) -> Self {
        Self { inner, guard, measure: None, wraps_queries: false }
    }

    pub(super) fn writer(guard: Guard, inner: DatabaseConnection) -> Self {
        let wraps_queries = inner.get_database_backend() == DatabaseBackend::Sqlite;
        Self { inner, guard, measure: None, wraps_queries }
    }

    /// Begins a transaction that reads one snapshot of the database, however long it takes.
    ///
    /// # Errors
    /// The database's error.
    pub async fn begin_snapshot(&self) -> Result<Transaction, DbErr> {
        self.begin_reading(IsolationLevel::RepeatableRead).await
    }

    pub(super) async fn begin_reading(&self, level: IsolationLevel) -> Result<Transaction, DbErr> {
        self.begin(level, AccessMode::ReadOnly, None).await
    }

    pub(super) async fn begin_writing(&self) -> Result<Transaction, DbErr> {
        let mode = Some(SqliteTransactionMode::Immediate);
        self.begin(IsolationLevel::ReadCommitted, AccessMode::ReadWrite, mode).await
    }

    /// Begins a transaction. SQLite has neither the isolation levels nor the access modes.
    async fn begin(
        &self,
        level: IsolationLevel,
        access: AccessMode,
        sqlite_transaction_mode: Option<SqliteTransactionMode>,
    ) -> Result<Transaction, DbErr> {
        let is_postgres = self.get_database_backend() == DatabaseBackend::Postgres;
        let options = TransactionOptions {
            isolation_level: is_postgres.then_some(level),
            access_mode: is_postgres.then_some(access),
            sqlite_transaction_mode,
        };
        let begin = async {
            let started = Instant::now();
            let begun = transaction::begin(&self.inner, options).await;
            if let Some(measure) = &self.measure {
                measure.record("BEGIN", started.elapsed(), begun.is_err());
            }
            begun
        };
        Ok(Transaction::new(self.call(begin).await?, self.guard.clone()))
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
        self.inner.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.call(self.inner.execute_raw(statement)).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.call(self.inner.execute_unprepared(sql)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        if self.wraps_queries {
            let tx = self.begin_writing().await?;
            let row = tx.query_one_raw(statement).await?;
            return tx.commit().await.map(|()| row);
        }
        self.call(self.inner.query_one_raw(statement)).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        if self.wraps_queries {
            let tx = self.begin_writing().await?;
            let rows = tx.query_all_raw(statement).await?;
            return tx.commit().await.map(|()| rows);
        }
        self.call(self.inner.query_all_raw(statement)).await
    }
}
