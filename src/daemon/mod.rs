//! The composition root: connects, migrates, starts the pools, listens, and drains in order.
//!
//! `build` creates the [`App`]. `listen` binds the ports. If a port is taken, it reports which
//! process has this port. `banner` prints the welcome text. `tick` does periodic work. No other
//! module knows how the parts are put together.

mod banner;
mod build;
mod collect;
pub mod files;
mod listen;
mod mailbox_key_file;
pub mod open_files;
mod pools;
mod probe;
mod reload;
mod tick;
mod urls;
mod wait;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::actor::Root;
use crate::app::App;
use crate::clock::Clock;
use crate::config::{Config, Loaded, Problems};
use crate::health::Startup;
use crate::http::admin::Admin;
use crate::http::dispatch::Dispatcher;
use crate::http::front::Front;
use crate::http::tls::Tls;
use crate::telemetry::labels::TaskName;
use crate::telemetry::{self, Exports, Metrics};

pub use build::StartError;
pub use collect::{CONNECT, declared_values};
pub use files::read_master_key;
pub use listen::holder;
pub use probe::Prober;
pub use tick::{AuditKeeper, turn_keys};
pub use urls::check_urls;

/// How long requests in progress may continue after the listener is closed: 15 s for a body and 5 s
/// for a response.
const REQUESTS_END_WITHIN: Duration = Duration::from_secs(20);
/// How long each pool may take to finish its queue. No job for which a client waits has a longer
/// deadline. The mailer only finishes its current mail: further mails stay in the outbox.
const POOL_DRAINS_WITHIN: Duration = Duration::from_secs(5);
/// The process ends this long after it stopped accepting connections, even if some work hangs.
const HARD_STOP: Duration = Duration::from_secs(25);

/// How long the last push of metrics may take.
const LAST_PUSH_WITHIN: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub struct Daemon {
    app: Arc<App>,
    root: Root,
    mailer: Arc<crate::mail::Mailer>,
    tls: Option<Arc<Tls>>,
    public: SocketAddr,
    admin: SocketAddr,
    stop: CancellationToken,
    ticking: CancellationToken,
    servers: Vec<JoinHandle<()>>,
    /// Stops the admin listener, which responds until everything else has ended.
    stop_admin: CancellationToken,
    admin_server: JoinHandle<()>,
}

impl Daemon {
    /// Starts everything. Waits for a database or token store that is not available yet. Meanwhile,
    /// `/readyz` reports what the daemon waits for.
    pub async fn start(config: Config, clock: Clock) -> Result<Self, StartError> {
        let (metrics, root) = supervisor(&config).await?;
        Self::start_under(root, metrics, config, clock).await
    }

    async fn start_under(
        root: Root,
        metrics: Arc<Metrics>,
        config: Config,
        clock: Clock,
    ) -> Result<Self, StartError> {
        let tls = listen::tls(&config)?;
        let (listen_public, listen_admin) = (config.http.listen, config.admin.listen);
        let public_server = listen::bind_public(&config, tls.clone()).await?;
        let admin_server = listen::bind(
            "admin.listen",
            listen_admin,
            listen_public,
            None,
            open_files::ADMIN_CONNECTIONS_MAX,
        )
        .await?;
        let public = public_server.local_addr()?;
        let admin = admin_server.local_addr()?;
        let (stop, stop_admin) = (CancellationToken::new(), CancellationToken::new());
        let (started, startup) = (Arc::new(OnceLock::new()), Arc::new(Startup::default()));
        let admin_service = Arc::new(Admin::new(started.clone(), startup.clone(), metrics.clone()));
        let accepting = root.task(TaskName::AcceptAdmin, &stop_admin);
        let admin_server = admin_server.spawn(admin_service, accepting, Duration::from_secs(1));
        let ticking = CancellationToken::new();
        tick::push(&metrics, config.telemetry.interval, &root, &ticking);
        let front = Arc::new(Front::new(&config.public_url));
        let accepting = root.task(TaskName::AcceptPublic, &stop);
        let mut building = Box::pin(build::build(config, clock, metrics, (&root, &startup)));
        // If the start does not have to wait for the database, clients wait in the kernel's queue
        // for this short time. If the start has to wait, clients get status 503.
        let first = tokio::select! {
            built = &mut building => Some(built),
            () = startup.waits() => None,
        };
        let listen = || public_server.spawn(front.clone(), accepting, REQUESTS_END_WITHIN);
        let (built, early) = if let Some(built) = first {
            drop(building);
            (built, Err(listen))
        } else {
            let server = listen();
            (building.await, Ok(server))
        };
        let built = built.inspect_err(|_| {
            ticking.cancel();
            stop.cancel();
        })?;
        // The first probe comes before `/readyz` reports anything about the stores.
        let prober = Arc::new(Prober::new(built.app.clone()));
        Box::pin(prober.probe()).await;
        let _ = started.set(built.app.clone());
        prober.start(&root, &ticking);
        tick::tick(&built.app, tls.clone(), &root, &ticking);
        front.open(Dispatcher::new(built.app.clone()));
        let server = early.unwrap_or_else(|listen| listen());
        Ok(Self {
            app: built.app,
            root,
            mailer: built.mailer,
            tls,
            public,
            admin,
            stop,
            ticking,
            servers: vec![server],
            stop_admin,
            admin_server,
        })
    }

