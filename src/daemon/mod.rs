//! The composition root: connects, migrates, starts the pools, listens, and drains in order.
//!
//! `build` makes the [`App`], `listen` binds (and says who is there already), `banner` greets, `tick` does what comes due. Nothing else knows how the
//! house is put together.

mod banner;
mod build;
mod collect;
pub mod files;
mod listen;
mod mailbox_key_file;
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
use crate::telemetry::{self, Exports, Metrics};

pub use build::StartError;
pub use collect::{CONNECT, declared_values};
pub use files::read_master_key;
pub use listen::holder;
pub use probe::Prober;
pub use tick::{AuditKeeper, turn_keys};
pub use urls::check_urls;

/// Requests in work may go on for so long after the listener is closed: a body's 15 s and an answer's 5 s.
const REQUESTS_END_WITHIN: Duration = Duration::from_secs(20);
/// Each pool finishes its queue in this time: the longest deadline of a job.
const POOL_DRAINS_WITHIN: Duration = Duration::from_secs(5);
/// Whatever hangs, the process ends so long after it stopped accepting.
const HARD_STOP: Duration = Duration::from_secs(25);

/// Pushing the last metrics may take so long.
const LAST_PUSH_WITHIN: Duration = Duration::from_secs(2);

/// A running daemon.
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
    /// The admin listener answers until everything else is done.
    stop_admin: CancellationToken,
    admin_server: JoinHandle<()>,
}

impl Daemon {
    /// Starts everything. Waits for a database or token store that is not there yet; `/readyz` says so meanwhile.
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
        let (listen_public, listen_admin) = (config.http.listen, config.admin_listen);
        let connections_max = config.http.max_connections;
        let public_server =
            listen::bind("http.listen", listen_public, listen_admin, tls.clone(), connections_max)
                .await?;
        let public_server = public_server.sharing(listen::sources(&config));
        let admin_server =
            listen::bind("admin.listen", listen_admin, listen_public, None, 64).await?;
        let public = public_server.local_addr()?;
        let admin = admin_server.local_addr()?;
        let (stop, stop_admin) = (CancellationToken::new(), CancellationToken::new());
        let (started, startup) = (Arc::new(OnceLock::new()), Arc::new(Startup::default()));
        let admin_service = Arc::new(Admin::new(started.clone(), startup.clone(), metrics.clone()));
        let accepting = root.task("accept_admin", &stop_admin);
        let admin_server = admin_server.spawn(admin_service, accepting, Duration::from_secs(1));
        let ticking = CancellationToken::new();
        tick::push(&metrics, config.telemetry.interval, &root, &ticking);
        let front = Arc::new(Front::new(&config.public_url));
        let accepting = root.task("accept_public", &stop);
        let mut building = Box::pin(build::build(config, clock, metrics, (&root, &startup)));
        // A client waits in the kernel's queue for a start that takes its usual time. It gets 503 from a daemon that
        // waits for its database.
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
        // Before `/readyz` says anything of the stores.
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

    /// Where the API listens.
    pub fn public_addr(&self) -> SocketAddr {
        self.public
    }

    /// Where operators look.
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin
    }

    /// What the endpoints see; for tests.
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// Crashes of workers and tasks since the start; for tests.
    pub fn crashes(&self) -> u64 {
        self.app.worker_crashes() + self.root.task_crashes()
    }

    /// Drains in order: readiness off, a pause in which proxies notice, no new connections, requests end, pools finish,
    /// the mailer last.
    pub async fn stop(self) {
        let pause = self.app.config.http.drain_delay;
        self.stop_after(pause, HARD_STOP).await;
    }

    /// The same after another pause; what has not ended `within` this time then is cut.
    pub async fn stop_after(self, pause: Duration, within: Duration) {
        self.app.gate.draining.store(true, Ordering::SeqCst);
        tokio::time::sleep(pause).await;
        self.root.drain();
        self.stop.cancel();
        if tokio::time::timeout(within, self.drain()).await.is_err() {
            tracing::error!("the daemon did not drain in time, what is left is cut");
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
        // After the password pool: a rehash goes from there to here.
        self.app.accounts.pool().drain(POOL_DRAINS_WITHIN).await;
        self.mailer.stop();
        app.deliveries.pool().drain(POOL_DRAINS_WITHIN).await;
        self.root.stop();
        self.stop_admin.cancel();
        let _ = self.admin_server.await;
        // The last numbers; a collector that is away costs nobody more than this.
        let _ = tokio::time::timeout(LAST_PUSH_WITHIN, self.app.metrics.push()).await;
        self.app.metrics.shutdown();
    }
}

