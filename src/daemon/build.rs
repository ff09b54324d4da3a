//! Builds the [`App`]: connections, keys and pools.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use super::pools::Dependencies;
use super::{files, mailbox_key_file, wait};
use crate::actor::Root;
use crate::admission::budgets::{BudgetSizes, Local};
use crate::admission::{Admission, Limiter};
use crate::app::{App, Gate};
use crate::captcha::{self, Altcha, Verifier};
use crate::clock::Clock;
use crate::config::{CaptchaFallback, Config, PasswordEngine};
use crate::database::Db;
use crate::database::tenant_scope;
use crate::health::Startup;
use crate::http::pages::site;
use crate::mail::{self, LinkTtls, Mailbox, MailboxKey, Mailer, Transport};
use crate::password::{self, Breach, Hasher, Policy, Setup};
use crate::secret::{MasterKey, redact};
use crate::store::Store;
use crate::telemetry::Metrics;

/// Why the daemon does not start.
#[derive(Debug)]
pub enum StartError {
    /// A setting is wrong, but this is found only when the setting is used.
    Settings(String),
    /// The daemon cannot listen on a port.
    Listen(String),
    /// A file of `data_dir` cannot be read or written.
    Files(io::Error),
    /// A task crashed again and again before the start was complete.
    Supervision,
    /// A part of the daemon cannot start.
    Broken(Box<dyn std::error::Error + Send + Sync>),
}

impl StartError {
    /// The exit code, as the CLI documents it.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Settings(_) | Self::Files(_) => crate::exit::BAD_CONFIGURATION.into(),
            _ => ExitCode::FAILURE,
        }
    }
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Settings(text) | Self::Listen(text) => f.write_str(text),
            Self::Files(error) => error.fmt(f),
            Self::Supervision => {
                f.write_str("a background task crashes again and again: see the log for its name")
            }
            Self::Broken(error) => f.write_str(&redact(&error.to_string())),
        }
    }
}

impl std::error::Error for StartError {}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> Self {
        Self::Files(error)
    }
}

/// The result of [`build`].
pub struct Built {
    /// The state that the endpoints use.
    pub app: Arc<App>,
    /// The mailer, which has to stop last.
    pub mailer: Arc<Mailer>,
}

