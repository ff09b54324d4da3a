//! [`Handle`]: a pool of connections whose errors the [`Guard`] sees.

use sea_orm::{
    AccessMode, ConnectionTrait, DatabaseBackend, DatabaseConnection, DbErr, ExecResult,
    IsolationLevel, QueryResult, SqliteTransactionMode, Statement, TransactionOptions,
};

use super::guard::Guard;
use super::{Transaction, transaction};

/// A pool of connections: [`Db::reader`](super::Db::reader) or [`Db::writer`](super::Db::writer).
#[derive(Clone, Debug)]
pub struct Handle {
    pub(super) inner: DatabaseConnection,
    pub(super) guard: Guard,
    /// Whether a single statement that returns rows needs a transaction: SQLite commits such a statement when its rows
    /// have been read, and sqlx does not report an error of that commit.
    wraps_queries: bool,
}

impl Handle {
    pub(super) fn reader(guard: Guard, inner: DatabaseConnection) -> Self {
        Self { inner, guard, wraps_queries: false }
    }

    pub(super) fn writer(guard: Guard, inner: DatabaseConnection) -> Self {
        let wraps_queries = inner.get_database_backend() == DatabaseBackend::Sqlite;
        Self { inner, guard, wraps_queries }
    }

    /// A transaction that reads one moment of the database, however long it takes.
    ///
    /// # Errors
    /// The database's.
    pub async fn begin_snapshot(&self) -> Result<Transaction, DbErr> {
        let mut options = TransactionOptions::default();
        if self.get_database_backend() == DatabaseBackend::Postgres {
            options.isolation_level = Some(IsolationLevel::RepeatableRead);
            options.access_mode = Some(AccessMode::ReadOnly);
        }
        self.begin(options).await
    }

    pub(super) async fn begin(&self, options: TransactionOptions) -> Result<Transaction, DbErr> {
        self.guard.admit()?;
        let call = self.guard.call();
        let begun = call.end(transaction::begin(&self.inner, options).await)?;
        Ok(Transaction::new(begun, self.guard.clone()))
    }
}

/// How a transaction that may write begins on SQLite.
pub(super) fn immediate() -> TransactionOptions {
    TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    }
}

#[async_trait::async_trait]
impl ConnectionTrait for Handle {
    fn get_database_backend(&self) -> DatabaseBackend {
        self.inner.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.guard.admit()?;
        self.guard.call().end(self.inner.execute_raw(statement).await)
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.guard.admit()?;
        self.guard.call().end(self.inner.execute_unprepared(sql).await)
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        if self.wraps_queries {
            let tx = self.begin(immediate()).await?;
            let row = tx.query_one_raw(statement).await?;
            return tx.commit().await.map(|()| row);
        }
        self.guard.admit()?;
        self.guard.call().end(self.inner.query_one_raw(statement).await)
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        if self.wraps_queries {
            let tx = self.begin(immediate()).await?;
            let rows = tx.query_all_raw(statement).await?;
            return tx.commit().await.map(|()| rows);
        }
        self.guard.admit()?;
        self.guard.call().end(self.inner.query_all_raw(statement).await)
    }
}
