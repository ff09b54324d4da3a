//! The n-th write of every use case fails, for every n. Whatever the daemon acknowledged then, and afterwards, is what
//! another process finds after `kill -9`.

mod disk;
mod statements;
mod use_cases;

use futures_util::future::join_all;
use latchkey::config;
use latchkey::database::Db;
use latchkey::secret::Secret;

use self::disk::Disk;
use self::statements::Statements;
use self::use_cases::{Fact, UseCase};
use super::{Place, Running};
use crate::client::Answer;
use crate::servers::{TestDatabase, rounds};

/// No use case writes so often; a walk that gets here never stops failing.
const WRITES_MAX: i32 = 200;

/// What makes a write fail.
trait Fault {
    /// Lets the `n`-th write from now on fail.
    async fn arm(&self, n: i32);
    /// Lets every write succeed again; whether one has failed.
    async fn disarm(&self) -> bool;
}

/// A daemon whose next request meets a fault.
struct Stage<'a, F> {
    running: &'a Running,
    fault: &'a F,
    /// The write that fails; 0: none.
    n: i32,
    /// Whether it did.
    has_failed: std::cell::Cell<bool>,
    /// Makes addresses and names unique.
    tag: String,
}

impl<F: Fault> Stage<'_, F> {
    /// Sends the one request that meets the fault.
    async fn act(&self, request: impl Future<Output = Answer>) -> Answer {
        if self.n == 0 {
            return request.await;
        }
        self.fault.arm(self.n).await;
        let answer = request.await;
        self.has_failed.set(self.fault.disarm().await);
        answer
    }
}

/// Every n of one use case; what was acknowledged.
async fn walk(running: &Running, fault: &impl Fault, case: UseCase) -> Vec<Fact> {
    let mut acknowledged = Vec::new();
    for n in 1..=WRITES_MAX {
        let tag = format!("{case:?}-{n}").to_lowercase();
        let stage = Stage { running, fault, n, has_failed: false.into(), tag };
        let (answer, fact) = case.attempt(&stage).await;
        match answer.status {
            200..300 => acknowledged.push(fact),
            503 => assert!(answer.header("retry-after").is_some(), "{case:?}, write {n}"),
            status => panic!("{case:?}, write {n}: {status} {}", answer.text()),
        }
        if !stage.has_failed.get() {
            assert!(n > 1, "{case:?} writes nothing");
            return acknowledged;
        }
    }
    panic!("{case:?} writes more than {WRITES_MAX} times");
}

/// Walks all use cases, kills the daemon, and looks with another one that meets no fault.
async fn nothing_acknowledged_is_lost(mut place: Place, fault: &impl Fault) {
    let mut running = place.start().await;
    let mut facts = Vec::new();
    for case in UseCase::ALL {
        facts.extend(walk(&running, fault, case).await);
        running.empty_mailbox().await;
    }
    // What comes after the faults lasts too.
    for case in UseCase::ALL {
        let tag = format!("{case:?}-after").to_lowercase();
        let stage = Stage { running: &running, fault, n: 0, has_failed: false.into(), tag };
        let (answer, fact) = case.attempt(&stage).await;
        assert!((200..300).contains(&answer.status), "{case:?} afterwards: {}", answer.text());
        facts.push(fact);
    }
    running.daemon.kill();
    let url = place.database_url();
    let config = config::Database { url, auto_migrate: false, max_connections: 2 };
    let db = Db::connect(&config).await.expect("the database");
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

/// On SQLite, on a disk that fails in this way.
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

/// The other errors of a disk, in long runs.
#[tokio::test(flavor = "multi_thread")]
async fn no_acknowledged_write_is_lost_on_disks_of_every_kind_embedded() {
    let kinds = [disk::TOO_BIG, disk::FULL_ONCE, disk::READ_ONLY];
    for failure in kinds.into_iter().take(rounds(1, 3) as usize) {
        Box::pin(on_a_disk(failure)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_acknowledged_write_is_lost_when_postgresql_refuses_statements_on_servers() {
    let database = TestDatabase::create().await;
    let place =
        place().set("database.url", &database.url()).set("secrets.master_key", &"A".repeat(43));
    place.run(&["migrate", "up"]).expect(0);
    let statements = Statements::of(&database.url()).await;
    Box::pin(nothing_acknowledged_is_lost(place, &statements)).await;
}
