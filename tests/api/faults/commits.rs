//! Transactions on PostgreSQL that fail, are aborted or lose their caller: what was acknowledged is in the database, and
//! no connection goes back to its pool inside a transaction.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use latchkey::config;
use latchkey::database::Db;
use latchkey::secret::Secret;
use sea_orm::{ConnectionTrait as _, DatabaseBackend, DbErr, Statement};

use crate::servers::TestDatabase;

/// A pool of one connection: whoever comes next gets the one that was left behind.
async fn pool(database: &TestDatabase) -> Db {
    let url = Secret::new(database.url());
    let config = config::Database { url, auto_migrate: false, max_connections: 1 };
    let db = Db::connect(&config).await.expect("connected");
    let create = "CREATE TABLE IF NOT EXISTS people (name TEXT UNIQUE)";
    db.writer().execute_unprepared(create).await.expect("created");
    db
}

/// Rows whose names end like this.
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

/// The caller goes away after every number of polls that a transaction needs.
#[tokio::test]
async fn a_caller_that_goes_away_takes_no_later_write_with_it_on_servers() {
    let database = TestDatabase::create().await;
    let (db, other) = (pool(&database).await, pool(&database).await);
    for polls in 0..60 {
        let name = format!("gone {polls}");
        let mut writing: Pin<Box<dyn Future<Output = _>>> = Box::pin(write(&db, &name));
        let mut reading: Pin<Box<dyn Future<Output = _>>> =
            Box::pin(async { db.begin_reading().await.map(drop) });
        polled(&mut writing, polls).await;
        drop(writing);
        polled(&mut reading, polls).await;
        drop(reading);
        let single = format!("INSERT INTO people VALUES ('single {polls}')");
        db.writer().execute_unprepared(&single).await.expect("written");
        write(&db, &format!("after {polls}")).await.expect("written");
        let acknowledged = count(&other, &format!("r {polls}")).await
            + count(&other, &format!("single {polls}")).await;
        assert_eq!(acknowledged, 2, "after {polls} polls");
    }
}

/// Polls so often at the most, and lets the server answer in between.
async fn polled(work: &mut Pin<Box<dyn Future<Output = Result<(), DbErr>> + '_>>, polls: usize) {
    for _ in 0..polls {
        let is_done = poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx).is_ready())).await;
        if is_done {
            return;
        }
        tokio::task::yield_now().await;
    }
}
