//! Real servers. A test uses its own database on the shared servers, or private servers that it is
//! allowed to kill.
//!
//! `scripts/test` starts the shared PostgreSQL and Redis. It sets the variables `LATCHKEY_TEST_*`
//! to the addresses of these servers and to the paths of their programs.
#![allow(dead_code, reason = "a harness offers more than one state of the tests uses")]

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use latchkey::secret::random_bytes;
use sea_orm::{ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, DbErr};
use tempfile::TempDir;

use crate::poll::eventually;
use crate::postgres;

/// The maximum time from the start of a server to its first response.
const START: Duration = Duration::from_secs(20);

/// Returns a variable that `scripts/test` sets.
#[expect(clippy::disallowed_methods, reason = "the tests' servers are told by the environment")]
fn told(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

pub fn must_be_told(name: &str) -> String {
    told(name)
        .unwrap_or_else(|| panic!("{name} is not set: run scripts/test, which starts the servers"))
}

/// Returns the path of the file that collects the codes of operations, or `None` if it is not set.
pub fn seen_codes() -> Option<String> {
    told("LATCHKEY_TEST_SEEN")
}

/// Returns the number of rounds of a soak test. It is `long` if `scripts/test --all` runs the
/// tests.
pub fn rounds(usual: u32, long: u32) -> u32 {
    if told("LATCHKEY_TEST_LONG").is_some() { long } else { usual }
}

/// A PostgreSQL database for one test. The database is deleted when the value is dropped, even if
/// the test fails.
pub struct TestDatabase {
    maintenance_url: String,
    name: String,
}

impl TestDatabase {
    /// Creates an empty database on the shared server.
    pub async fn create() -> Self {
        let maintenance_url = must_be_told("LATCHKEY_TEST_POSTGRES_URL");
        let number = u64::from_be_bytes(random_bytes::<8>());
        let name = format!("latchkey_test_{number:016x}");
        let connection = connect(&maintenance_url).await.expect("the test server answers");
        connection.execute_unprepared(&format!("CREATE DATABASE {name}")).await.expect("created");
        connection.close().await.expect("closed");
        Self { maintenance_url, name }
    }

    /// Returns the URL of the database: `postgres://…/name`.
    pub fn url(&self) -> String {
        let (server, _) = self.maintenance_url.rsplit_once('/').expect("the URL names a database");
        format!("{server}/{}", self.name)
    }
}

impl Drop for TestDatabase {
    /// The deletion runs on its own thread and its own runtime, because the runtime of the test is
    /// perhaps already ending.
    fn drop(&mut self) {
        let url = self.maintenance_url.clone();
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let connection = connect(&url).await.map_err(std::io::Error::other)?;
                connection.execute_unprepared(&sql).await.map_err(std::io::Error::other)
            })
        });
        let dropped = dropping.join().expect("dropping a database does not panic");
        if let Err(error) = dropped {
            eprintln!("the database {} is left behind: {error}", self.name);
        }
    }
}

/// Opens one connection to a PostgreSQL.
pub async fn connect(url: &str) -> Result<DatabaseConnection, DbErr> {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false).connect_timeout(Duration::from_secs(10));
    Database::connect(options).await
}

/// Returns the URL of an empty logical database on the shared Redis. No other running test uses
/// this database.
///
/// The number of the database comes from a counter in database 0. Therefore tests in other
/// processes do not get the same number.
pub async fn redis_space() -> String {
    let server = must_be_told("LATCHKEY_TEST_REDIS_URL");
    let mut zero = redis_connection(&server).await.expect("the test server answers");
    let settings: Vec<String> = redis::cmd("CONFIG")
        .arg(&["GET", "databases"])
        .query_async(&mut zero)
        .await
        .expect("it says how many databases it has");
    let databases: u64 = settings.get(1).and_then(|n| n.parse().ok()).expect("a number");
    let turn: u64 =
        redis::cmd("INCR").arg("latchkey-tests").query_async(&mut zero).await.expect("counted");
    let url = format!("{}/{}", server.trim_end_matches('/'), 1 + turn % (databases - 1));
    let mut space = redis_connection(&url).await.expect("the space answers");
    redis::cmd("FLUSHDB").exec_async(&mut space).await.expect("emptied");
    url
}

/// Opens a connection to a Redis, so that a test can read or change its data.
pub async fn redis_connection(url: &str) -> redis::RedisResult<redis::aio::MultiplexedConnection> {
    redis::Client::open(url)?.get_multiplexed_async_connection().await
}