/// The metrics, and the root that counts its tasks' crashes in them.
async fn supervisor(config: &Config) -> Result<(Arc<Metrics>, Root), StartError> {
    let metrics = Metrics::exported(&config.telemetry, &declared_values(), CONNECT)
        .map_err(|error| StartError::Settings(format!("telemetry: {error}")))?;
    let metrics = Arc::new(metrics);
    let root = Root::spawn(metrics.clone()).await;
    Ok((metrics, root.map_err(|error| StartError::Broken(error.into()))?))
}

/// Runs the daemon until a signal, or until a pool dies or a task keeps crashing; reads its
/// settings by `load` again when it is told to.
pub async fn run(loaded: Loaded, load: &dyn Fn() -> Result<Loaded, Problems>) -> ExitCode {
    survive_size_limits();
    match telemetry::open(loaded.config.log.format) {
        Ok(log) => telemetry::report_panics(log),
        Err(error) => {
            telemetry::print(&format!("error: cannot start the log's thread: {error}"));
            return ExitCode::FAILURE;
        }
    }
    let exports = match telemetry::start(&loaded.config, CONNECT) {
        Ok(exports) => exports,
        Err(error) => {
            telemetry::print(&format!("error: log or telemetry: {error}"));
            return crate::exit::BAD_CONFIGURATION.into();
        }
    };
    let exporting = CancellationToken::new();
    let code = Box::pin(serve(loaded, load, &exports, &exporting)).await;
    exporting.cancel();
    exports.finish().await;
    code
}

/// SIGXFSZ, on Linux and on the BSDs. Tokio has no name for it.
const FILE_SIZE_LIMIT: i32 = 25;

/// A file at the limit of `ulimit -f` ends a process that does not handle SIGXFSZ. With any handler the write fails
/// instead (`EFBIG`): of the log it is a line that is dropped, of SQLite a 503.
fn survive_size_limits() {
    // Tokio's handler stays when the stream is dropped.
    if let Err(error) = signal(SignalKind::from_raw(FILE_SIZE_LIMIT)) {
        telemetry::print(&format!("warning: SIGXFSZ cannot be handled: {error}"));
    }
}

/// The daemon from its start to its end.
async fn serve(
    loaded: Loaded,
    load: reload::Load<'_>,
    exports: &Exports,
    exporting: &CancellationToken,
) -> ExitCode {
    for warning in &loaded.warnings {
        tracing::warn!(setting = warning.key, fix = warning.fix, "{}", warning.what);
    }
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
            // Whoever presses Ctrl-C has no proxy that would need the pause.
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
            tracing::warn!("told to stop twice, stopping at once");
            ExitCode::FAILURE
        }
    }
}

/// How somebody told us to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// SIGTERM: an orchestrator.
    Terminate,
    /// SIGINT: a person at a terminal.
    Interrupt,
}

/// SIGTERM and SIGINT, heard from the start on: one that comes between two waits is not lost.
struct Signals(Option<(Signal, Signal)>);

impl Signals {
    fn listen() -> Self {
        let both = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
        if let (Ok(term), Ok(int)) = both {
            return Self(Some((term, int)));
        }
        tracing::error!("signals cannot be received");
        Self(None)
    }

    /// Waits for one.
    async fn told_to_stop(&mut self) -> Told {
        let Some((term, int)) = &mut self.0 else { return std::future::pending().await };
        tokio::select! {
            _ = term.recv() => Told::Terminate,
            _ = int.recv() => Told::Interrupt,
        }
    }
}
