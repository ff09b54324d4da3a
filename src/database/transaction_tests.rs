//! Tests of transactions on SQLite. The tests make SQLite refuse a statement in every possible way,
//! at every position of a transaction. In every case, another connection reads exactly what a
//! successful commit wrote.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;

use sea_orm::{ConnectionTrait as _, DbErr, Statement};

use crate::config;
use crate::database::{Db, Transaction};

fn file(dir: &tempfile::TempDir) -> config::Database {
    config::Database {
        max_connections: 2,
        ..config::Database::at(&format!("sqlite://{}", dir.path().join("t.db").display()))
    }
}

/// How many statements one transaction has.
const STATEMENTS: usize = 4;

/// A way in which SQLite refuses a write.
#[derive(Clone, Copy, Debug)]
enum Refusal {
    /// `SQLITE_FULL`: SQLite rolls the transaction back by itself.
    Full,
    /// `SQLITE_READONLY`: the transaction stays open.
    ReadOnly,
    /// `SQLITE_CONSTRAINT` with a rollback by SQLite itself.
    RollsBack,
    /// `SQLITE_CONSTRAINT` without a rollback.
    Aborts,
}

impl Refusal {
    const ALL: [Self; 4] = [Self::Full, Self::ReadOnly, Self::RollsBack, Self::Aborts];

    /// Makes the next write fail.
    async fn begin(self, tx: &Transaction) -> Result<(), DbErr> {
        match self {
            Self::Full => {
                let row = tx.query_one_raw(sql("PRAGMA page_count")).await?;
                let pages: i64 = row.expect("a count").try_get_by_index(0)?;
                tx.execute_unprepared(&format!("PRAGMA max_page_count = {pages}")).await?;
            }
            Self::ReadOnly => {
                tx.execute_unprepared("PRAGMA query_only = ON").await?;
            }
            Self::RollsBack | Self::Aborts => {}
        }
        Ok(())
    }

    /// SQLite's error text.
    fn words(self) -> &'static str {
        match self {
            Self::Full => "database or disk is full",
            Self::ReadOnly => "attempt to write a readonly database",
            Self::RollsBack | Self::Aborts => "refused",
        }
    }

    /// A write that fails after [`Refusal::begin`].
    fn write(self) -> &'static str {
        match self {
            Self::Full => "INSERT INTO people VALUES ('x', zeroblob(1000000))",
            Self::ReadOnly => "INSERT INTO people VALUES ('x', NULL)",
            Self::RollsBack => "INSERT INTO people VALUES ('rolls back', NULL)",
            Self::Aborts => "INSERT INTO people VALUES ('aborts', NULL)",
        }
    }
}

fn sql(text: &str) -> Statement {
    Statement::from_string(sea_orm::DatabaseBackend::Sqlite, text)
}

async fn database(dir: &tempfile::TempDir) -> Db {
    let db = Db::connect(&file(dir)).await.unwrap();
    for text in [
        "CREATE TABLE people (name TEXT, filling BLOB)",
        "CREATE TRIGGER a BEFORE INSERT ON people WHEN NEW.name = 'rolls back' \
         BEGIN SELECT RAISE(ROLLBACK, 'refused'); END",
        "CREATE TRIGGER b BEFORE INSERT ON people WHEN NEW.name = 'aborts' \
         BEGIN SELECT RAISE(ABORT, 'refused'); END",
    ] {
        db.writer().execute_unprepared(text).await.unwrap();
    }
    db
}

/// The names that another connection reads.
async fn names(dir: &tempfile::TempDir) -> Vec<String> {
    let other = Db::connect(&file(dir)).await.unwrap();
    let rows = other.reader().query_all_raw(sql("SELECT name FROM people ORDER BY name")).await;
    rows.unwrap().iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}

