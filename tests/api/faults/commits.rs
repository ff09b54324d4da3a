//! Tests of transactions on PostgreSQL that fail, are aborted or lose their caller. Every
//! acknowledged row must be in the database. A connection must not return to its pool inside a
//! transaction.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use futures_util::FutureExt as _;
use latchkey::config;
use latchkey::database::Db;
use sea_orm::{ConnectionTrait as _, DatabaseBackend, DbErr, Statement};

use crate::servers::TestDatabase;

/// Makes a statement and its commit take some milliseconds, so that each of them is pending at its
/// first poll.
const SLOW: &str = "
CREATE FUNCTION work() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM count(*) FROM generate_series(1, 100000);
    RETURN NULL;
END $$;
CREATE TRIGGER slow_statement AFTER INSERT ON people FOR EACH ROW EXECUTE FUNCTION work();
CREATE CONSTRAINT TRIGGER slow_commit AFTER INSERT ON people DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION work();";

/// Opens a pool of one connection, so that all callers use the same connection one after another.
async fn pool(database: &TestDatabase) -> Db {
    let url = database.url();
    let config = config::Database { max_connections: 1, ..config::Database::at(&url) };
    let db = Db::connect(&config).await.expect("connected");
    let create = "CREATE TABLE IF NOT EXISTS people (name TEXT UNIQUE)";
    db.writer().execute_unprepared(create).await.expect("created");
    db
}

/// Returns the number of rows whose names end with `end`.
async fn count(db: &Db, end: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM people WHERE name LIKE '%{end}'");
    let asked = Statement::from_string(DatabaseBackend::Postgres, sql);
    let row = db.reader().query_one_raw(asked).await.expect("counted").expect("a row");
    row.try_get_by_index(0).expect("a number")
}

/// The steps of a transaction that writes.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
enum Step {
    Begin,
    Insert,
    Commit,
}

async fn write(db: &Db, name: &str) -> Result<(), DbErr> {
    write_in_steps(db, name, &Cell::new(Step::Begin)).await
}

/// Writes a row. `step` is the step that runs.
async fn write_in_steps(db: &Db, name: &str, step: &Cell<Step>) -> Result<(), DbErr> {
    let tx = db.begin().await?;
    step.set(Step::Insert);
    tx.execute_unprepared(&format!("INSERT INTO people VALUES ('{name}')")).await?;
    step.set(Step::Commit);
    tx.commit().await
}

#[tokio::test]
async fn a_commit_after_a_failed_statement_is_refused_on_servers() {
    let database = TestDatabase::create().await;
    let db = pool(&database).await;
    for position in 0..3 {
        let tx = db.begin().await.expect("begun");
        for number in 0..3 {
            let divisor = i32::from(number != position);
            let insert = format!("INSERT INTO people SELECT ({number} / {divisor})::text");
            let _ignored = tx.execute_unprepared(&insert).await;
        }
        tx.commit().await.expect_err("PostgreSQL itself answers this COMMIT with success");
        assert_eq!(count(&db, "").await, 0);
    }
    write(&db, "after").await.expect("written");
    assert_eq!(count(&db, "").await, 1);
}

#[tokio::test]
async fn a_caller_that_goes_away_takes_no_later_write_with_it_on_servers() {
    let database = TestDatabase::create().await;
    let (db, other) = (pool(&database).await, pool(&database).await);
    db.writer().execute_unprepared(SLOW).await.expect("created");
    for step in [Step::Begin, Step::Insert, Step::Commit] {
        for pending in 1..=3 {
            go_away(&db, &other, step, pending).await;
        }
    }
}

/// A caller goes away when its transaction has been pending this many times in `step` or later.
/// Then others use the same connection, and `other` counts what they wrote.
async fn go_away(db: &Db, other: &Db, leaves_in: Step, pending: usize) {
    let turn = format!("[{leaves_in:?} {pending}]");
    let name = format!("gone {turn}");
    let step = Cell::new(Step::Begin);
    let mut writing: Pin<Box<dyn Future<Output = _>>> = Box::pin(write_in_steps(db, &name, &step));
    let mut left = pending;
    let written = poll_fn(|cx| {
        if let Poll::Ready(written) = writing.as_mut().poll(cx) {
            return Poll::Ready(Some(written));
        }
        left -= usize::from(step.get() >= leaves_in);
        if left == 0 { Poll::Ready(None) } else { Poll::Pending }
    })
    .await;
    drop(writing);
    let reading = db.begin_reading();
    // This one goes away at its first poll.
    drop(reading.now_or_never());
    let single = format!("INSERT INTO people VALUES ('single {turn}')");
    db.writer().execute_unprepared(&single).await.expect("written");
    write(db, &format!("after {turn}")).await.expect("written");
    let acknowledged =
        count(other, &format!("r {turn}")).await + count(other, &format!("single {turn}")).await;
    assert_eq!(acknowledged, 2, "after {turn}");
    let is_done = written.is_some();
    if let Some(written) = written {
        written.expect("committed");
        assert_eq!(count(other, &name).await, 1, "after {turn} an acknowledged row is lost");
    } else if step.get() < Step::Commit {
        assert_eq!(count(other, &name).await, 0, "after {turn} a row is there without a commit");
    }
    // BEGIN can be done at once. The other two are slow, so the caller goes away in them.
    if pending == 1 && leaves_in > Step::Begin {
        assert_eq!((step.get(), is_done), (leaves_in, false), "where the caller went away");
    }
}
