//! Opens the stores that the commands work on, in layers: first the database with the right schema,
//! then the keys in the database, then the stores that need both.
//!
//! If something does not exist, no layer creates it. If a layer fails, every command ends in the
//! same way.

use std::error::Error;
use std::process::ExitCode;

use latchkey_migration::Outside;

use super::ending::exit_code;
use super::output::Talk;
use crate::admission::budgets::Keys;
use crate::audit::{Chain, ChainError, ChangeContext, Masters, RequestOrigin};
use crate::clock::Clock;
use crate::config::Config;
use crate::daemon::read_master_key;
use crate::database::{DatabaseError, Db, Refusal, sqlite_path};
use crate::exit::{BAD_CONFIGURATION, CHECK_SAYS_NO, FAILED, UNREACHABLE};
use crate::store::{RecordMac, Store};
use crate::token::{KeyDependencies, KeysError};

/// Why a command cannot run.
#[derive(Debug)]
pub enum Fault {
    /// The SQLite file does not exist.
    NoDatabase(String),
    /// The database does not respond.
    Database(DatabaseError),
    /// The database responds, but its schema cannot be read.
    Migrations(DatabaseError),
    /// The schema is older than this release, so the result of a command's writes is undefined.
    Outdated(usize),
    /// The schema is of a version that this release cannot work with.
    Outside(Outside),
    /// The master key is missing, or is not a valid key.
    MasterKey(std::io::Error),
    /// A setting is wrong, but this is found only when the setting is used.
    Setting(String),
    /// The data in the database does not fit the settings.
    Broken(Box<dyn Error + Send + Sync>),
}

impl Fault {
    /// Maps each fault to its exit code. This is the only place that does so.
    fn exit_code(&self) -> u8 {
        match self {
            Self::Database(error) if Refusal::of(error) == Some(Refusal::NotUtf8) => {
                BAD_CONFIGURATION
            }
            Self::NoDatabase(_) | Self::Database(_) => UNREACHABLE,
            Self::Migrations(error) => exit_code(error),
            Self::Outdated(_) | Self::Outside(_) => CHECK_SAYS_NO,
            Self::MasterKey(_) | Self::Setting(_) => BAD_CONFIGURATION,
            Self::Broken(_) => FAILED,
        }
    }

    /// Reports the fault, and returns the exit code.
    pub fn report(&self, talk: Talk) -> ExitCode {
        talk.fail(&self.to_string());
        ExitCode::from(self.exit_code())
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoDatabase(path) => write!(
                f,
                "there is no database at {path}: run the command in the working directory of the \
                 daemon, or with the daemon's --config"
            ),
            Self::Database(error) => match Refusal::of(error) {
                Some(refusal) => write!(f, "{}: {}", refusal.text(), refusal.fix()),
                None => write!(f, "cannot reach the database: {error}"),
            },
            Self::Migrations(error) => write!(f, "cannot read the migrations: {error}"),
            Self::Outdated(pending) => write!(
                f,
                "the schema is not up to date (pending migrations: {pending}): run `latchkey \
                 migrate up`"
            ),
            Self::Outside(outside) => outside.fmt(f),
            Self::MasterKey(error) => write!(f, "there is no usable master key: {error}"),
            Self::Setting(text) => f.write_str(text),
            Self::Broken(error) => error.fmt(f),
        }
    }
}

/// The stores that the commands work on, with or without running daemons.
pub struct Opened {
    /// Stores users, teams, mails and keys.
    pub db: Db,
    /// Stores sessions and one-time tokens.
    pub store: Store,
    /// Authenticates audit events.
    pub audit: Chain,
    /// Creates the keys under which budgets and back-offs are stored.
    pub limit_keys: Keys,
    pub clock: Clock,
}

impl Opened {
    /// The context for a change by this command.
    pub fn change(&self) -> ChangeContext<'_> {
        let (origin, now) = (RequestOrigin::none(), self.clock.now());
        ChangeContext { db: &self.db, chain: &self.audit, origin, now }
    }
}

/// Opens the database. It has to exist, to respond, and to have the schema of this release.
pub async fn database(config: &Config) -> Result<Db, Fault> {
    let path = sqlite_path(config.database.url.expose());
    if config.database.is_sqlite() && !path.exists() {
        return Err(Fault::NoDatabase(path.display().to_string()));
    }
    let db = Db::connect(&config.database).await.map_err(Fault::Database)?;
    let schema = db.schema().await.map_err(Fault::Migrations)?;
    if let Some(outside) = schema.beyond() {
        return Err(Fault::Outside(outside));
    }
    match schema.pending.len() {
        0 => Ok(db),
        pending => Err(Fault::Outdated(pending)),
    }
}

/// Opens what signing keys depend on: the database, and the master key that decrypts them.
pub async fn keys(config: &Config) -> Result<KeyDependencies, Fault> {
    keys_in(config, database(config).await?)
}

/// Does the same as [`keys`], with a database that is open already.
pub fn keys_in(config: &Config, db: Db) -> Result<KeyDependencies, Fault> {
    Ok(KeyDependencies {
        db,
        master: read_master_key(config).map_err(Fault::MasterKey)?,
        previous: config.secrets.master_key_previous.clone(),
        tokens: config.tokens.clone(),
        absolute_ttl: config.sessions.absolute_ttl,
        clock: Clock::System,
        metrics: None,
    })
}

/// The token store of the settings. It does not contact Redis yet.
fn store(config: &Config, db: &Db, mac: RecordMac) -> Result<Store, Fault> {
    let Some(url) = &config.redis.url else { return Ok(Store::embedded(db.clone(), mac)) };
    Store::connect_redis(url, config.redis.ca_file.as_deref(), mac)
        .map_err(|error| Fault::Setting(format!("redis.url: {error}")))
}

/// Opens all stores, so that a command can change data and record the change.
pub async fn stores(config: &Config) -> Result<Opened, Fault> {
    let keys = keys(config).await?;
    let masters = Masters { current: &keys.master, previous: keys.previous.as_ref() };
    let audit =
        Chain::join(&keys.db, masters, keys.clock.now()).await.map_err(|error| match error {
            ChainError::Database(error) => Fault::Database(error),
            error @ ChainError::Sealed => Fault::Setting(error.to_string()),
            error @ ChainError::Key(_) => {
                Fault::Broken(format!("cannot read the audit key: {error}").into())
            }
        })?;
    let mac = keys.record_mac().await.map_err(|error| match error {
        KeysError::Sealed(_) => Fault::Setting(error.to_string()),
        error => Fault::Broken(format!("cannot read the key of the token store: {error}").into()),
    })?;
    let KeyDependencies { db, master, clock, .. } = keys;
    let (store, limit_keys) = (store(config, &db, mac)?, Keys::new(&master));
    Ok(Opened { db, store, audit, limit_keys, clock })
}
