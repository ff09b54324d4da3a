//! Tests in which the n-th write of every use case fails, for every n. After a `kill -9`, another
//! process must find everything that the daemon acknowledged during the faults and after them.

mod disk;
mod facts;
mod statements;
mod use_cases;

use futures_util::future::join_all;
use latchkey::clock::Clock;
use latchkey::config;
use latchkey::database::Db;
use latchkey::secret::Secret;
use latchkey_entity::outbox::{self, OutboxState};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait as _, EntityTrait as _, PaginatorTrait as _, QueryFilter as _};

use self::disk::Disk;
use self::facts::Fact;
use self::statements::{CODES_COUNT, Moment, Statements};
use self::use_cases::UseCase;
use super::{PATIENCE, Place, Running};
use crate::client::Answer;
use crate::poll::eventually;
use crate::servers::{TestDatabase, rounds};

/// The maximum number of writes of a use case. If a use case has more writes, the test fails.
const WRITES_MAX: i32 = 200;

/// The cause of a failed write.
trait Fault {
    /// Makes the `n`-th write after this call fail.
    async fn arm(&self, case: UseCase, n: i32);
    /// Makes every write succeed again. Returns whether a write has failed.
    async fn disarm(&self) -> bool;
}

/// One run of a use case on a running daemon, with the fault during its request.
struct Stage<'a, F> {
    running: &'a Running,
    db: &'a Db,
    fault: &'a F,
    case: UseCase,
    /// The number of the write that fails, or 0 if no write fails.
    n: i32,
    has_failed: std::cell::Cell<bool>,
    /// A text that makes email addresses and names unique.
    tag: String,
}

impl<F: Fault> Stage<'_, F> {
    /// Sends the request of the use case. It is the only request that meets the fault.
    async fn act(&self, request: impl Future<Output = Answer>) -> Answer {
        if self.n == 0 {
            return request.await;
        }
        self.mailer_rests().await;
        self.fault.arm(self.case, self.n).await;
        let answer = request.await;
        self.has_failed.set(self.fault.disarm().await);
        self.withdraw_mails().await;
        answer
    }

    /// Withdraws the mails that the request made due, because no test reads them. If the delivery
    /// of a mail failed, the mailer would repeat it later, and its writes would meet the next
    /// fault.
    async fn withdraw_mails(&self) {
        outbox::Entity::update_many()
            .col_expr(outbox::Column::State, Expr::value(OutboxState::Superseded))
            .filter(outbox::Column::State.eq(OutboxState::Pending))
            .exec(self.db.writer())
            .await
            .expect("withdrawn");
    }

    /// Waits until no mail is due, so that the writes of the mailer do not meet the fault.
    async fn mailer_rests(&self) {
        eventually("the end of all deliveries", PATIENCE, async || {
            let due = outbox::Entity::find()
                .filter(outbox::Column::State.eq(OutboxState::Pending))
                .filter(outbox::Column::DueAt.lte(Clock::System.now()))
                .count(self.db.reader())
                .await;
            (due.expect("counted") == 0).then_some(())
        })
        .await;
    }
}

/// Runs one use case for every n, until no write fails. Returns the facts that were acknowledged.
async fn walk(running: &Running, db: &Db, fault: &impl Fault, case: UseCase) -> Vec<Fact> {
    let mut acknowledged = Vec::new();
    let mut refused = 0;
    for n in 1..=WRITES_MAX {
        let tag = format!("{case:?}-{n}").to_lowercase();
        let stage = Stage { running, db, fault, case, n, has_failed: false.into(), tag };
        let (answer, fact) = case.attempt(&stage).await;
        match answer.status {
            200..300 => acknowledged.push(fact),
            503 => {
                assert!(answer.header("retry-after").is_some(), "{case:?}, write {n}");
                refused += 1;
            }
            status => panic!("{case:?}, write {n}: {status} {}", answer.text()),
        }
        if !stage.has_failed.get() {
            assert!(refused > 0, "no request of {case:?} met a fault");
            return acknowledged;
        }
    }
    panic!("{case:?} writes more than {WRITES_MAX} times");
}

/// Runs all use cases and kills the daemon. Then it starts another daemon without a fault and
/// checks the facts with this daemon.
async fn nothing_acknowledged_is_lost(mut place: Place, fault: &impl Fault) {
    let mut running = place.start().await;
    let url = place.database_url();
    let config = config::Database { max_connections: 2, ..config::Database::at(url.expose()) };
    let db = Db::connect(&config).await.expect("the database");
    let mut facts = Vec::new();
    for case in UseCase::ALL {
        facts.extend(walk(&running, &db, fault, case).await);
        running.empty_mailbox().await;
    }
    // Changes that are made after the faults must also survive the kill.
    for case in UseCase::ALL {
        let tag = format!("{case:?}-after").to_lowercase();
        let (running, db) = (&running, &db);
        let stage = Stage { running, db, fault, case, n: 0, has_failed: false.into(), tag };
        let (answer, fact) = case.attempt(&stage).await;
        assert!((200..300).contains(&answer.status), "{case:?} afterwards: {}", answer.text());
        facts.push(fact);
    }
    running.daemon.kill();
    let mut place = place.without("LD_PRELOAD");
    let running = place.start().await;
    for group in facts.chunks(2) {
        join_all(group.iter().map(|fact| fact.holds(&running, &db))).await;
    }
    running.stop().await;
}

impl Place {
    fn database_url(&self) -> Secret<String> {
        let given = self.settings.iter().find(|(name, _)| name == "LATCHKEY_DATABASE__URL");
        let file = || format!("sqlite://{}", self.path("data/latchkey.db").display());
        Secret::new(given.map_or_else(file, |(_, url)| url.clone()))
    }
}

fn place() -> Place {
    Place::new().set("captcha.provider", "none")
}

/// Runs the test on SQLite, on a disk that has this failure.
async fn on_a_disk(failure: disk::Failure) {
    let (place, disk) = Disk::under(place(), failure);
    Box::pin(nothing_acknowledged_is_lost(place, &disk)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_acknowledged_write_is_lost_on_a_full_disk_embedded() {
    Box::pin(on_a_disk(disk::FULL)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_acknowledged_write_is_lost_on_a_disk_that_fails_once_embedded() {
    Box::pin(on_a_disk(disk::BROKEN_ONCE)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_acknowledged_write_is_lost_in_a_file_that_reached_its_limit_embedded() {
    Box::pin(on_a_disk(disk::TOO_BIG)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_long_runs_no_acknowledged_write_is_lost_on_a_disk_that_is_full_once_or_read_only_embedded()
 {
    let failures = [disk::FULL_ONCE, disk::READ_ONLY];
    for failure in failures.into_iter().take(rounds(0, 2) as usize) {
        Box::pin(on_a_disk(failure)).await;
    }
}

/// Runs the test on PostgreSQL. In a long run, every write meets every error code.
async fn on_a_server_that_refuses(moment: Moment) {
    for round in 0..rounds(1, CODES_COUNT) {
        let database = TestDatabase::create().await;
        let place =
            place().set("database.url", &database.url()).set("secrets.master_key", &"A".repeat(43));
        place.run(&["migrate", "up"]).expect(0);
        let statements = Statements::of(&database.url(), moment, round as usize).await;
        Box::pin(nothing_acknowledged_is_lost(place, &statements)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_acknowledged_write_is_lost_when_postgresql_refuses_statements_on_servers() {
    Box::pin(on_a_server_that_refuses(Moment::Statement)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_acknowledged_write_is_lost_when_postgresql_refuses_commits_on_servers() {
    Box::pin(on_a_server_that_refuses(Moment::Commit)).await;
}
