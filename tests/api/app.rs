//! [`TestApp`]: a whole daemon in this process, over real sockets, on real stores, with a clock that tests advance.
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

/// The base of every link in mails, and the issuer. Nobody listens there: tests take the token out of the link.
pub const PUBLIC_URL: &str = "https://latchkey.test";

/// Which pair of stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// SQLite, the embedded token store, the built-in mailbox.
    Embedded,
    /// PostgreSQL, Redis, SMTP.
    Servers,
}

/// One body for both pairs of stores: `both!(name, async |app| { … })` makes the tests `name::embedded` and
/// `name::servers`; settings may stand before the body: `both!(name, ["rate_limit.enabled" = "true"], async |app| …)`;
/// `async |mut app|` may restart the daemon.
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

/// Runs one body on a fresh daemon. For [`both!`].
pub async fn run(backend: Backend, settings: &[(&str, &str)], body: impl AsyncFn(&TestApp)) {
    let mut builder = TestApp::builder(backend);
    for (key, value) in settings {
        builder = builder.set(key, value);
    }
    let app = builder.start().await;
    body(&app).await;
    app.finish().await;
}

/// Runs one body that may restart the daemon. For [`both!`].
pub async fn run_changing(backend: Backend, body: impl AsyncFn(&mut TestApp)) {
    let mut app = TestApp::start(backend).await;
    body(&mut app).await;
    app.finish().await;
}

/// The settings as the daemon would read them out of its environment.
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

/// Settings of a daemon to be.
pub struct Builder {
    backend: Backend,
    settings: BTreeMap<String, String>,
    clock: Clock,
}

impl Builder {
    /// Sets one setting by its dotted name; the last one wins, also over the harness's own.
    #[must_use]
    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.settings.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Another clock than the one that stands at the real present.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Makes the stores, then starts the daemon.
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

/// What a test wants unless it says otherwise: free ports, cheap hashes, no limits.
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

/// A running daemon and what belongs to it. End it by [`TestApp::finish`]: dropping it unfinished fails the test.
///
/// The fields stand in the order in which they have to go.
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
    /// A daemon with the harness's settings.
    pub async fn start(backend: Backend) -> Self {
        Self::builder(backend).start().await
    }

    /// Settings first; [`Builder::start`] then.
    pub fn builder(backend: Backend) -> Builder {
        let clock = Clock::manual(Clock::System.now());
        Builder { backend, settings: BTreeMap::new(), clock }
    }

    /// The daemon's inside, for what cannot be seen from outside.
    pub fn inside(&self) -> &Arc<App> {
        self.daemon.as_ref().expect("it runs").app()
    }

    /// A caller without a token.
    pub fn anonymous(&self) -> Anonymous {
        Anonymous(self.client.clone())
    }

    /// A caller of the admin listener.
    pub fn admin(&self) -> &Client {
        &self.admin
    }

    /// Where the API listens.
    pub fn public_addr(&self) -> std::net::SocketAddr {
        self.daemon.as_ref().expect("it runs").public_addr()
    }

    /// Bytes on a new connection to the public listener; the answer until it closes.
    pub async fn raw(&self, bytes: &[u8]) -> Vec<u8> {
        self.client.raw(bytes).await
    }

    /// Registers somebody; the confirmation mail is left for the test to read.
    pub async fn register(&self, email: &str) -> Person {
        Person::register(&self.client, email).await
    }

    /// Registers somebody and confirms the address: with a team, a project, and the tokens of the new session.
    pub async fn verified(&self, email: &str) -> Person {
        let mut person = self.register(email).await;
        let mail = self.mail_to(email).await;
        person.verify(mail.token()).await.expect(200);
        person
    }

    /// A worker may crash in this test.
    pub fn expect_crashes(&self) {
        self.crashes_expected.store(true, Ordering::SeqCst);
    }

    /// Mail may be left unsent in this test.
    pub fn expect_mail_left(&self) {
        self.mail_left_expected.store(true, Ordering::SeqCst);
    }

    /// Stops the daemon and starts another on the same data, with new ports: [`Person`]s of before keep the old ones.
    pub async fn restart(&mut self) {
        self.stop().await;
        let daemon = start(&self.settings, &self.clock).await;
        self.client = Client::new(daemon.public_addr());
        self.admin = Client::new(daemon.admin_addr());
        self.daemon = Some(daemon);
    }

    /// Stops the daemon, which need not wait for connections of the harness.
    async fn stop(&mut self) {
        self.client.close();
        self.admin.close();
        if let Some(daemon) = self.daemon.take() {
            daemon.stop().await;
        }
    }

    /// Another daemon on the same stores, with the same clock: one more replica.
    pub async fn replica(&self) -> Self {
        let daemon = start(&self.settings, &self.clock).await;
        Self {
            client: Client::new(daemon.public_addr()),
            admin: Client::new(daemon.admin_addr()),
            daemon: Some(daemon),
            clock: self.clock.clone(),
            settings: self.settings.clone(),
            seen: Mutex::default(),
            crashes_expected: AtomicBool::new(false),
            mail_left_expected: AtomicBool::new(false),
            sink: None,
            database: None,
            directory: tempfile::tempdir().expect("a directory"),
        }
    }

    /// Stops the daemon; fails the test when a worker or task crashed or a mail was left, unless
    /// the test said so, and when it measured what the registry does not allow.
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