/// Builds all parts of the daemon, and waits for stores that are not available yet.
pub async fn build(
    config: Config,
    clock: Clock,
    metrics: Arc<Metrics>,
    (root, startup): (&Root, &Startup),
) -> Result<Built, StartError> {
    if config.database.is_sqlite()
        || config.mail.smtp_url.is_none()
        || config.secrets.master_key.is_none()
    {
        files::make_data_dir(&config.data_dir)?;
    }
    let master = files::read_or_make_master_key(&config)?;
    let hashing = Setup::of(&config.password);
    let database = wait::for_database(&config, &master, &clock, (&metrics, startup));
    let ((db, keys, audit), hash_time) = tokio::try_join!(database, prove_hashing(&hashing))?;
    let audit = audit.counting(metrics.clone());
    let keys = Arc::new(keys);
    let store = match &config.redis.url {
        Some(url) => Store::connect_redis(url, config.redis.ca_file.as_deref(), keys.record_mac())
            .map_err(|error| StartError::Settings(format!("redis.url: {error}")))?,
        None => Store::embedded(db.clone(), keys.record_mac()),
    };
    store.watch(&metrics);
    warn_of_eviction(&store).await;
    warn_of_bypass(&db).await;
    let (transport, mailbox) = transport(&config).await?;
    let mailbox_key = mailbox_key(&config);
    let mailer = Arc::new(mailer(&config, &db, &store, transport, &clock, &master)?);
    let limiter = Arc::new(Limiter::new(clock.clone(), config.rate_limit.enabled));
    let sizes = BudgetSizes::of(&config);
    let local = Arc::new(Local::new(clock.clone(), config.rate_limit, sizes));
    let captcha = verifier(&config, &master, &clock, &metrics)?;
    let breach =
        Breach::of(&config.password, &clock, &metrics).map_err(StartError::Broken)?.map(Arc::new);
    let dependencies = Dependencies {
        config: &config,
        db: &db,
        store: &store,
        keys: &keys,
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
    let handles =
        dependencies.open(root).await.map_err(|error| StartError::Broken(error.into()))?;
    let admission = Admission::new(
        (&master, config.secrets.master_key_previous.as_ref()),
        (store.clone(), clock.clone()),
        (limiter, local),
        (config.rate_limit, sizes),
        metrics.clone(),
        handles.limits,
    );
    let app = Arc::new(App {
        policy: Policy::of(&config),
        gate: Gate::new(config.http.max_in_flight, config.database.max_connections),
        described: site::describe(&config),
        db,
        store,
        keys,
        audit,
        accounts: handles.accounts,
        sessions: handles.sessions,
        passwords: handles.passwords,
        captchas: handles.captchas,
        deliveries: handles.deliveries,
        admission,
        captcha,
        breach,
        introspection_clients: ArcSwap::from_pointee(config.introspection.clients.clone()),
        mail_key: master.derive("mail-token"),
        mailbox,
        mailbox_key,
        clock,
        metrics,
        config,
    });
    Ok(Built { app, mailer })
}

/// Compares the results of the fast engine with the results of the reference, before the fast
/// engine hashes a password. Also measures how long a hash takes. If a result is wrong, the daemon
/// does not start, as with any setting that does not work on this machine.
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

/// Creates the verifier of captchas.
fn verifier(
    config: &Config,
    master: &MasterKey,
    clock: &Clock,
    metrics: &Arc<Metrics>,
) -> Result<Arc<Verifier>, StartError> {
    let settings = &config.captcha;
    let limits = captcha::vendor::LIMITS;
    let vendor = captcha::Vendor::new(settings, limits, clock.clone(), metrics.clone())
        .map_err(StartError::Broken)?;
    let challenges = |master: &MasterKey| master.derive("captcha");
    let before = config.secrets.master_key_previous.as_ref().map(challenges);
    let altcha = Altcha::new(&challenges(master)).and_before(before.as_ref());
    Ok(Verifier::new(
        settings.provider,
        altcha,
        vendor,
        settings.fallback == CaptchaFallback::Altcha,
    ))
}

/// Counts the migrations that the database lacks. The count stays as it was if the database does
/// not respond.
pub async fn count_migrations(db: &Db, metrics: &Metrics) {
    if let Ok(pending) = db.pending_migrations().await {
        metrics.migrations_pending.set(pending.len() as u64, ());
    }
}

/// Warns if Redis may evict entries. Evictions would log out users at random, and latchkey would
/// forget which captchas were used.
async fn warn_of_eviction(store: &Store) {
    if let Ok(Some(policy)) = store.eviction_policy().await
        && policy != "noeviction"
    {
        tracing::warn!(
            policy,
            "Redis may delete sessions when its memory is full: set maxmemory-policy to noeviction"
        );
    }
}

/// Warns if row-level security does not restrict the database role. In that case, only the queries
/// separate the teams.
async fn warn_of_bypass(db: &Db) {
    if let Ok(true) = tenant_scope::is_bypassed(db).await {
        tracing::warn!(
            "the database role is a superuser or has BYPASSRLS, so row-level security does not \
             restrict it: use a role without these rights"
        );
    }
}

async fn transport(config: &Config) -> Result<(Transport, Option<Arc<Mailbox>>), StartError> {
    if let Some(url) = &config.mail.smtp_url {
        let smtp = Transport::smtp(url, &config.mail.helo, config.mail.ca_file.as_deref())
            .map_err(|error| StartError::Settings(format!("mail.smtp_url: {error}")))?;
        return Ok((smtp, None));
    }
    let folder = config.data_dir.join("mailbox");
    let mailbox = Mailbox::open(&folder).await;
    let mailbox = mailbox.map_err(|error| files::named("cannot use", &folder, &error))?;
    Ok((Transport::mailbox(mailbox.clone()), Some(Arc::new(mailbox))))
}

/// The key of the built-in mailbox, if the mailbox can be served. Without a usable key the mailbox
/// stays closed.
fn mailbox_key(config: &Config) -> Option<MailboxKey> {
    if config.mail.smtp_url.is_some() || config.mailbox_barrier().is_some() {
        return None;
    }
    mailbox_key_file::read_or_create(&config.data_dir)
        .inspect_err(|unusable| {
            let file = MailboxKey::file_in(&config.data_dir);
            tracing::error!(
                file = %file.display(),
                fix = unusable.fix,
                "the built-in mailbox stays closed, because its key cannot be used: {}",
                unusable.what
            );
        })
        .ok()
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
        link_ttls: LinkTtls {
            verification: config.verification.ttl,
            recovery: config.recovery.ttl,
        },
        from: config.mail.from.clone(),
    })
    .map_err(|error| StartError::Settings(format!("mail.from: {error}")))
}