/// Writes rows in one transaction. The statement at `refused_at` fails, and its error is ignored.
async fn write_ignoring_errors(
    db: &Db,
    name: &str,
    refusal: Refusal,
    refused_at: usize,
) -> Result<(), DbErr> {
    let tx = db.begin().await?;
    for position in 0..STATEMENTS {
        if position == refused_at {
            refusal.begin(&tx).await?;
            let refused = tx.execute_unprepared(refusal.write()).await;
            assert!(refused.is_err(), "{refusal:?}");
        } else {
            let insert = format!("INSERT INTO people VALUES ('{name}', NULL)");
            let _ignored = tx.execute_unprepared(&insert).await;
        }
    }
    tx.commit().await
}

async fn write_one(db: &Db, name: &str) -> Result<(), DbErr> {
    let tx = db.begin().await?;
    tx.execute_unprepared(&format!("INSERT INTO people VALUES ('{name}', NULL)")).await?;
    tx.commit().await
}

#[tokio::test]
async fn what_is_acknowledged_after_a_refused_statement_is_in_the_file() {
    for refusal in Refusal::ALL {
        for refused_at in 0..STATEMENTS {
            let dir = tempfile::tempdir().unwrap();
            let db = database(&dir).await;
            let broken = write_ignoring_errors(&db, "broken", refusal, refused_at).await;
            let error = broken.expect_err("a broken transaction commits nothing").to_string();
            let cause = error
                .strip_prefix("Custom Error: an earlier statement of this transaction failed: ");
            assert!(cause.is_some_and(|it| it.contains(refusal.words())), "{refusal:?}: {error}");
            // An ordinary rollback. If this transaction were nested, the rollback would close the
            // outer transaction.
            let tx = db.begin().await.unwrap();
            tx.execute_unprepared("DELETE FROM people").await.ok();
            tx.rollback().await.ok();
            let mut acknowledged = Vec::new();
            for name in ["after 1", "after 2"] {
                if write_one(&db, name).await.is_ok() {
                    acknowledged.push(name);
                }
            }
            let single = "INSERT INTO people VALUES ('after 3', NULL)";
            if db.writer().execute_unprepared(single).await.is_ok() {
                acknowledged.push("after 3");
            }
            assert_eq!(names(&dir).await, acknowledged, "{refusal:?} at {refused_at}");
            assert_eq!(acknowledged.len(), 3, "{refusal:?} at {refused_at}: writes go on");
        }
    }
}

#[tokio::test]
async fn a_refused_single_statement_leaves_no_transaction_behind() {
    for refusal in Refusal::ALL {
        let dir = tempfile::tempdir().unwrap();
        let db = database(&dir).await;
        if matches!(refusal, Refusal::Full) {
            let row = db.writer().query_one_raw(sql("PRAGMA page_count")).await.unwrap();
            let pages: i64 = row.unwrap().try_get_by_index(0).unwrap();
            let limit = format!("PRAGMA max_page_count = {pages}");
            db.writer().execute_unprepared(&limit).await.unwrap();
        }
        if matches!(refusal, Refusal::ReadOnly) {
            db.writer().execute_unprepared("PRAGMA query_only = ON").await.unwrap();
        }
        assert!(db.writer().execute_unprepared(refusal.write()).await.is_err(), "{refusal:?}");
        db.writer().execute_unprepared("PRAGMA query_only = OFF").await.unwrap();
        write_one(&db, "after").await.unwrap();
        assert_eq!(names(&dir).await, ["after"], "{refusal:?}");
    }
}

/// A deferred foreign key fails at the commit, after the row was returned.
#[tokio::test]
async fn a_single_statement_that_returns_rows_fails_when_its_commit_does() {
    let dir = tempfile::tempdir().unwrap();
    let db = database(&dir).await;
    for text in [
        "CREATE TABLE parents (id INTEGER PRIMARY KEY)",
        "CREATE TABLE children (id INTEGER REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED)",
    ] {
        db.writer().execute_unprepared(text).await.unwrap();
    }
    let insert = sql("INSERT INTO children VALUES (7) RETURNING id");
    assert!(db.writer().query_one_raw(insert.clone()).await.is_err());
    assert!(db.writer().query_all_raw(insert).await.is_err());
    let found = db.reader().query_all_raw(sql("SELECT id FROM children")).await.unwrap();
    assert!(found.is_empty());
    write_one(&db, "after").await.unwrap();
    assert_eq!(names(&dir).await, ["after"]);
}

