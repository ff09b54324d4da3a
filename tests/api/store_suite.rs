//! Tests of the token store on real servers. One suite runs on all stores. Further tests cause the
//! errors that only Redis has.
//!
//! The tests need `LATCHKEY_TEST_REDIS_URL`, `LATCHKEY_TEST_POSTGRES_URL` (a database that the
//! tests may migrate), and `redis-server` in the path.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{Ipv4Addr, TcpListener};
use std::process::Stdio;
use std::time::Duration;

use latchkey::clock::UnixMillis;
use latchkey::config;
use latchkey::database::Db;
use latchkey::secret::{Secret, random_id, uuid_v7};
use latchkey::store::{
    AttemptCaptcha, AttemptContext, AttemptKey, AttemptVerdict, BackOff, BudgetVerdict, Charge,
    ClientKind, OneTimeToken, PutToken, Quota, RecordMac, Refresh, Refreshed,
    SESSIONS_PER_USER_MAX, Session, Spend, Store, TokenKind,
};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use tokio::process::{Child, Command};
use tokio::time::Instant;
use uuid::Uuid;

#[path = "../../src/store/agreement.rs"]
mod agreement;
#[path = "../../src/store/attempts_suite.rs"]
pub mod attempts_suite;
#[path = "../../src/store/budgets_suite.rs"]
mod budgets_suite;
#[path = "../../src/store/recovery_suite.rs"]
mod recovery_suite;
#[path = "../../src/store/suite.rs"]
pub mod suite;

use suite::NOW;

use crate::poll::eventually;

/// Returns the address in an environment variable that must be set.
#[expect(clippy::disallowed_methods, reason = "tests take their servers from the environment")]
pub fn address(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| panic!("set {variable} to run the store's suite"))
}

/// The key that all stores of the tests use for the MACs of records.
pub fn mac() -> RecordMac {
    RecordMac::new(Secret::new([7; 32]))
}

pub fn redis_at(url: &str) -> Store {
    Store::connect_redis(&Secret::new(url.to_owned()), None, mac()).unwrap()
}

pub async fn embedded_at(url: String) -> Store {
    let config = config::Database { max_connections: 10, ..config::Database::at(&url) };
    let db = Db::connect(&config).await.unwrap();
    db.migrate().await.unwrap();
    Store::embedded(db, mac())
}

/// A Redis for one test. It ends with the test.
pub struct Server {
    port: u16,
    dir: tempfile::TempDir,
    process: Child,
}

impl Server {
    pub async fn start() -> Self {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let process = Self::spawn(free.port(), dir.path());
        let server = Self { port: free.port(), dir, process };
        server.answers().await;
        server
    }

    fn spawn(port: u16, dir: &std::path::Path) -> Child {
        Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .args(["--enable-debug-command", "yes"])
            .arg("--dir")
            .arg(dir)
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("redis-server is on the path")
    }

    async fn stop(&mut self) {
        self.process.kill().await.unwrap();
    }

    async fn restart(&mut self) {
        self.process = Self::spawn(self.port, self.dir.path());
        self.answers().await;
    }

    /// Waits until the server accepts and serves new connections.
    async fn answers(&self) {
        eventually("redis-server", Duration::from_secs(10), async || {
            (self.tell(&["PING"]).await == "+PONG\r\n").then_some(())
        })
        .await;
    }

    /// Sends one command and returns the first part of the raw response, or an empty text if there
    /// is no response.
    pub async fn tell(&self, command: &[&str]) -> String {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let address = (Ipv4Addr::LOCALHOST, self.port);
        let Ok(mut stream) = tokio::net::TcpStream::connect(address).await else {
            return String::new();
        };
        let words: Vec<_> =
            command.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
        let request = format!("*{}\r\n{}", words.len(), words.concat());
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = vec![0; 4096];
        let read = stream.read(&mut answer).await.unwrap_or(0);
        String::from_utf8_lossy(&answer[..read]).into_owned()
    }

    pub fn store(&self) -> Store {
        redis_at(&format!("redis://127.0.0.1:{}", self.port))
    }
}

/// Waits until the store responds, for at most ten seconds.
async fn heals(store: &Store) {
    let healed = async || store.ping().await.ok();
    eventually("the store to heal", Duration::from_secs(10), healed).await;
}

