//! [`TestApp`]: a complete daemon in this process. It uses real sockets and real stores, and a
//! clock that the test advances.
#![allow(dead_code, reason = "a harness offers more than one state of the tests uses")]

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use latchkey::app::App;
use latchkey::clock::Clock;
use latchkey::config::Config;
use latchkey::daemon::Daemon;
use latchkey::secret::random_bytes;
use tempfile::TempDir;

use crate::client::{Anonymous, Client, Person};
use crate::servers::{TestDatabase, redis_space};
use crate::smtp::SmtpSink;

/// The base URL of every link in a mail, and the issuer of the tokens. No server listens at this
/// URL. Therefore a test reads the token in a link and does not open the link.
pub const PUBLIC_URL: &str = "https://latchkey.test";

/// The pair of stores that a daemon uses in a test (the database and the token store), and the
/// place to which it sends mails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// SQLite, the embedded token store and the built-in mailbox.
    Embedded,
    /// PostgreSQL, Redis and SMTP.
    Servers,
}

/// Runs one test body on both pairs of stores. `both!(name, async |app| { … })` creates the tests
/// `name::embedded` and `name::servers`. To set settings, put them before the body: `both!(name,
/// ["rate_limit.enabled" = "true"], async |app| …)`. If the test restarts the daemon, write the
/// body as `async |mut app|`.
macro_rules! both {
    ($name:ident, async |$app:ident| $body:block) => {
        both!($name, [], async |$app| $body);
    };
    ($name:ident, async |mut $app:ident| $body:block) => {
        async fn $name($app: &mut $crate::app::TestApp) $body

        mod $name {
            #[tokio::test(flavor = "multi_thread")]
            async fn embedded() {
                $crate::app::run_changing($crate::app::Backend::Embedded, super::$name).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn servers() {
                $crate::app::run_changing($crate::app::Backend::Servers, super::$name).await;
            }
        }
    };
    ($name:ident, [$($key:literal = $value:expr),* $(,)?], async |$app:ident| $body:block) => {
        async fn $name($app: &$crate::app::TestApp) $body

        mod $name {
            const SETTINGS: &[(&str, &str)] = &[$(($key, $value)),*];

            #[tokio::test(flavor = "multi_thread")]
            async fn embedded() {
                $crate::app::run($crate::app::Backend::Embedded, SETTINGS, super::$name).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn servers() {
                $crate::app::run($crate::app::Backend::Servers, SETTINGS, super::$name).await;
            }
        }
    };
}
pub(crate) use both;

/// Runs a test body on a new daemon. [`both!`] calls this function.
pub async fn run(backend: Backend, settings: &[(&str, &str)], body: impl AsyncFn(&TestApp)) {
    let mut builder = TestApp::builder(backend);
    for (key, value) in settings {
        builder = builder.set(key, value);
    }
    let app = builder.start().await;
    body(&app).await;
    app.finish().await;
}

/// Runs a test body that can restart the daemon. [`both!`] calls this function.
pub async fn run_changing(backend: Backend, body: impl AsyncFn(&mut TestApp)) {
    let mut app = TestApp::start(backend).await;
    body(&mut app).await;
    app.finish().await;
}

/// Parses these settings in the same way as the daemon parses its environment variables.
pub fn config(settings: &BTreeMap<String, String>) -> Config {
    let environment: BTreeMap<String, String> = settings
        .iter()
        .map(|(key, value)| {
            (format!("LATCHKEY_{}", key.replace('.', "__").to_uppercase()), value.clone())
        })
        .collect();
    let inputs = latchkey::config::Inputs {
        files: Vec::new(),
        environment: &environment,
        flags: &[],
        machine: latchkey::config::Machine { cores: 2, log_on_terminal: false },
    };
    match latchkey::config::load(&inputs) {
        Ok(loaded) => loaded.config,
        Err(problems) => panic!("the settings of a test are wrong: {problems}"),
    }
}

/// The settings of a daemon that has not started yet.
pub struct Builder {
    backend: Backend,
    settings: BTreeMap<String, String>,
    clock: Clock,
}

impl Builder {
    /// Sets one setting by its dotted name. The new value replaces an earlier value and the default
    /// value of the harness.
    #[must_use]
    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.settings.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Replaces the default clock. The default clock shows the time of its creation until the test
    /// advances it.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Creates the stores, then starts the daemon.
    pub async fn start(self) -> TestApp {
        let directory = tempfile::tempdir().expect("a directory");
        let mut settings = defaults(&directory);
        let (mut sink, mut database) = (None, None);
        if self.backend == Backend::Servers {
            let smtp = SmtpSink::start().await;
            settings.insert("mail.smtp_url".into(), smtp.url());
            sink = Some(smtp);
            settings.insert("secrets.master_key".into(), STANDARD.encode(random_bytes::<32>()));
            if !self.settings.contains_key("database.url") {
                let fresh = TestDatabase::create().await;
                settings.insert("database.url".into(), fresh.url());
                database = Some(fresh);
            }
            if !self.settings.contains_key("redis.url") {
                settings.insert("redis.url".into(), redis_space().await);
            }
            settings.insert("database.auto_migrate".into(), "true".into());
            settings.insert("database.max_connections".into(), "8".into());
        }
        settings.extend(self.settings);
        let daemon = start(&settings, &self.clock).await;
        TestApp {
            client: Client::new(daemon.public_addr()),
            admin: Client::new(daemon.admin_addr()),
            daemon: Some(daemon),
            clock: self.clock,
            settings,
            seen: Mutex::default(),
            crashes_expected: AtomicBool::new(false),
            mail_left_expected: AtomicBool::new(false),
            sink,
            database,
            directory,
        }
    }
}

/// The default settings of a test: free ports, cheap password hashes and no rate limits.
pub fn defaults(directory: &TempDir) -> BTreeMap<String, String> {
    let data_dir = directory.path().join("data").display().to_string();
    [
        ("http.listen", "127.0.0.1:0"),
        ("http.drain_delay", "0s"),
        ("admin.listen", "127.0.0.1:0"),
        ("public_url", PUBLIC_URL),
        ("data_dir", data_dir.as_str()),
        ("mail.from", "Latchkey <auth@latchkey.test>"),
        ("password.memory_kib", "64"),
        ("password.iterations", "1"),
        ("password.parallelism", "1"),
        ("password.workers", "2"),
        ("rate_limit.enabled", "false"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}

async fn start(settings: &BTreeMap<String, String>, clock: &Clock) -> Daemon {
    match Daemon::start(config(settings), clock.clone()).await {
        Ok(daemon) => daemon,
        Err(error) => panic!("the daemon does not start: {error}"),
    }
}

/// A running daemon with its stores, clients and settings. A test must end with
/// [`TestApp::finish`]. If the test drops the `TestApp` without `finish`, the test fails.
///
/// Rust drops the fields in the order in which they are declared: the daemon before its stores.
pub struct TestApp {
    daemon: Option<Daemon>,
    client: Client,
    admin: Client,
    pub clock: Clock,
    settings: BTreeMap<String, String>,
    pub(crate) seen: Mutex<HashSet<String>>,
    crashes_expected: AtomicBool,
    mail_left_expected: AtomicBool,
    pub(crate) sink: Option<SmtpSink>,
    database: Option<TestDatabase>,
    directory: TempDir,
}

impl TestApp {
    /// Starts a daemon with the default settings.
    pub async fn start(backend: Backend) -> Self {
        Self::builder(backend).start().await
    }

    /// Returns a builder, to change settings before [`Builder::start`].
    pub fn builder(backend: Backend) -> Builder {
        let clock = Clock::manual(Clock::System.now());
        Builder { backend, settings: BTreeMap::new(), clock }
    }

    /// Returns the internal state of the daemon, so that a test can check facts that no response
    /// shows.
    pub fn inside(&self) -> &Arc<App> {
        self.daemon.as_ref().expect("it runs").app()
    }

    /// Returns a client without a token.
    pub fn anonymous(&self) -> Anonymous {
        Anonymous(self.client.clone())
    }

    /// Returns a client of the admin listener.
    pub fn admin(&self) -> &Client {
        &self.admin
    }

    pub fn public_addr(&self) -> std::net::SocketAddr {
        self.daemon.as_ref().expect("it runs").public_addr()
    }

    /// Sends these bytes on a new connection to the public listener. Returns all bytes that the
    /// daemon sends until it closes the connection.
    pub async fn raw(&self, bytes: &[u8]) -> Vec<u8> {
        self.client.raw(bytes).await
    }

    /// Registers an account. The confirmation mail stays in the mailbox, so that the test can read
    /// it.
    pub async fn register(&self, email: &str) -> Person {
        Person::register(&self.client, email).await
    }

    /// Registers an account and confirms its email address. The user then has a team, a project and
    /// the tokens of the new session.
    pub async fn verified(&self, email: &str) -> Person {
        let mut person = self.register(email).await;
        let mail = self.mail_to(email).await;
        person.verify(mail.token()).await.expect(200);
        person
    }

    /// Allows workers to crash in this test. Without this call, a crash fails the test.
    pub fn expect_crashes(&self) {
        self.crashes_expected.store(true, Ordering::SeqCst);
    }

    /// Allows mails to stay unsent in this test. Without this call, an unsent mail fails the test.
    pub fn expect_mail_left(&self) {
        self.mail_left_expected.store(true, Ordering::SeqCst);
    }

    /// Stops the daemon and starts another daemon on the same data, with new ports. A [`Person`]
    /// that the test created before the restart still uses the old ports.
    pub async fn restart(&mut self) {
        self.stop().await;
        let daemon = start(&self.settings, &self.clock).await;
        self.client = Client::new(daemon.public_addr());
        self.admin = Client::new(daemon.admin_addr());
        self.daemon = Some(daemon);
    }

    /// Closes the connections of the harness, so that the daemon does not wait for them. Then stops
    /// the daemon.
    async fn stop(&mut self) {
        self.client.close();
        self.admin.close();
        if let Some(daemon) = self.daemon.take() {
            daemon.stop().await;
        }
    }

    /// Starts one more daemon (a replica) on the same stores, with the same clock.
    pub async fn replica(&self) -> Self {
        self.replica_with(&[]).await
    }

    /// Starts a replica that has other values for some settings.
    pub async fn replica_with(&self, changed: &[(&str, &str)]) -> Self {
        let mut settings = self.settings.clone();
        settings.extend(changed.iter().map(|(key, value)| ((*key).into(), (*value).into())));
        let daemon = start(&settings, &self.clock).await;
        Self {
            client: Client::new(daemon.public_addr()),
            admin: Client::new(daemon.admin_addr()),
            daemon: Some(daemon),
            clock: self.clock.clone(),
            settings,
            seen: Mutex::default(),
            crashes_expected: AtomicBool::new(false),
            mail_left_expected: AtomicBool::new(false),
            sink: None,
            database: None,
            directory: tempfile::tempdir().expect("a directory"),
        }
    }

    /// Stops the daemon. Fails the test if a worker or a task crashed, or if a mail was not sent,
    /// unless the test allowed this. Also fails the test if a metric is not in the registry.
    pub async fn finish(mut self) {
        if !self.mail_left_expected.load(Ordering::SeqCst) {
            self.outbox_is_empty().await;
        }
        let crashes = self.daemon.as_ref().map_or(0, Daemon::crashes);
        crate::telemetry::registry::hold(&self.inside().metrics.render());
        self.stop().await;
        assert!(
            crashes == 0 || self.crashes_expected.load(Ordering::SeqCst),
            "{crashes} workers or tasks crashed: see the test's output"
        );
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        assert!(
            self.daemon.is_none() || std::thread::panicking(),
            "end the test with app.finish().await: it looks for crashes and lost mail"
        );
    }
}