/// A signal that a test sends to a server process.
#[derive(Clone, Copy, Debug)]
pub enum Signal {
    /// Pauses the process. Its sockets stay open.
    Stop,
    /// Continues a paused process.
    Continue,
    /// Ends the process at once.
    Kill,
    /// Ends PostgreSQL with its immediate shutdown. There is no checkpoint, so the next start is a
    /// recovery.
    Quit,
}

impl Signal {
    fn flag(self) -> &'static str {
        match self {
            Self::Stop => "-STOP",
            Self::Continue => "-CONT",
            Self::Kill => "-KILL",
            Self::Quit => "-QUIT",
        }
    }
}

/// A server for one test, on a fixed loopback port. When the value is dropped, the server is killed
/// by its process id, and its data is deleted.
pub struct PrivateServer {
    kind: Kind,
    port: u16,
    directory: TempDir,
    arguments: Vec<String>,
    child: Option<Child>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Redis,
    Postgres,
}

impl PrivateServer {
    /// Starts a Redis that writes every command to its disk at once, so that acknowledged commands
    /// survive a kill.
    pub async fn redis() -> Self {
        Self::redis_with(Vec::new()).await
    }

    /// Starts a Redis like [`Self::redis`] with further arguments.
    pub async fn redis_with(arguments: Vec<String>) -> Self {
        Self::start(Kind::Redis, arguments).await
    }

    /// Starts a PostgreSQL with `fsync`, as in production.
    pub async fn postgres() -> Self {
        Self::postgres_with(Vec::new()).await
    }

    /// Starts a PostgreSQL like [`Self::postgres`] with further arguments.
    pub async fn postgres_with(arguments: Vec<String>) -> Self {
        Self::start(Kind::Postgres, arguments).await
    }

    /// Starts a streaming standby of this PostgreSQL.
    pub async fn standby_of(primary: &Self) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        postgres::copy(directory.path(), primary.port);
        Self::start_in(directory, Kind::Postgres, Vec::new()).await
    }

    /// Makes a standby the primary, and waits until it accepts writes.
    pub fn promote(&self) {
        postgres::promote(self.directory.path());
    }

    /// Runs one statement on a PostgreSQL.
    pub async fn sql(&self, statement: &str) {
        let connection = connect(&self.url()).await.expect("connected");
        connection.execute_unprepared(statement).await.expect(statement);
        connection.close().await.expect("closed");
    }

    /// Runs one command on a Redis.
    pub async fn redis_command<T: redis::FromRedisValue>(&self, line: &str) -> T {
        let mut command = redis::Cmd::new();
        for word in line.split(' ') {
            command.arg(word);
        }
        let mut connection = redis_connection(&self.url()).await.expect("it answers");
        command.query_async(&mut connection).await.expect(line)
    }

    /// Returns the data directory of the server.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Returns the URL of the server: `redis://…` or `postgres://…`.
    pub fn url(&self) -> String {
        match self.kind {
            Kind::Redis => format!("redis://127.0.0.1:{}", self.port),
            Kind::Postgres => format!("postgres://postgres@127.0.0.1:{}/postgres", self.port),
        }
    }

    /// Returns the address of the server, to which a proxy can connect.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Sends a signal to the server. After [`Signal::Kill`] or [`Signal::Quit`] it waits until the
    /// server process has ended.
    pub fn signal(&mut self, signal: Signal) {
        let Some(child) = &mut self.child else { return };
        let sent = Command::new("kill").args([signal.flag(), &child.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "{signal:?} reaches the server");
        if matches!(signal, Signal::Kill | Signal::Quit) {
            child.wait().expect("our own child");
            self.child = None;
        }
    }

    /// Starts the server again after it was killed. The port and the data are the same as before.
    pub async fn restart(&mut self) {
        assert!(self.child.is_none(), "it still runs");
        self.run();
        assert!(self.answers_in_time().await, "{:?} answers again", self.kind);
    }

    async fn start(kind: Kind, arguments: Vec<String>) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        if kind == Kind::Postgres {
            postgres::init(directory.path());
        }
        Self::start_in(directory, kind, arguments).await
    }

    async fn start_in(directory: TempDir, kind: Kind, arguments: Vec<String>) -> Self {
        let mut server = Self { kind, port: 0, directory, arguments, child: None };
        // If another program takes the free port first, the server tries another port.
        for _ in 0..5 {
            server.port = free_port();
            server.run();
            if server.answers_in_time().await {
                return server;
            }
            server.end();
        }
        panic!("{kind:?} does not start: {}", server.log());
    }

    fn run(&mut self) {
        let port = self.port.to_string();
        let place = self.directory.path();
        let mut command = match self.kind {
            Kind::Redis => {
                let mut command = Command::new(must_be_told("LATCHKEY_TEST_REDIS_BIN"));
                command.args(["--bind", "127.0.0.1", "--port", &port, "--save", ""]);
                command.args(["--appendonly", "yes", "--appendfsync", "always"]);
                command.arg("--dir").arg(place).args(&self.arguments);
                command
            }
            Kind::Postgres => {
                let mut command = postgres::program("postgres");
                command.arg("-D").arg(place.join("data")).args(["-p", &port]);
                command.args(["-c", "listen_addresses=127.0.0.1"]);
                command.arg("-c").arg(format!("unix_socket_directories={}", place.display()));
                command.args(&self.arguments);
                command
            }
        };
        let log = fs::OpenOptions::new().create(true).append(true).open(place.join("log"));
        let log = log.expect("a log");
        command.current_dir("/").stdin(Stdio::null());
        command.stdout(log.try_clone().expect("a handle")).stderr(log);
        self.child = Some(command.spawn().expect("the server's program runs"));
    }

    /// Waits until the server responds. Returns false if the server ended or took too long.
    async fn answers_in_time(&mut self) -> bool {
        let (kind, url) = (self.kind, self.url());
        let mut child = self.child.take().expect("started");
        let answered = eventually("the start of a server", START, async || {
            if child.try_wait().expect("our own child").is_some() {
                return Some(false);
            }
            let answered = match kind {
                Kind::Redis => match redis_connection(&url).await {
                    Ok(mut redis) => redis::cmd("PING").exec_async(&mut redis).await.is_ok(),
                    Err(_) => false,
                },
                Kind::Postgres => connect(&url).await.is_ok(),
            };
            answered.then_some(true)
        })
        .await;
        self.child = Some(child);
        answered
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// Ends PostgreSQL with its immediate shutdown, so that none of its processes remains. Kills
    /// the process if it still runs after that.
    fn end(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let id = child.id().to_string();
        let flags: &[&str] =
            if self.kind == Kind::Postgres { &["-CONT", "-QUIT"] } else { &["-KILL"] };
        for flag in flags {
            let _gone_already = Command::new("kill").args([flag, id.as_str()]).status();
        }
        let _ended = child.wait();
    }
}