/// Sends one command. The store must report an outage within the time limit of a call, plus an
/// allowance for a busy machine.
async fn is_unavailable_quickly(store: &Store) {
    let asked = Instant::now();
    let error = store.session(uuid_v7(NOW), "sid", NOW).await.unwrap_err();
    assert_eq!(error.dependency, "token store");
    assert!(asked.elapsed() < Duration::from_secs(1), "told after {:?}", asked.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_holds_on_redis() {
    let store = redis_at(&address("LATCHKEY_TEST_REDIS_URL"));
    suite::holds(&store).await;
    attempts_suite::holds(&store).await;
    budgets_suite::holds(&store).await;
    assert_eq!(store.sweep(NOW).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_holds_on_postgresql() {
    let store = embedded_at(address("LATCHKEY_TEST_POSTGRES_URL")).await;
    suite::holds(&store).await;
    attempts_suite::holds(&store).await;
    budgets_suite::holds(&store).await;
    for n in 0..1_003 {
        let key = format!("{}-{n}", random_id());
        assert_eq!(store.spend_once(&key, 2, 1).await.unwrap(), Spend::First);
    }
    assert!(store.sweep(3_600_002).await.unwrap() >= 1_003);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_scripts_decide_as_the_rules_do() {
    let redis = redis_at(&address("LATCHKEY_TEST_REDIS_URL"));
    let dir = tempfile::tempdir().unwrap();
    let embedded = embedded_at(format!("sqlite://{}/rules.db", dir.path().display())).await;
    let mut runner = TestRunner::default();
    let histories = prop::collection::vec(any::<u64>(), 60..120);
    for _ in 0..60 {
        let seeds = histories.new_tree(&mut runner).unwrap().current();
        agreement::agree(&redis, &embedded, &seeds).await;
    }
}

#[tokio::test]
async fn a_stopped_server_is_an_outage_at_once_and_the_store_heals() {
    let mut server = Server::start().await;
    let store = server.store();
    store.ping().await.unwrap();
    assert_eq!(store.eviction_policy().await.unwrap().as_deref(), Some("noeviction"));
    server.stop().await;
    for _ in 0..3 {
        is_unavailable_quickly(&store).await;
    }
    server.restart().await;
    heals(&store).await;
    store.open_session(&suite::new_session(), NOW).await.expect("scripts are loaded again");
}

#[tokio::test]
async fn a_store_can_be_made_before_its_server() {
    let mut server = Server::start().await;
    server.stop().await;
    let store = server.store();
    is_unavailable_quickly(&store).await;
    server.restart().await;
    heals(&store).await;
}

#[tokio::test]
async fn a_refresh_that_a_stalled_server_runs_late_changes_nothing() {
    let server = Server::start().await;
    let store = server.store();
    let session = suite::new_session();
    let ask = Refresh {
        user_id: session.user_id,
        sid: &session.sid,
        jti: "jti-0",
        generation: 7,
        next_jti: "jti-1",
        idle_ttl: Duration::from_mins(1),
        grace: Duration::from_secs(30),
        ip: "",
        client: "",
        user_agent: "",
        seen: Some(&session),
    };
    store.open_session(&session, NOW).await.unwrap();
    // The store reads the server's clock when it changes a session.
    let epoch = session.epoch;
    let restamped = store.restamp_session(session.user_id, &session.sid, epoch, NOW).await;
    assert_eq!(restamped.unwrap().as_ref(), Some(&session));
    let stall = server.tell(&["DEBUG", "SLEEP", "2"]);
    let asked = async {
        // Waits until a ping fails, which shows that the server sleeps.
        while store.ping().await.is_ok() {}
        store.refresh(&ask, NOW).await
    };
    let (_, answer) = tokio::join!(stall, asked);
    assert!(answer.is_err());
    heals(&store).await;
    let found = store.session(session.user_id, &session.sid, NOW).await.unwrap();
    assert_eq!(found.as_ref(), Some(&session));
}

#[tokio::test]
async fn a_change_of_a_session_that_was_just_read_is_one_call() {
    let server = Server::start().await;
    let store = server.store();
    let session = Session { used: false, ..suite::new_session() };
    let (user, sid) = (session.user_id, session.sid.as_str());
    store.open_session(&session, NOW).await.unwrap();
    // The first change loads the script.
    store.restamp_session(user, sid, 4, NOW).await.unwrap();
    let is_one_call = async |what: &str| {
        let counts = server.tell(&["INFO", "commandstats"]).await;
        for count in ["cmdstat_evalsha:calls=1,", "cmdstat_get:calls=1,"] {
            assert!(counts.contains(count), "{what}: {counts}");
        }
    };
    let seen = store.session(user, sid, NOW).await.unwrap().unwrap();
    server.tell(&["CONFIG", "RESETSTAT"]).await;
    store.mark_used(&seen, NOW).await.unwrap();
    is_one_call("the first use").await;
    let seen = store.session(user, sid, NOW).await.unwrap().unwrap();
    assert!(seen.used);
    server.tell(&["CONFIG", "RESETSTAT"]).await;
    let ask = Refresh { seen: Some(&seen), ..suite::ask(&seen, "jti-0", 7, "jti-1") };
    let rotated = store.refresh(&ask, NOW).await.unwrap();
    assert!(matches!(rotated, Refreshed::Rotated(_)), "{rotated:?}");
    is_one_call("a refresh").await;
}

#[tokio::test]
async fn a_server_that_is_full_read_only_or_does_not_know_us_is_an_outage() {
    let server = Server::start().await;
    let store = server.store();
    let session = suite::new_session();
    let open = async || store.open_session(&session, NOW).await;
    open().await.unwrap();
    server.tell(&["CONFIG", "SET", "maxmemory", "1"]).await;
    assert!(open().await.is_err());
    server.tell(&["CONFIG", "SET", "maxmemory", "0"]).await;
    open().await.unwrap();
    server.tell(&["REPLICAOF", "127.0.0.1", "1"]).await;
    assert!(open().await.is_err());
    server.tell(&["REPLICAOF", "NO", "ONE"]).await;
    heals(&store).await;
    open().await.unwrap();
    server.tell(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]).await;
    assert_eq!(store.eviction_policy().await.unwrap().as_deref(), Some("allkeys-lru"));
    server.tell(&["ACL", "SETUSER", "default", "-config"]).await;
    assert_eq!(store.eviction_policy().await.unwrap(), None);
    server.tell(&["CONFIG", "SET", "requirepass", "secret"]).await;
    server.tell(&["ACL", "SETUSER", "default", "resetpass", ">secret"]).await;
    let stranger = server.store();
    assert!(stranger.open_session(&session, NOW).await.is_err());
    let known = redis_at(&format!("redis://:secret@127.0.0.1:{}", server.port));
    known.open_session(&session, NOW).await.unwrap();
}
