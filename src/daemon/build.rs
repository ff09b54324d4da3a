//! Building the [`App`]: connections, keys, pools and what ticks.

use std::future::ready;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use tokio_util::sync::CancellationToken;

use super::files;
use super::pools::Rooms;
use crate::actor::{Root, every};
use crate::app::{App, Gate};
use crate::audit::{Chain, Masters, heads};
use crate::captcha::{self, Altcha, Judge};
use crate::clock::{Clock, millis};
use crate::config::{Config, PasswordEngine};
use crate::database::Db;
use crate::http::tls::Tls;
use crate::limits::budgets::Local;
use crate::limits::device::Devices;
use crate::limits::{self, Budgets, Limiter};
use crate::mail::{self, Mailbox, Mailer, Transport};
use crate::password::{self, Breach, Hasher, Policy, Setup};
use crate::registration;
use crate::secret::MasterKey;
use crate::store::Store;
use crate::telemetry::Metrics;
use crate::token::{self, KeyRing};

/// How often heads of the audit are logged and old rows swept.
const AUDIT_EVERY: Duration = Duration::from_hours(1);

/// The first pause before a database is asked again, and the last.
const WAIT_FIRST: Duration = Duration::from_millis(250);
const WAIT_LAST: Duration = Duration::from_secs(5);

/// Why the daemon does not start.
#[derive(Debug)]
pub enum StartError {
    /// A setting is wrong in a way that only shows when it is used.
    Settings(String),
    /// A port cannot be had.
    Listen(String),
    /// A file of `data_dir` cannot be read or written.
    Files(io::Error),
    /// A part of ours cannot start.
    Broken(Box<dyn std::error::Error + Send + Sync>),
}

impl StartError {
    /// As `operations.md` §2 numbers them.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Settings(_) => crate::cli::BAD_CONFIGURATION.into(),
            _ => ExitCode::FAILURE,
        }
    }
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Settings(text) | Self::Listen(text) => f.write_str(text),
            Self::Files(error) => error.fmt(f),
            Self::Broken(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for StartError {}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> Self {
        Self::Files(error)
    }
}

/// What was built.
pub struct Built {
    /// The endpoints' view.
    pub app: Arc<App>,
    /// The supervisor.
    pub root: Root,
    /// The mailer, to be stopped last.
    pub mailer: Arc<Mailer>,
}

/// Builds everything, waiting for what is not there yet.
pub async fn build(
    config: Config,
    clock: Clock,
    metrics: Arc<Metrics>,
) -> Result<Built, StartError> {
    if config.database.is_sqlite() || config.mail.smtp_url.is_none() || config.master_key.is_none()
    {
        files::make_data_dir(&config.data_dir)?;
    }
    let master = match &config.master_key {
        Some(master) => master.clone(),
        None => files::master_key(&config.data_dir)?,
    };
    let hashing = Setup::of(&config.password);
    let ((db, keys, audit), hash_time) =
        tokio::try_join!(database(&config, &master, &clock, &metrics), prove_hashing(&hashing))?;
    let audit = audit.counting(metrics.clone());
    let store = match &config.redis_url {
        Some(url) => Store::connect_redis(url)
            .map_err(|error| StartError::Settings(format!("redis.url: {error}")))?,
        None => Store::embedded(db.clone()),
    };
    store.watch(&metrics);
    warn_of_eviction(&store).await;
    let (transport, mailbox) = transport(&config).await?;
    let mailer = Arc::new(mailer(&config, &db, &store, transport, &clock, &master)?);
    let limiter = Arc::new(Limiter::new(clock.clone(), config.rate_limit_enabled));
    let local = Arc::new(Local::new(clock.clone(), config.rate_limit_replicas));
    let captcha = judge(&config, &master, &clock, &metrics)?;
    let breach = breach(&config, &clock, &metrics)?;
    let root = Root::spawn().await.map_err(|error| StartError::Broken(error.into()))?;
    let rooms = Rooms {
        config: &config,
        db: &db,
        store: &store,
        audit: &audit,
        clock: &clock,
        metrics: &metrics,
        mailer: &mailer,
        limiter: &limiter,
        local: &local,
        hashing: &hashing,
        hash_time,
        captcha: &captcha,
    };
    let pools = rooms.open(&root).await.map_err(|error| StartError::Broken(error.into()))?;
    let budgets = Budgets::new(&master, local, config.rate_limit_enabled, metrics.clone());
    let app = Arc::new(App {
        policy: Policy::new(config.password.min_length),
        gate: Gate::new(config.http.max_in_flight),
        db,
        store,
        keys,
        audit,
        pools,
        limiter,
        budgets,
        captcha,
        breach,
        devices: Devices::new(&master, config.master_key_previous.as_ref()),
        mailbox,
        clock,
        metrics,
        config,
    });
    Ok(Built { app, root, mailer })
}

