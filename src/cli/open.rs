//! What commands that work on the data have in common: the stores of the configuration, open and with the right schema.

use std::process::ExitCode;

use super::UNREACHABLE;
use super::output::Talk;
use crate::audit::{Chain, Masters};
use crate::clock::Clock;
use crate::config::Config;
use crate::daemon::files;
use crate::database::{Db, sqlite_path};
use crate::store::Store;

/// The stores, beside running daemons or without one.
pub struct Opened {
    /// Users, teams, mail, keys.
    pub db: Db,
    /// Sessions and one-time tokens.
    pub store: Store,
    /// Authenticates what is recorded.
    pub audit: Chain,
    /// The present.
    pub clock: Clock,
}

/// Opens them, or tells why not. A schema that is not this release's is refused: what a command would write into it is
/// anybody's guess.
pub async fn open(config: &Config, talk: Talk) -> Result<Opened, ExitCode> {
    let unreachable = |text: String| {
        talk.fail(&text);
        ExitCode::from(UNREACHABLE)
    };
    let url = config.database.url.expose();
    if config.database.is_sqlite() && !std::path::Path::new(sqlite_path(url)).exists() {
        let text = format!(
            "there is no database at {}: run it where the daemon runs, or with its --config",
            sqlite_path(url)
        );
        return Err(unreachable(text));
    }
    let db = Db::connect(&config.database)
        .await
        .map_err(|error| unreachable(format!("cannot reach the database: {error}")))?;
    let pending = db
        .pending_migrations()
        .await
        .map_err(|error| unreachable(format!("cannot read the migrations: {error}")))?;
    if !pending.is_empty() {
        return Err(talk.fail("the schema is not up to date: run `latchkey migrate up`"));
    }
    let store = match &config.redis_url {
        Some(url) => {
            Store::connect_redis(url).map_err(|error| talk.fail(&format!("redis.url: {error}")))?
        }
        None => Store::embedded(db.clone()),
    };
    let master = match &config.master_key {
        Some(master) => master.clone(),
        None => files::master_key(&config.data_dir)
            .map_err(|error| talk.fail(&format!("cannot read the master key: {error}")))?,
    };
    let (clock, previous) = (Clock::System, config.master_key_previous.as_ref());
    let audit = Chain::load(&db, Masters { current: &master, previous }, clock.now())
        .await
        .map_err(|error| talk.fail(&format!("cannot read the audit key: {error}")))?;
    Ok(Opened { db, store, audit, clock })
}
