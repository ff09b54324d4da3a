//! Lets a starting daemon wait for its database. PostgreSQL may start later than the daemon, accept
//! no writes, or lack migrations. The log reports each cause once, and says what to do.

use std::sync::Arc;
use std::time::Duration;

use latchkey_migration::Outside;

use super::build::{StartError, count_migrations};
use crate::audit::{Chain, Masters};
use crate::clock::Clock;
use crate::config::Config;
use crate::database::{DatabaseError, Db, Refusal, probe_reason};
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
                "run `latchkey migrate up`, or set `database.auto_migrate` to true",
                cause.to_string(),
            ),
            Self::Outdated(outside) => ("outdated", outside.fix, outside.what.clone()),
        }
    }

    fn cause(self) -> Cause {
        match self {
            Self::Database(_, _, cause) | Self::Unmigrated(cause) => cause,
            Self::Outdated(outside) => outside.into(),
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
            Err(it) if config.database.is_sqlite() => return Err(StartError::Broken(it.cause())),
            Err(obstacle) => obstacle,
        };
        obstacle.report(startup, metrics);
        let (reason, fix, cause) = obstacle.words();
        if said.replace(reason) != Some(reason) {
            tracing::warn!(
                store = "database",
                reason,
                fix = format!("{fix}; if you change the configuration, restart the daemon"),
                error = %cause,
                "waiting for the database"
            );
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
    let mut schema = db.schema().await.map_err(refused)?;
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
    let unloaded = |cause: Cause| match lacks {
        0 => Obstacle::of(cause),
        _ => Obstacle::Unmigrated(format!("{lacks} migrations are missing: {cause}").into()),
    };
    let keys = KeyRing::load(token::KeyDependencies {
        db: db.clone(),
        master: master.clone(),
        previous: config.secrets.master_key_previous.clone(),
        tokens: config.tokens.clone(),
        absolute_ttl: config.sessions.absolute_ttl,
        clock: clock.clone(),
        metrics: Some(metrics.clone()),
    })
    .await
    .map_err(|error| unloaded(error.into()))?;
    let masters =
        Masters { current: master, previous: config.secrets.master_key_previous.as_ref() };
    let audit =
        Chain::load(&db, masters, clock.now()).await.map_err(|error| unloaded(error.into()))?;
    Ok((db, keys, audit))
}
