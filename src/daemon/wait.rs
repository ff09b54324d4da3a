//! Lets a starting daemon wait for its database. PostgreSQL may start later than the daemon, accept
//! no writes, or lack migrations. The log reports each cause once, and says what to do.

use std::sync::Arc;
use std::time::Duration;

use latchkey_migration::Outside;

use super::build::{StartError, count_migrations};
use crate::audit::{Chain, Masters};
use crate::clock::Clock;
use crate::config::Config;
use crate::database::{self, DatabaseError, Db, Refusal, Work, probe_reason, sqlite_path};
use crate::health::{Reason, Startup};
use crate::secret::MasterKey;
use crate::telemetry::Metrics;
use crate::telemetry::labels::StoreName;
use crate::token::{self, KeyRing};

/// The first and the longest pause before the daemon tries the database again.
const WAIT_FIRST: Duration = Duration::from_millis(250);
const WAIT_LAST: Duration = Duration::from_secs(5);

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why the database cannot be used yet.
enum Obstacle {
    /// The database cannot be reached, or it refuses the connection.
    Database(Reason, &'static str, Cause),
    /// The database lacks migrations.
    Unmigrated(Cause),
    /// The schema is of a version that this release cannot work with.
    Outdated(Outside),
}

impl Obstacle {
    fn of(cause: Cause) -> Self {
        let Some(error) = cause.downcast_ref::<DatabaseError>() else {
            return Self::Database(Reason::Refused, "correct what the error names", cause);
        };
        let reason = probe_reason(error).unwrap_or(Reason::Refused);
        let fix = Refusal::of(error).map_or(reason.database_fix(), Refusal::fix);
        Self::Database(reason, fix, cause)
    }

    /// The reason for the log, what to do, and the error.
    fn words(&self) -> (&'static str, &'static str, String) {
        match self {
            Self::Database(reason, fix, cause) => (reason.name(), fix, cause.to_string()),
            Self::Unmigrated(cause) => (
                "unmigrated",
                "run `latchkey migrate up` (with `database.migrate_url` if another role owns the \
                 tables), or set `database.auto_migrate` to true",
                cause.to_string(),
            ),
            Self::Outdated(outside) => ("outdated", outside.fix, outside.what.clone()),
        }
    }

    /// Whether waiting does not help: a file stays as it is, and so does the encoding of a
    /// database.
    fn is_final(&self, config: &Config) -> bool {
        config.database.is_sqlite() || self.refusal() == Some(Refusal::NotUtf8)
    }

    fn refusal(&self) -> Option<Refusal> {
        let Self::Database(_, _, cause) = self else { return None };
        cause.downcast_ref::<DatabaseError>().and_then(Refusal::of)
    }

    fn into_error(self, config: &Config) -> StartError {
        if let Some(refusal) = self.refusal() {
            let (text, fix) = (refusal.text(), refusal.fix());
            return StartError::Settings(format!("database.url: {text}: {fix}"));
        }
        let (reason, cause) = match self {
            Self::Database(reason, _, cause) => (reason, cause),
            Self::Unmigrated(cause) => return StartError::Broken(cause),
            Self::Outdated(outside) => return StartError::Broken(outside.into()),
        };
        if !cause.is::<DatabaseError>() {
            return StartError::Broken(cause);
        }
        let file = sqlite_path(config.database.url.expose()).display().to_string();
        let said = cause.to_string();
        let text = if said.contains(&file) { said } else { format!("{file}: {said}") };
        match reason {
            Reason::Locked | Reason::FullDisk | Reason::OutOfMemory => {
                StartError::Broken(text.into())
            }
            _ => StartError::Settings(format!("cannot use the database: {text}")),
        }
    }