/// Holds the fast engine to the reference before it may touch a password, and measures what a hash takes. Wrong tags
/// refuse the start, like any setting that does not hold here.
async fn prove_hashing(hashing: &Setup) -> Result<Duration, StartError> {
    let hashing = hashing.clone();
    let prove = move || {
        if hashing.engine == PasswordEngine::Simd {
            password::self_test(hashing.engine, hashing.params)
                .map_err(|error| StartError::Settings(format!("password.engine: {error}")))?;
        }
        let timed = Hasher::new(hashing).and_then(|mut hasher| hasher.time_one());
        timed.map_err(|error| StartError::Settings(format!("password.memory_kib: {error}")))
    };
    let proven = tokio::task::spawn_blocking(prove).await;
    proven.map_err(|error| StartError::Broken(error.into()))?
}

/// What judges captchas.
fn judge(
    config: &Config,
    master: &MasterKey,
    clock: &Clock,
    metrics: &Arc<Metrics>,
) -> Result<Arc<Judge>, StartError> {
    let settings = &config.captcha;
    let limits = captcha::vendor::LIMITS;
    let vendor = captcha::Vendor::new(settings, limits, clock.clone(), metrics.clone())
        .map_err(StartError::Broken)?;
    let challenges = |master: &MasterKey| master.derive("captcha");
    let before = config.master_key_previous.as_ref().map(challenges);
    let altcha = Altcha::new(&challenges(master)).and_before(before.as_ref());
    Ok(Judge::new(settings.provider, altcha, vendor, settings.fallback_altcha))
}

/// The service of breached passwords, where one is configured.
fn breach(
    config: &Config,
    clock: &Clock,
    metrics: &Arc<Metrics>,
) -> Result<Option<Arc<Breach>>, StartError> {
    let Some(url) = &config.password.breach_url else { return Ok(None) };
    let limits = password::breach::LIMITS;
    let breach = Breach::new(url, limits, clock.clone(), metrics.clone());
    Ok(Some(Arc::new(breach.map_err(StartError::Broken)?)))
}

/// The master key as a daemon has it, for a command that runs beside one; makes none.
pub fn master_key(config: &Config) -> Result<MasterKey, StartError> {
    if let Some(master) = &config.master_key {
        return Ok(master.clone());
    }
    let file = config.data_dir.join(files::MASTER_KEY_FILE);
    if !file.exists() {
        let text = format!("there is neither `secrets.master_key` nor {}", file.display());
        return Err(StartError::Settings(text));
    }
    Ok(files::master_key(&config.data_dir)?)
}

