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

use sea_orm::{ConnectionTrait, DatabaseBackend, DbErr, ExecResult, QueryResult, Statement};
use tokio::sync::{Mutex as AsyncMutex, MutexGuard};

use super::guard::Guard;
use super::lease::Lease;
use super::measure::{Meter, operation};

type Work = Box<dyn FnOnce() + Send>;

/// A transaction from [`Db::begin`](super::Db::begin). The transaction rolls back when it is
/// dropped.
pub struct Transaction {
    /// Locked while a statement runs.
    open: AsyncMutex<Open>,
    backend: DatabaseBackend,
    after_commit: Mutex<Vec<Work>>,
    guard: Guard,
    meter: Meter,
}

struct Open {
    lease: Lease,
    /// Why the transaction refuses every later statement.
    broken_by: Option<String>,
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transaction(…)")
    }
}

impl Transaction {
    pub(super) fn new(lease: Lease, guard: Guard, meter: Meter) -> Self {
        let (backend, open) = (lease.backend(), Open { lease, broken_by: None });
        Self { open: AsyncMutex::new(open), backend, after_commit: Mutex::default(), guard, meter }
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
        let Open { mut lease, broken_by } = self.open.into_inner();
        if let Some(cause) = broken_by {
            // The rollback fails if SQLite has already rolled back. The cause says more than that
            // error.
            let _ = self.guard.call().end(lease.roll_back().await);
            return Err(broken(&cause));
        }
        self.guard.call().end(lease.commit().await)?;
        drop(lease);
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
        self.guard.call().end(self.open.into_inner().lease.roll_back().await)
    }

    /// Prepares one statement. The transaction is broken until [`Transaction::end`] gets the result
    /// of a statement that has succeeded.
    async fn begin_statement(&self) -> Result<MutexGuard<'_, Open>, DbErr> {
        let mut open = self.open.lock().await;
        if let Some(cause) = &open.broken_by {
            return Err(broken(cause));
        }
        open.broken_by = Some("its caller did not wait for it".to_owned());
        Ok(open)
    }

    fn end<T>(&self, mut open: MutexGuard<'_, Open>, done: Result<T, DbErr>) -> Result<T, DbErr> {
        let done = self.guard.call().end(done);
        open.broken_by = done.as_ref().err().map(ToString::to_string);
        done
    }
}

/// The error of a transaction that an earlier statement broke, with that statement's error.
fn broken(cause: &str) -> DbErr {
    DbErr::Custom(format!("an earlier statement of this transaction failed: {cause}"))
}

#[async_trait::async_trait]
impl ConnectionTrait for Transaction {
    fn get_database_backend(&self) -> DatabaseBackend {
        self.backend
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        let operation = operation(&statement.sql);
        let mut open = self.begin_statement().await?;
        let done = self.meter.statement(operation, open.lease.execute(statement)).await;
        self.end(open, done)
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let operation = operation(sql);
        let mut open = self.begin_statement().await?;
        let done = self.meter.statement(operation, open.lease.execute_unprepared(sql)).await;
        self.end(open, done)
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        Ok(self.query_all_raw(statement).await?.into_iter().next())
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let operation = operation(&statement.sql);
        let mut open = self.begin_statement().await?;
        let done = self.meter.statement(operation, open.lease.query(statement)).await;
        self.end(open, done)
    }
}

#[cfg(test)]
#[path = "transaction_tests.rs"]
mod tests;