    /// Reports the obstacle to `/readyz` and to the metrics.
    fn report(&self, startup: &Startup, metrics: &Metrics) {
        match self {
            Self::Database(reason, ..) => {
                startup.wait_for_database(*reason);
                metrics.store_writable.set(0, StoreName::Database);
            }
            Self::Unmigrated(_) => startup.wait_for_schema(false),
            Self::Outdated(_) => startup.wait_for_schema(true),
        }
    }
}

/// Returns the database and the keys in it. Applies missing migrations first, if
/// `database.auto_migrate` is true. Waits for PostgreSQL without a time limit, because replicas and
/// their database may start in any order.
pub(super) async fn for_database(
    config: &Config,
    master: &MasterKey,
    clock: &Clock,
    (metrics, startup): (&Arc<Metrics>, &Startup),
) -> Result<(Db, KeyRing, Chain), StartError> {
    let (mut wait, mut said) = (WAIT_FIRST, None);
    loop {
        let obstacle = match connect(config, master, clock, metrics).await {
            Ok(ready) => return Ok(ready),
            Err(it) if it.is_final(config) => return Err(it.into_error(config)),
            Err(obstacle) => obstacle,
        };
        obstacle.report(startup, metrics);
        let (reason, fix, cause) = obstacle.words();
        let says = (reason, cause);
        if said.as_ref() != Some(&says) {
            tracing::warn!(
                store = "database",
                reason,
                fix = format!("{fix}; if you change the configuration, restart the daemon"),
                error = %says.1,
                "waiting for the database"
            );
            said = Some(says);
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(WAIT_LAST);
    }
}

async fn connect(
    config: &Config,
    master: &MasterKey,
    clock: &Clock,
    metrics: &Arc<Metrics>,
) -> Result<(Db, KeyRing, Chain), Obstacle> {
    let refused = |error: DatabaseError| Obstacle::of(error.into());
    let mut db = Db::connect(&config.database).await.map_err(refused)?;
    let work = if config.database.auto_migrate { Work::Migrate } else { Work::Serve };
    let mut schema = db.schema_for(work).await.map_err(refused)?;
    if let Some(outside) = schema.unusable() {
        return Err(Obstacle::Outdated(outside));
    }
    if config.database.auto_migrate && !schema.pending.is_empty() {
        db.migrate().await.map_err(refused)?;
        schema = db.schema().await.map_err(refused)?;
    }
    count_migrations(&db, metrics).await;
    db.watch(metrics);
    // An older schema may have everything that a start needs. In that case the daemon does not wait
    // here, but `/readyz` reports that it is not ready.
    let lacks = schema.pending.len();
    let unloaded = async |cause: Cause| {
        if let Some(error) = database::cause(&*cause)
            && let Some(grant) = db.missing_grant_after(error, Work::Serve).await
        {
            let reason = Reason::NoPermission;
            let text = format!("{cause}: run this as the owner of the tables: {grant}");
            return Obstacle::Database(reason, reason.database_fix(), text.into());
        }
        match lacks {
            0 => Obstacle::of(cause),
            _ => Obstacle::Unmigrated(format!("{lacks} migrations are missing: {cause}").into()),
        }
    };
    let keys = match KeyRing::load(token::KeyDependencies {
        db: db.clone(),
        master: master.clone(),
        previous: config.secrets.master_key_previous.clone(),
        tokens: config.tokens.clone(),
        absolute_ttl: config.sessions.absolute_ttl,
        clock: clock.clone(),
        metrics: Some(metrics.clone()),
    })
    .await
    {
        Ok(keys) => keys,
        Err(error) => return Err(unloaded(error.into()).await),
    };
    let masters =
        Masters { current: master, previous: config.secrets.master_key_previous.as_ref() };
    match Chain::load(&db, masters, clock.now()).await {
        // Some rights are needed by requests only, so no error shows that they are missing.
        Ok(audit) => match db.closed_to_serving().await.filter(|_| lacks == 0) {
            Some(error) => Err(refused(error)),
            None => Ok((db, keys, audit)),
        },
        Err(error) => Err(unloaded(error.into()).await),
    }
}