impl Drop for PrivateServer {
    fn drop(&mut self) {
        self.end();
    }
}

/// Returns a port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("a bound socket").port()
}

mod tests {
    use super::*;

    #[tokio::test]
    async fn every_test_has_a_place_of_its_own_on_servers() {
        let (one, other) = (TestDatabase::create().await, TestDatabase::create().await);
        assert_ne!(one.url(), other.url());
        let connection = connect(&one.url()).await.expect("connected");
        connection
            .execute_unprepared("CREATE TABLE mine (id int)")
            .await
            .expect("a plain role may");
        assert_ne!(redis_space().await, redis_space().await);
    }

    #[tokio::test]
    async fn a_private_redis_is_killed_and_comes_back_with_its_data_on_servers() {
        let mut server = PrivateServer::redis().await;
        let mut redis = redis_connection(&server.url()).await.expect("connected");
        redis::cmd("SET").arg("a").arg("1").exec_async(&mut redis).await.expect("set");
        server.signal(Signal::Kill);
        assert!(redis_connection(&server.url()).await.is_err());
        server.restart().await;
        let mut redis = redis_connection(&server.url()).await.expect("connected");
        let kept: String = redis::cmd("GET").arg("a").query_async(&mut redis).await.expect("read");
        assert_eq!(kept, "1");
    }

    #[tokio::test]
    async fn a_private_postgres_is_ended_at_once_and_comes_back_with_its_data_on_servers() {
        let mut server = PrivateServer::postgres().await;
        let connection = connect(&server.url()).await.expect("connected");
        connection.execute_unprepared("CREATE TABLE kept (id int)").await.expect("made");
        server.signal(Signal::Quit);
        assert!(connect(&server.url()).await.is_err());
        server.restart().await;
        let connection = connect(&server.url()).await.expect("connected");
        connection.execute_unprepared("SELECT id FROM kept").await.expect("it was kept");
    }
}
