//! [`Transaction`]: a database transaction that commits all of its statements or none.
//!
//! A statement that failed, or whose caller stopped waiting for it, breaks the transaction: it refuses every later
//! statement, and [`Transaction::commit`] rolls back and returns an error. Neither database does this by itself.
//! PostgreSQL answers a `COMMIT` of an aborted transaction with success and rolls back. SQLite rolls back on its own
//! after some errors (disk full, I/O error, out of memory), and then commits each later statement alone.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use sea_orm::{
    ConnectionTrait, DatabaseBackend, DatabaseConnection, DatabaseTransaction, DbErr, ExecResult,
    QueryResult, Statement, TransactionOptions, TransactionTrait as _,
};
use tokio::sync::Mutex as AsyncMutex;

use super::guard::Guard;

type Work = Box<dyn FnOnce() + Send>;

/// A transaction from [`Db::begin`](super::Db::begin). It rolls back when dropped.
pub struct Transaction {
    inner: DatabaseTransaction,
    /// Whether a statement has failed or was abandoned. Held while a statement runs.
    is_broken: AsyncMutex<bool>,
    after_commit: Mutex<Vec<Work>>,
    guard: Guard,
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl Transaction {
    pub(super) fn new(inner: DatabaseTransaction, guard: Guard) -> Self {
        Self { inner, is_broken: AsyncMutex::new(false), after_commit: Mutex::default(), guard }
    }

    /// Runs `work` after the commit, in the order of the calls, and never without one: log lines and counts of a change
    /// belong here. It is short and cannot fail.
    pub fn after_commit(&self, work: impl FnOnce() + Send + 'static) {
        self.after_commit.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(work));
    }

    /// Makes the changes durable, then runs what [`Transaction::after_commit`] collected.
    ///
    /// # Errors
    /// A broken transaction: it is rolled back. Or the database's own error: whether the changes last is unknown then.
    pub async fn commit(self) -> Result<(), DbErr> {
        if self.is_broken.into_inner() {
            self.guard.call().end(self.inner.rollback().await)?;
            return Err(broken());
        }
        self.guard.call().end(self.inner.commit().await)?;
        for work in self.after_commit.into_inner().unwrap_or_else(PoisonError::into_inner) {
            work();
        }
        Ok(())
    }

    /// Undoes every change.
    ///
    /// # Errors
    /// The database's own: it undoes the changes by itself then.
    pub async fn rollback(self) -> Result<(), DbErr> {
        self.guard.call().end(self.inner.rollback().await)
    }

    /// Runs one statement. The transaction counts as broken until the statement has succeeded.
    async fn run<T>(&self, statement: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
        let mut is_broken = self.is_broken.lock().await;
        if std::mem::replace(&mut *is_broken, true) {
            return Err(broken());
        }
        let done = self.guard.call().end(statement.await)?;
        *is_broken = false;
        Ok(done)
    }
}

fn broken() -> DbErr {
    DbErr::Custom("an earlier statement of this transaction failed".to_owned())
}

/// Begins a transaction, and finishes beginning it when the caller stops waiting.
///
/// sqlx counts a PostgreSQL transaction once the server has confirmed `BEGIN`. A caller that is cancelled between the two
/// would return a connection to the pool inside a transaction that nobody ends: the next user's writes would be
/// acknowledged and lost. sqlx's worker thread for SQLite handles this by itself.
pub(super) async fn begin(
    connection: &DatabaseConnection,
    options: TransactionOptions,
) -> Result<DatabaseTransaction, DbErr> {
    if connection.get_database_backend() != DatabaseBackend::Postgres {
        return connection.begin_with_options(options).await;
    }
    let connection = connection.clone();
    let begun = async move { connection.begin_with_options(options).await };
    #[expect(
        clippy::disallowed_methods,
        reason = "the task ends within the time-outs of the pool and of a statement"
    )]
    let task = tokio::spawn(begun);
    task.await.unwrap_or_else(|error| Err(DbErr::Custom(error.to_string())))
}

#[async_trait::async_trait]
impl ConnectionTrait for Transaction {
    fn get_database_backend(&self) -> DatabaseBackend {
        self.inner.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.run(self.inner.execute_raw(statement)).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.run(self.inner.execute_unprepared(sql)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.run(self.inner.query_one_raw(statement)).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.run(self.inner.query_all_raw(statement)).await
    }
}

#[cfg(test)]
#[path = "transaction_tests.rs"]
mod tests;
