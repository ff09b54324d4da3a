//! Tests of transactions on PostgreSQL that fail, are aborted or lose their caller. Every
//! acknowledged row must be in the database. A connection must not return to its pool inside a
//! transaction.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use latchkey::config;
use latchkey::database::Db;
use sea_orm::{ConnectionTrait as _, DatabaseBackend, DbErr, Statement};

use crate::servers::TestDatabase;

/// Makes a statement and its commit take some milliseconds, so that each of them is still pending
/// when the caller polls again.
const SLOW: &str = "
CREATE FUNCTION work() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM count(*) FROM generate_series(1, 100000);
    RETURN NULL;
END $$;
CREATE TRIGGER slow_statement AFTER INSERT ON people FOR EACH ROW EXECUTE FUNCTION work();
CREATE CONSTRAINT TRIGGER slow_commit AFTER INSERT ON people DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION work();";
/// The maximum number of polls. Every transaction needs fewer polls.
const POLLS_MAX: usize = 200;

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

async fn write(db: &Db, name: &str) -> Result<(), DbErr> {
    let tx = db.begin().await?;
    tx.execute_unprepared(&format!("INSERT INTO people VALUES ('{name}')")).await?;
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

/// In each round the caller waits for one more poll than in the round before, and then goes away.
/// The rounds end when a transaction is done.
#[tokio::test]
async fn a_caller_that_goes_away_takes_no_later_write_with_it_on_servers() {
    let database = TestDatabase::create().await;
    let (db, other) = (pool(&database).await, pool(&database).await);
    db.writer().execute_unprepared(SLOW).await.expect("created");
    let furthest = go_away_until_one_is_done(&db, &other).await;
    // BEGIN, the statement and COMMIT are each pending for at least one poll.
    assert!(furthest >= 3, "no caller went away during the commit: {furthest}");
}

/// Returns the largest number of polls after which the writing transaction was still not done.
async fn go_away_until_one_is_done(db: &Db, other: &Db) -> usize {
    let mut furthest = 0;
    for polls in 0..POLLS_MAX {
        let turn = format!("[{polls}]");
        let name = format!("gone {turn}");
        let mut writing: Pin<Box<dyn Future<Output = _>>> = Box::pin(write(db, &name));
        let mut reading: Pin<Box<dyn Future<Output = _>>> =
            Box::pin(async { db.begin_reading().await.map(drop) });
        let written = polled(&mut writing, polls).await;
        drop(writing);
        let read = polled(&mut reading, polls).await;
        drop(reading);
        let single = format!("INSERT INTO people VALUES ('single {turn}')");
        db.writer().execute_unprepared(&single).await.expect("written");
        write(db, &format!("after {turn}")).await.expect("written");
        let acknowledged = count(other, &format!("r {turn}")).await
            + count(other, &format!("single {turn}")).await;
        assert_eq!(acknowledged, 2, "after {polls} polls");
        let gone = count(other, &name).await;
        match (written, read) {
            (Some(written), Some(read)) => {
                written.expect("committed");
                read.expect("begun");
                assert_eq!(gone, 1, "an acknowledged row is lost");
                return furthest;
            }
            (Some(written), None) => {
                written.expect("committed");
                assert_eq!(gone, 1, "after {polls} polls an acknowledged row is lost");
            }
            (None, _) => furthest = polls,
        }
    }
    panic!("no transaction was done after {POLLS_MAX} polls");
}

/// Polls `work` at most `polls` times and returns its result, or `None` if it is not done. Before
/// each further poll it waits until `work` is woken, which means that the server has responded.
async fn polled<T>(work: &mut Pin<Box<dyn Future<Output = T> + '_>>, polls: usize) -> Option<T> {
    let mut left = polls;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match work.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            // The last poll did not finish the work. The caller stops here and does not wait until
            // it is woken.
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
