//! What commands that work on the data have in common, layer upon layer: the database with the right schema, the keys over
//! it, the stores over both. A layer makes nothing that is not there, and every command ends alike where one fails.

use std::error::Error;
use std::process::ExitCode;

use super::output::Talk;
use crate::admission::budgets::Keys;
use crate::audit::{Chain, ChainError, ChangeContext, Masters, RequestOrigin};
use crate::clock::Clock;
use crate::config::Config;
use crate::daemon::read_master_key;
use crate::database::{DatabaseError, Db, Refusal, sqlite_path};
use crate::exit::{BAD_CONFIGURATION, CHECK_SAYS_NO, FAILED, UNREACHABLE};
use crate::store::Store;
use crate::token::KeyDependencies;

/// Why a command cannot work.
#[derive(Debug)]
pub enum Fault {
    /// There is no SQLite file.
    NoDatabase(String),
    /// The database does not answer.
    Database(DatabaseError),
    /// It answers, but not what its schema is.
    Migrations(DatabaseError),
    /// Its schema is older than this release: what a command would write into it is anybody's guess.
    Outdated(usize),
    /// Its schema is of a release that this one cannot stand beside.
    TooNew(String),
    /// There is no master key, or not one.
    MasterKey(std::io::Error),
    /// A setting that only shows when it is used.
    Setting(String),
    /// What is in the database does not fit what is set.
    Broken(Box<dyn Error + Send + Sync>),
}

impl Fault {
    /// The one table of faults and exit codes (docs/cli.md).
    fn exit_code(&self) -> u8 {
        match self {
            Self::NoDatabase(_) | Self::Database(_) | Self::Migrations(_) => UNREACHABLE,
            Self::Outdated(_) | Self::TooNew(_) => CHECK_SAYS_NO,
            Self::MasterKey(_) | Self::Setting(_) => BAD_CONFIGURATION,
            Self::Broken(_) => FAILED,
        }
    }

    /// Says it, and ends the command.
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
                "there is no database at {path}: run it where the daemon runs, or with its --config"
            ),
            Self::Database(error) => match Refusal::of(error) {
                Some(refusal) => write!(f, "{}: {}", refusal.text(), refusal.fix()),
                None => write!(f, "cannot reach the database: {error}"),
            },
            Self::Migrations(error) => write!(f, "cannot read the migrations: {error}"),
            Self::Outdated(pending) => write!(
                f,
                "the schema is not up to date ({pending} pending): run `latchkey migrate up`"
            ),
            Self::TooNew(reason) => write!(f, "{reason}: run a release of its age"),
            Self::MasterKey(error) => write!(f, "no master key: {error}"),
            Self::Setting(text) => f.write_str(text),
            Self::Broken(error) => error.fmt(f),
        }
    }
}

/// The stores, beside running daemons or without one.
pub struct Opened {
    /// Users, teams, mail, keys.
    pub db: Db,
    /// Sessions and one-time tokens.
    pub store: Store,
    /// Authenticates what is recorded.
    pub audit: Chain,
    /// Makes the keys of budgets and back-offs.
    pub limit_keys: Keys,
    pub clock: Clock,
}

impl Opened {
    /// What a change by this command works with.
    pub fn change(&self) -> ChangeContext<'_> {
        let (origin, now) = (RequestOrigin::none(), self.clock.now());
        ChangeContext { db: &self.db, chain: &self.audit, origin, now }
    }
}

/// The database as it stands: it is there, it answers, its schema is this release's.
pub async fn database(config: &Config) -> Result<Db, Fault> {
    let path = sqlite_path(config.database.url.expose());
    if config.database.is_sqlite() && !path.exists() {
        return Err(Fault::NoDatabase(path.display().to_string()));
    }
    let db = Db::connect(&config.database).await.map_err(Fault::Database)?;
    let schema = db.schema().await.map_err(Fault::Migrations)?;
    if let Some(reason) = schema.beyond() {
        return Err(Fault::TooNew(reason));
    }
    match schema.pending.len() {
        0 => Ok(db),
        pending => Err(Fault::Outdated(pending)),
    }
}

/// What signing keys stand on: the database, and the master key that opens them.
pub async fn keys(config: &Config) -> Result<KeyDependencies, Fault> {
    Ok(KeyDependencies {
        db: database(config).await?,
        master: read_master_key(config).map_err(Fault::MasterKey)?,
        previous: config.master_key_previous.clone(),
        tokens: config.tokens.clone(),
        absolute_ttl: config.sessions.absolute_ttl,
        clock: Clock::System,
        metrics: None,
    })
}

/// The token store that is set; Redis is not asked yet.
pub fn store(config: &Config, db: &Db) -> Result<Store, Fault> {
    let Some(url) = &config.redis_url else { return Ok(Store::embedded(db.clone())) };
    Store::connect_redis(url).map_err(|error| Fault::Setting(format!("redis.url: {error}")))
}

/// All of it, ready to be changed and recorded.
pub async fn stores(config: &Config) -> Result<Opened, Fault> {
    let KeyDependencies { db, master, previous, clock, .. } = keys(config).await?;
    let store = store(config, &db)?;
    let masters = Masters { current: &master, previous: previous.as_ref() };
    let audit = Chain::join(&db, masters, clock.now()).await.map_err(|error| match error {
        ChainError::Database(error) => Fault::Database(error),
        error @ ChainError::Sealed => Fault::Setting(error.to_string()),
        error @ ChainError::Key(_) => {
            Fault::Broken(format!("cannot read the audit key: {error}").into())
        }
    })?;
    let limit_keys = Keys::new(&master);
    Ok(Opened { db, store, audit, limit_keys, clock })
}