    /// The IP address and port of the public listener.
    pub fn public_addr(&self) -> SocketAddr {
        self.public
    }

    /// The IP address and port of the admin listener.
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin
    }

    /// The state that the endpoints use, for tests.
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// How often workers and tasks have crashed since the start, for tests.
    pub fn crashes(&self) -> u64 {
        self.app.worker_crashes() + self.root.task_crashes()
    }

    /// Stops the daemon in this order: `/readyz` reports that the daemon stops, a pause lets
    /// proxies notice this, new connections are refused, requests end, pools finish their jobs, and
    /// the mailer stops last.
    pub async fn stop(self) {
        let pause = self.app.config.http.drain_delay;
        self.stop_after(pause, HARD_STOP).await;
    }

    /// Like [`Daemon::stop`], but with another pause. Work that has not ended `within` this time
    /// after the pause is aborted.
    pub async fn stop_after(self, pause: Duration, within: Duration) {
        self.app.gate.draining.store(true, Ordering::SeqCst);
        tokio::time::sleep(pause).await;
        self.root.drain();
        self.stop.cancel();
        if tokio::time::timeout(within, self.drain()).await.is_err() {
            tracing::error!(
                "requests and jobs did not end in time, so the daemon stops without them"
            );
        }
    }

    async fn drain(self) {
        for server in self.servers {
            let _ = server.await;
        }
        self.ticking.cancel();
        let app = &self.app;
        tokio::join!(
            app.passwords.pool().drain(POOL_DRAINS_WITHIN),
            app.captchas.pool().drain(POOL_DRAINS_WITHIN),
            app.admission.pool().drain(POOL_DRAINS_WITHIN),
            app.sessions.pool().drain(POOL_DRAINS_WITHIN),
        );
        // This pool drains after the password pool, because a rehash goes from the password pool to
        // this pool.
        self.app.accounts.pool().drain(POOL_DRAINS_WITHIN).await;
        self.mailer.stop();
        app.deliveries.pool().drain(POOL_DRAINS_WITHIN).await;
        self.root.stop();
        self.stop_admin.cancel();
        let _ = self.admin_server.await;
        // This sends the last metrics. A collector that does not respond delays the end by
        // [`LAST_PUSH_WITHIN`] at most.
        let _ = tokio::time::timeout(LAST_PUSH_WITHIN, self.app.metrics.push()).await;
        self.app.metrics.shutdown();
    }
}

/// Creates the metrics, and the root of all tasks. The root counts the crashes of its tasks in the
/// metrics.
async fn supervisor(config: &Config) -> Result<(Arc<Metrics>, Root), StartError> {
    let metrics = Metrics::exported(&config.telemetry, &declared_values(), CONNECT)
        .map_err(|error| StartError::Settings(format!("telemetry: {error}")))?;
    let metrics = Arc::new(metrics);
    let root = Root::spawn(metrics.clone()).await;
    Ok((metrics, root.map_err(|error| StartError::Broken(error.into()))?))
}