/// The database, migrated where that is ours to do, and the keys out of it. Waits as long as it takes: replicas and
/// their database start in any order.
async fn database(
    config: &Config,
    master: &MasterKey,
    clock: &Clock,
    metrics: &Arc<Metrics>,
) -> Result<(Db, KeyRing, Chain), StartError> {
    let mut wait = WAIT_FIRST;
    loop {
        match try_database(config, master, clock, metrics).await {
            Ok(ready) => return Ok(ready),
            Err(error) if config.database.is_sqlite() => return Err(StartError::Broken(error)),
            Err(error) => tracing::warn!(
                error = %error,
                "the database is not ready (unreachable, or not migrated: `latchkey migrate up`), waiting"
            ),
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(WAIT_LAST);
    }
}

async fn try_database(
    config: &Config,
    master: &MasterKey,
    clock: &Clock,
    metrics: &Arc<Metrics>,
) -> Result<(Db, KeyRing, Chain), Box<dyn std::error::Error + Send + Sync>> {
    let mut db = Db::connect(&config.database).await?;
    if config.database.auto_migrate {
        db.migrate().await?;
    }
    count_migrations(&db, metrics).await;
    db.watch(metrics);
    let keys = KeyRing::load(token::Needs {
        db: db.clone(),
        master: master.clone(),
        previous: config.master_key_previous.clone(),
        tokens: config.tokens.clone(),
        absolute_ttl: config.sessions.absolute_ttl,
        clock: clock.clone(),
    })
    .await?;
    let masters = Masters { current: master, previous: config.master_key_previous.as_ref() };
    let audit = Chain::load(&db, masters, clock.now()).await?;
    Ok((db, keys, audit))
}

/// How many migrations the database lacks; unchanged where it does not answer.
async fn count_migrations(db: &Db, metrics: &Metrics) {
    if let Ok(pending) = db.pending_migrations().await {
        metrics.migrations_pending.record(pending.len() as u64, &[]);
    }
}

/// A Redis that evicts would sign people out at random, and forget spent captchas.
async fn warn_of_eviction(store: &Store) {
    if let Ok(Some(policy)) = store.eviction_policy().await
        && policy != "noeviction"
    {
        tracing::warn!(policy, "redis may evict sessions: set maxmemory-policy to noeviction");
    }
}

async fn transport(config: &Config) -> Result<(Transport, Option<Arc<Mailbox>>), StartError> {
    if let Some(url) = &config.mail.smtp_url {
        let smtp = Transport::smtp(url)
            .map_err(|error| StartError::Settings(format!("mail.smtp_url: {error}")))?;
        return Ok((smtp, None));
    }
    let mailbox = Mailbox::open(&config.data_dir.join("mailbox")).await?;
    Ok((Transport::mailbox(mailbox.clone()), Some(Arc::new(mailbox))))
}

fn mailer(
    config: &Config,
    db: &Db,
    store: &Store,
    transport: Transport,
    clock: &Clock,
    master: &MasterKey,
) -> Result<Mailer, StartError> {
    Mailer::new(mail::Setup {
        db: db.clone(),
        store: store.clone(),
        transport,
        clock: clock.clone(),
        token_key: master.derive("mail-token"),
        public_url: config.public_url.clone(),
        verification_ttl: config.verification_ttl,
        recovery_ttl: config.recovery_ttl,
        from: config.mail.from.clone(),
    })
    .map_err(|error| StartError::Settings(format!("mail.from: {error}")))
}

/// The rotation's next step, and what other replicas did; and how old the keys are.
pub async fn turn_keys(app: Arc<App>) {
    if let Err(error) = app.keys.turn().await {
        tracing::warn!(error = %error, "signing keys not read again, the ones in memory stay");
    }
    measure_keys(&app);
}

fn measure_keys(app: &App) {
    let (keys, now) = (app.keys.current().clone(), app.clock.now());
    for key in [&keys.user, &keys.vault] {
        if let Some(since) = key.signs_from {
            let age = Duration::from_millis(u64::try_from(now - since).unwrap_or(0));
            let kind = [KeyValue::new("kind", key.kind.name())];
            app.metrics.signing_key_age.record(age.as_secs_f64(), &kind);
        }
    }
}

/// Starts what happens at its own pace.
pub fn tick(built: &Built, tls: Option<Arc<Tls>>, stop: &CancellationToken) {
    let app = &built.app;
    measure_keys(app);
    let pools = app.pools.clone();
    let mailer = pools.mailer.clone();
    let sweep = move || {
        let _ = mailer.nudge(mail::Message::Sweep);
        ready(())
    };
    // What was due when the last daemon stopped, or died.
    drop(sweep());
    every(Duration::from_secs(5), stop.clone(), sweep);
    let limits = pools.limits.clone();
    every(Duration::from_mins(1), stop.clone(), move || {
        let _ = limits.nudge(limits::Message::Sweep);
        ready(())
    });
    let (clock, unverified_ttl) = (app.clock.clone(), app.config.registration.unverified_ttl);
    every(Duration::from_mins(10), stop.clone(), move || {
        let before = clock.now() - millis(unverified_ttl);
        let _ = pools.registration.nudge(registration::Message::Collect { before });
        let _ = pools.mailer.nudge(mail::Message::Forget);
        ready(())
    });
    let keyed = app.clone();
    every(token::keys::RELOAD_EVERY, stop.clone(), move || turn_keys(keyed.clone()));
    if app.metrics.is_pushed() {
        let metrics = app.metrics.clone();
        every(app.config.telemetry.interval, stop.clone(), move || {
            let metrics = metrics.clone();
            async move { metrics.push().await }
        });
    }
    let counted = app.clone();
    every(Duration::from_mins(1), stop.clone(), move || {
        let app = counted.clone();
        async move { count_migrations(&app.db, &app.metrics).await }
    });
    let swept = app.clone();
    every(Duration::from_mins(10), stop.clone(), move || {
        let app = swept.clone();
        async move {
            if let Err(error) = token::revocation::sweep(&app.db, app.clock.now()).await {
                tracing::warn!(error = %error, "expired revocations not swept");
            }
        }
    });
    let audited = app.clone();
    every(AUDIT_EVERY, stop.clone(), move || {
        let app = audited.clone();
        async move { keep_audit(&app).await }
    });
    if let Some(tls) = tls {
        every(Duration::from_secs(10), stop.clone(), move || {
            tls.reload();
            ready(())
        });
    }
}

/// Writes the heads that moved to the log, for a copy outside of the database, and removes what is too old.
async fn keep_audit(app: &App) {
    let since = app.clock.now() - millis(AUDIT_EVERY) * 2;
    if let Err(error) = log_heads(app, since).await {
        tracing::warn!(error = %error, "heads of the audit not logged, the next hour will");
    }
    let before = app.clock.now() - millis(app.config.audit_retention);
    match crate::audit::sweep(&app.db, &app.audit, before).await {
        Ok(swept) if swept.events + swept.streams == 0 => {}
        Ok(swept) => tracing::info!(events = swept.events, streams = swept.streams, "audit swept"),
        Err(error) => tracing::warn!(error = %error, "audit not swept, the next hour will"),
    }
}

async fn log_heads(
    app: &App,
    since: crate::clock::UnixMillis,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut after = uuid::Uuid::nil();
    loop {
        let page = heads::page(&app.db, since, after).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.stream;
        let count = page.len();
        let issuer = &app.config.tokens.issuer;
        let signed = heads::sign(&app.keys.current(), issuer, app.clock.now_seconds(), page)?;
        tracing::info!(count, heads = signed, "audit heads");
    }
}
