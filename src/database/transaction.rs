//! [`Transaction`]: a database transaction that commits all of its statements or none.
//!
//! A statement breaks the transaction if it failed, or if its caller stopped waiting for it. A
//! broken transaction refuses every later statement, and [`Transaction::commit`] rolls back and
//! returns an error.
//!
//! Neither database does this by itself. PostgreSQL reports success for a `COMMIT` of an aborted
//! transaction, and rolls back. SQLite rolls back on its own after some errors (disk full, I/O
//! error, out of memory), and then commits each later statement alone.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use latchkey_migration::{Migrator, MigratorTrait as _, Schema};
use sea_orm::{
    ConnectionTrait, DatabaseBackend, DatabaseConnection, DatabaseTransaction, DbErr, ExecResult,
    QueryResult, Statement, TransactionOptions, TransactionTrait as _,
};
use tokio::sync::Mutex as AsyncMutex;

use super::guard::Guard;

type Work = Box<dyn FnOnce() + Send>;

/// A transaction from [`Db::begin`](super::Db::begin). The transaction rolls back when it is
/// dropped.
pub struct Transaction {
    inner: DatabaseTransaction,
    /// Why the transaction refuses every later statement. Locked while a statement runs.
    broken: AsyncMutex<Option<String>>,
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
        Self { inner, broken: AsyncMutex::default(), after_commit: Mutex::default(), guard }
    }

    /// Runs `work` after the commit, in the order of the calls, and never without a commit. Use it
    /// to log and count a change. `work` has to be short and cannot fail.
    pub fn after_commit(&self, work: impl FnOnce() + Send + 'static) {
        self.after_commit.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(work));
    }

    /// Makes the changes durable, then runs the work that [`Transaction::after_commit`] collected.
    ///
    /// # Errors
    /// A broken transaction is rolled back. The error contains the first error of its statements.
    /// After an error of the database itself, it is unknown whether the changes are durable.
    pub async fn commit(self) -> Result<(), DbErr> {
        if let Some(cause) = self.broken.into_inner() {
            // The rollback fails if SQLite has already rolled back. The cause says more than that
            // error.
            let _ = self.guard.call().end(self.inner.rollback().await);
            return Err(broken(&cause));
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
    /// The database's own error. The database then undoes the changes by itself.
    pub async fn rollback(self) -> Result<(), DbErr> {
        self.guard.call().end(self.inner.rollback().await)
    }

    /// Runs one statement. The transaction is broken until the statement has succeeded.
    async fn run<T>(&self, statement: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
        let mut broken_by = self.broken.lock().await;
        if let Some(cause) = &*broken_by {
            return Err(broken(cause));
        }
        *broken_by = Some("its caller did not wait for it".to_owned());
        let done = self.guard.call().end(statement.await);
        *broken_by = done.as_ref().err().map(ToString::to_string);
        done
    }

    /// Applies every missing migration. Migrations of a later release that only add to the schema
    /// are ignored. They are no error, because daemons of that release may run beside this daemon.
    pub(super) async fn migrate(&self) -> Result<(), DbErr> {
        self.run(async {
            let schema = Schema::of(&self.inner).await?;
            match schema.beyond() {
                Some(outside) => Err(DbErr::Migration(outside.to_string())),
                None if schema.pending.is_empty() => Ok(()),
                None => Migrator::up(&self.inner, None).await,
            }
        })
        .await
    }
}

/// The error of a transaction that an earlier statement broke, with that statement's error.
fn broken(cause: &str) -> DbErr {
    DbErr::Custom(format!("an earlier statement of this transaction failed: {cause}"))
}

/// Begins a transaction. This function waits for the server's confirmation even if the caller stops
/// waiting.
///
/// sqlx counts a PostgreSQL transaction only when the server has confirmed `BEGIN`. A caller that
/// is cancelled before that would return a connection with an open transaction to the pool. Then
/// the next caller's writes would be acknowledged and lost. sqlx's worker thread for SQLite handles
/// this by itself.
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
