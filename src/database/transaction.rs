//! [`Transaction`]: a transaction of the database, and what is to be done once it has lasted.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use sea_orm::{
    ConnectionTrait, DatabaseBackend, DatabaseTransaction, DbErr, ExecResult, QueryResult,
    Statement,
};

use super::guard::Guard;

type Work = Box<dyn FnOnce() + Send>;

/// A transaction from [`Db::begin`](super::Db::begin). It rolls back when dropped.
///
/// What must not be said of a change that is rolled back (a line in the log, a count) waits here until the commit.
pub struct Transaction {
    inner: DatabaseTransaction,
    then: Mutex<Vec<Work>>,
    guard: Guard,
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl Transaction {
    pub(super) fn new(inner: DatabaseTransaction, guard: Guard) -> Self {
        Self { inner, then: Mutex::default(), guard }
    }

    /// Does `work` after the commit, in the order of asking; never where there is none. It is short and cannot fail.
    pub fn after_commit(&self, work: impl FnOnce() + Send + 'static) {
        self.then.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(work));
    }

    /// Makes it last, and does what waited for that.
    ///
    /// # Errors
    /// The database's. Whether the change lasts is unknown then; what waited for it is not done.
    pub async fn commit(self) -> Result<(), DbErr> {
        self.guard.call().end(self.inner.commit().await)?;
        for work in self.then.into_inner().unwrap_or_else(PoisonError::into_inner) {
            work();
        }
        Ok(())
    }

    /// Takes everything back.
    ///
    /// # Errors
    /// The database's: it takes everything back by itself then.
    pub async fn rollback(self) -> Result<(), DbErr> {
        self.guard.call().end(self.inner.rollback().await)
    }
}

#[async_trait::async_trait]
impl ConnectionTrait for Transaction {
    fn get_database_backend(&self) -> DatabaseBackend {
        self.inner.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.guard.call().end(self.inner.execute_raw(statement).await)
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.guard.call().end(self.inner.execute_unprepared(sql).await)
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.guard.call().end(self.inner.query_one_raw(statement).await)
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.guard.call().end(self.inner.query_all_raw(statement).await)
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::ConnectionTrait as _;

    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use crate::config;
    use crate::database::Db;
    use crate::secret::Secret;

    fn file(dir: &tempfile::TempDir) -> config::Database {
        config::Database {
            url: Secret::new(format!("sqlite://{}", dir.path().join("t.db").display())),
            auto_migrate: true,
            max_connections: 2,
        }
    }

    #[tokio::test]
    async fn what_is_deleted_is_gone_from_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::connect(&file(&dir)).await.unwrap();
        let run = async |sql: &str| db.writer().execute_unprepared(sql).await.unwrap();
        let holds = || {
            let bytes = std::fs::read(dir.path().join("t.db")).unwrap();
            bytes.windows(13).any(|it| it == b"ada@left.test")
        };
        run("CREATE TABLE people (address TEXT, text TEXT)").await;
        // So many that whole pages become free, which is where they would stay.
        let all = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)";
        run(&format!("INSERT INTO people {all} SELECT 'ada@left.test', hex(zeroblob(200)) FROM n"))
            .await;
        run("PRAGMA wal_checkpoint(TRUNCATE)").await;
        assert!(holds());
        run("DELETE FROM people").await;
        run("PRAGMA wal_checkpoint(TRUNCATE)").await;
        assert!(!holds());
    }

    #[tokio::test]
    async fn what_waits_for_the_commit_is_done_after_it_or_never() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::connect(&file(&dir)).await.unwrap();
        let done = Arc::new(AtomicU32::new(0));
        let begin = async || {
            let (tx, done) = (db.begin().await.unwrap(), done.clone());
            tx.after_commit(move || {
                done.fetch_add(1, Ordering::Relaxed);
            });
            tx
        };
        drop(begin().await);
        begin().await.rollback().await.unwrap();
        let tx = begin().await;
        assert_eq!(done.load(Ordering::Relaxed), 0);
        tx.commit().await.unwrap();
        assert_eq!(done.load(Ordering::Relaxed), 1);
    }
}