/// Runs the daemon until a signal, or until a pool dies or a task keeps crashing. On SIGHUP it
/// reads its settings again with `load`.
pub async fn run(loaded: Loaded, load: &dyn Fn() -> Result<Loaded, Problems>) -> ExitCode {
    survive_size_limits();
    open_files::raise();
    match telemetry::open(loaded.config.log.format) {
        Ok(log) => telemetry::report_panics(log),
        Err(error) => {
            telemetry::print(&format!("error: cannot start the thread of the log: {error}"));
            return ExitCode::FAILURE;
        }
    }
    let exports = match telemetry::start(&loaded.config, CONNECT) {
        Ok(exports) => exports,
        Err(error) => {
            telemetry::print(&format!("error: cannot start the log or the telemetry: {error}"));
            return crate::exit::BAD_CONFIGURATION.into();
        }
    };
    let exporting = CancellationToken::new();
    let code = Box::pin(serve(loaded, load, &exports, &exporting)).await;
    exporting.cancel();
    exports.finish().await;
    code
}

/// SIGXFSZ on Linux and on the BSDs. Tokio has no name for it.
const FILE_SIZE_LIMIT: i32 = 25;

/// Handles SIGXFSZ. Without a handler, the kernel ends the process when a file reaches the limit of
/// `ulimit -f`. With any handler, only the write fails (`EFBIG`): the log loses a line, or with
/// SQLite a request gets status 503.
fn survive_size_limits() {
    // Tokio's handler stays installed when the stream is dropped.
    if let Err(error) = signal(SignalKind::from_raw(FILE_SIZE_LIMIT)) {
        telemetry::print(&format!("warning: cannot handle the signal SIGXFSZ: {error}"));
    }
}

/// Runs the daemon from its start to its end.
async fn serve(
    loaded: Loaded,
    load: reload::Load<'_>,
    exports: &Exports,
    exporting: &CancellationToken,
) -> ExitCode {
    for warning in &loaded.warnings {
        tracing::warn!(setting = warning.key, fix = warning.fix, "{}", warning.what);
    }
    open_files::warn(&loaded.config);
    let (config, mut current) = (loaded.config.clone(), reload::Current::new(&loaded));
    let (mut signals, mut hangup) = (Signals::listen(), reload::Hangup::listen());
    let started = async {
        let (metrics, root) = supervisor(&loaded.config).await?;
        collect::export(exports, &root, exporting);
        let failed = root.failed().clone();
        let starting = Daemon::start_under(root, metrics, loaded.config, Clock::System);
        tokio::select! {
            started = starting => started,
            () = failed.cancelled() => Err(StartError::Supervision),
        }
    };
    let daemon = tokio::select! {
        started = started => started,
        _ = signals.told_to_stop() => return ExitCode::SUCCESS,
    };
    let daemon = match daemon {
        Ok(daemon) => daemon,
        Err(error) => {
            telemetry::print(&format!("error: {error}"));
            return error.exit_code();
        }
    };
    banner::greet(&config, &daemon);
    let failed = daemon.root.failed().clone();
    let (code, pause) = loop {
        tokio::select! {
            () = failed.cancelled() => break (ExitCode::FAILURE, config.http.drain_delay),
            // The pause is for proxies. A user who presses Ctrl-C has no proxy.
            told = signals.told_to_stop() => break match told {
                Told::Terminate => (ExitCode::SUCCESS, config.http.drain_delay),
                Told::Interrupt => (ExitCode::SUCCESS, Duration::ZERO),
            },
            () = hangup.heard() => current.reload(load, &daemon, exports),
        }
    };
    tracing::info!("stopping");
    tokio::select! {
        () = daemon.stop_after(pause, HARD_STOP) => code,
        _ = signals.told_to_stop() => {
            tracing::warn!("a second signal to stop was received, stopping at once");
            ExitCode::FAILURE
        }
    }
}

/// The signal that told the daemon to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// SIGTERM, from an orchestrator.
    Terminate,
    /// SIGINT, from a user at a terminal.
    Interrupt,
}

/// SIGTERM and SIGINT. They are received from the start on, so that a signal between two waits is
/// not lost.
struct Signals(Option<(Signal, Signal)>);

impl Signals {
    fn listen() -> Self {
        let both = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
        if let (Ok(term), Ok(int)) = both {
            return Self(Some((term, int)));
        }
        tracing::error!("cannot receive the signals SIGTERM and SIGINT");
        Self(None)
    }

    /// Waits for one of the signals.
    async fn told_to_stop(&mut self) -> Told {
        let Some((term, int)) = &mut self.0 else { return std::future::pending().await };
        tokio::select! {
            _ = term.recv() => Told::Terminate,
            _ = int.recv() => Told::Interrupt,
        }
    }
}