/// The caller stops waiting after each possible number of polls, until a transaction is done.
#[tokio::test]
async fn a_caller_that_goes_away_leaves_no_transaction_behind() {
    let mut furthest = 0;
    for _ in 0..ROUNDS {
        furthest = furthest.max(go_away_until_one_is_done().await);
    }
    // BEGIN, a statement and COMMIT take one poll each, unless SQLite was faster than the caller.
    assert!(furthest >= 3, "no caller went away during the commit: {furthest}");
}

/// Returns the largest number of polls after which the transaction was not done.
async fn go_away_until_one_is_done() -> usize {
    for polls in 0..POLLS_MAX {
        let dir = tempfile::tempdir().unwrap();
        let db = database(&dir).await;
        let writing = Box::pin(write_one(&db, "gone"));
        let done = polled(writing, polls).await;
        write_one(&db, "after").await.unwrap();
        let read = db.begin_reading().await.unwrap();
        let seen = read.query_all_raw(sql("SELECT name FROM people")).await.unwrap();
        let found = names(&dir).await;
        assert_eq!(seen.len(), found.len(), "after {polls} polls a reader sees what is committed");
        assert!(found.contains(&"after".to_owned()), "after {polls} polls");
        if let Some(done) = done {
            done.unwrap();
            assert_eq!(found.len(), 2, "after {polls} polls: an acknowledged row is lost");
            return polls - 1;
        }
    }
    panic!("no transaction was done after {POLLS_MAX} polls");
}

/// In one round SQLite may respond too fast for a caller to stop in between.
const ROUNDS: usize = 5;
/// More polls than any transaction needs.
const POLLS_MAX: usize = 200;

/// Polls at most this often, and returns the result if there is one. Before each further poll the
/// work has been woken, because SQLite's thread has responded.
async fn polled<T>(mut work: Pin<Box<impl Future<Output = T>>>, polls: usize) -> Option<T> {
    let mut left = polls;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match work.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            // The last poll did not finish the work. The caller stops now, before it is woken.
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

#[tokio::test]
async fn deleted_rows_are_overwritten_in_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::connect(&file(&dir)).await.unwrap();
    let run = async |sql: &str| db.writer().execute_unprepared(sql).await.unwrap();
    let holds = || {
        let bytes = std::fs::read(dir.path().join("t.db")).unwrap();
        bytes.windows(13).any(|it| it == b"ada@left.test")
    };
    run("CREATE TABLE people (address TEXT, text TEXT)").await;
    // This many rows free whole pages, in which deleted bytes would stay.
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
async fn work_for_after_the_commit_runs_after_it_or_never() {
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
    let broken = begin().await;
    broken.execute_unprepared("INSERT INTO nothing VALUES (1)").await.unwrap_err();
    broken.commit().await.unwrap_err();
    let tx = begin().await;
    assert_eq!(done.load(Ordering::Relaxed), 0);
    tx.commit().await.unwrap();
    assert_eq!(done.load(Ordering::Relaxed), 1);
}

// The connections of the daemon are dropped after its runtime has ended.
#[test]
fn a_database_can_be_dropped_without_a_runtime() {
    let dir = tempfile::tempdir().expect("a directory");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let config = file(&dir);
    let (db, open) = runtime.block_on(async {
        let db = Db::connect(&config).await.expect("connected");
        db.writer().execute_unprepared("CREATE TABLE t (id INTEGER)").await.expect("created");
        db.reader().execute_unprepared("SELECT 1").await.expect("read");
        let open = db.begin().await.expect("begun");
        (db, open)
    });
    drop(runtime);
    drop(open);
    drop(db);
}
