//! The prober: writes to both stores at regular intervals, and logs when a store stops or starts to
//! take writes.
//!
//! The prober probes a store every [`EVERY`] while the store works, and every [`TICK`] while the
//! store does not work. After a request has met an outage, the prober probes within a [`TICK`]. It
//! also reads whether this binary can still work with the schema of the database (whether the
//! schema is within the binary's window). `/readyz` reads the results and contacts no store.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::actor::Root;
use crate::app::App;
use crate::database::{DatabaseError, of_exhausted_pool};
use crate::health::{Probed, Reason, StoreHealth};
use crate::telemetry::labels::StoreName;
use crate::telemetry::labels::TaskName;

/// The time between two probes of a store that works.
const EVERY: Duration = Duration::from_secs(10);
/// The time between two probes of a store that is out of order. The prober also checks this often
/// whether a probe is due.
const TICK: Duration = Duration::from_secs(1);
/// A probe that takes longer than this fails with [`Reason::Timeout`]. A request's statement also
/// ends within this time.
const WITHIN: Duration = Duration::from_secs(2);

type Cause = Box<dyn std::error::Error + Send + Sync>;

type Outcome = Result<Probed, (Reason, Option<Cause>)>;

/// Probes both stores of one daemon.
#[derive(Debug)]
pub struct Prober {
    app: Arc<App>,
    database: Mutex<History>,
    token_store: Mutex<History>,
    /// Whether the last read of the schema failed.
    is_schema_unread: Mutex<bool>,
}

/// The last probes of a store, and what was logged about the store.
#[derive(Debug, Default)]
struct History {
    last_probe: Option<Instant>,
    /// How many probes failed in a row.
    failures: u32,
    /// The reason in the last log line. `None` after a line that says that the store works.
    reason: Option<Reason>,
    /// Whether the table of the probe was missing at the last probe.
    lacks_table: bool,
}

impl Prober {
    pub fn new(app: Arc<App>) -> Self {
        Self {
            app,
            database: Mutex::default(),
            token_store: Mutex::default(),
            is_schema_unread: Mutex::default(),
        }
    }

    /// Probes both stores once, even if no probe is due. The daemon does so before it listens, so
    /// that `/readyz` never says `ok` before a probe.
    pub async fn probe(&self) {
        tokio::join!(self.probe_database(), self.probe_token_store());
    }

    /// Probes until `stop` is cancelled. The probes of one store do not wait for the probes of the
    /// other store.
    pub fn start(self: &Arc<Self>, root: &Root, stop: &CancellationToken) {
        let this = self.clone();
        root.task(TaskName::ProbeDatabase, stop).every(TICK, move || {
            let this = this.clone();
            async move {
                let app = &this.app;
                let is_outside = app.gate.schema.outside().is_some();
                if is_due(&this.database, app.db.health(), is_outside) {
                    this.probe_database().await;
                }
            }
        });
        let this = self.clone();
        root.task(TaskName::ProbeTokenStore, stop).every(TICK, move || {
            let this = this.clone();
            async move {
                if is_due(&this.token_store, this.app.store.health(), false) {
                    this.probe_token_store().await;
                }
            }
        });
    }

    async fn probe_database(&self) {
        let db = &self.app.db;
        let mut outcome = within(async {
            db.probe_write().await.map_err(|it| (it.reason, it.source.map(Into::into)))
        })
        .await;
        // The error of a pool says only that the pool has no connection, so a direct connection
        // finds the reason.
        if matches!(outcome, Err((Reason::Timeout, _)))
            && let Some((reason, cause)) = of_exhausted_pool(&self.app.config.database).await
        {
            outcome = Err((reason, Some(cause.into())));
        }
        if outcome.is_ok() {
            self.read_schema().await;
        }
        self.settle(
            StoreName::Database,
            &self.database,
            db.health(),
            outcome,
            Reason::database_fix,
        );
    }

    /// Reads whether the schema is within this binary's window. If the schema cannot be read, the
    /// result of the last read stays, and only the first of several errors in a row is logged.
    async fn read_schema(&self) {
        let read = timeout(WITHIN, self.app.db.schema()).await;
        let read =
            read.unwrap_or_else(|_| Err(DatabaseError::Custom("no response in time".to_owned())));
        let is_unread = read.is_err();
        let was_unread = std::mem::replace(&mut *lock(&self.is_schema_unread), is_unread);
        match read {
            Ok(schema) => {
                let window = &self.app.gate.schema;
                let before = window.outside();
                window.set(!schema.pending.is_empty(), schema.unusable().is_some());
                log_schema(before, window.outside(), schema.pending.len());
            }
            Err(error) if !was_unread => {
                tracing::warn!(%error, "cannot read the version of the database schema");
            }
            Err(_) => {}
        }
    }

    async fn probe_token_store(&self) {
        let (store, now) = (&self.app.store, self.app.clock.now());
        let outcome = within(async {
            store.probe_write(now).await.map_err(|it| (it.reason, it.source.map(Into::into)))
        })
        .await;
        let fix = |reason| store.fix(reason);
        self.settle(StoreName::TokenStore, &self.token_store, store.health(), outcome, fix);
    }

    /// Stores the result of a probe, and logs the result if it is new. If the table of the probe is
    /// missing, neither the state nor the metric changes.
    fn settle(
        &self,
        store: StoreName,
        history: &Mutex<History>,
        health: &StoreHealth,
        outcome: Outcome,
        fix: impl Fn(Reason) -> &'static str,
    ) {
        match &outcome {
            Ok(Probed::Writable) => health.mark_up(),
            Ok(Probed::NoTable) => {}
            Err((reason, _)) => health.mark_down(*reason),
        }
        if outcome.as_ref().ok() != Some(&Probed::NoTable) {
            self.app.metrics.store_writable.set(u64::from(outcome.is_ok()), store);
        }
        let store = store.name();
        let mut history = lock(history);
        history.last_probe = Some(Instant::now());
        let (found, cause) = match outcome {
            Ok(probed) => (Ok(probed), None),
            // A request has perhaps found a more precise reason than a time-out.
            Err((reason, cause)) => (Err(health.reason().unwrap_or(reason)), cause),
        };
        match history.take(found) {
            Some(News::Down(reason)) => tracing::warn!(
                store,
                reason = reason.name(),
                fix = fix(reason),
                error = cause.map(tracing::field::display),
                "the store accepts no writes, so requests that need it get status 503"
            ),
            Some(News::Up) => tracing::info!(store, "the store accepts writes again"),
            Some(News::NoTable) => tracing::warn!(
                store,
                fix = "run `latchkey migrate up`",
                "the table of the write probe is missing, so it is unknown whether the store \
                 accepts writes"
            ),
            None => {}
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Logs that the schema left this binary's window, or came back into it.
fn log_schema(before: Option<&str>, now: Option<&str>, pending: usize) {
    match now {
        _ if before == now => {}
        Some("unmigrated") => tracing::warn!(
            pending,
            fix = "run `latchkey migrate up`",
            "the database lacks migrations, so the daemon is not ready"
        ),
        Some(_) => tracing::warn!(
            fix = "run the release of latchkey that migrated the schema",
            "the schema is too new for this release, so the daemon is not ready"
        ),
        None => tracing::info!("the schema fits this release again"),
    }
}

/// The news that a log line reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    Down(Reason),
    Up,
    NoTable,
}

impl History {
    /// Takes the result of a probe. Returns the news to log if the state has changed. A time-out
    /// counts only if two probes in a row time out, because a short peak of load can cause one
    /// time-out.
    fn take(&mut self, found: Result<Probed, Reason>) -> Option<News> {
        let lacked_table = std::mem::replace(&mut self.lacks_table, found == Ok(Probed::NoTable));
        if self.lacks_table {
            return (!lacked_table).then_some(News::NoTable);
        }
        let reason = found.err();
        self.failures = if reason.is_some() { self.failures.saturating_add(1) } else { 0 };
        if reason == self.reason || (reason == Some(Reason::Timeout) && self.failures < 2) {
            return None;
        }
        self.reason = reason;
        Some(reason.map_or(News::Up, News::Down))
    }
}

fn is_due(history: &Mutex<History>, health: &StoreHealth, is_outside: bool) -> bool {
    let is_old = lock(history).last_probe.is_none_or(|last| last.elapsed() >= EVERY);
    health.take_suspicion() || health.reason().is_some() || is_outside || is_old
}

async fn within(probe: impl Future<Output = Outcome>) -> Outcome {
    timeout(WITHIN, probe).await.unwrap_or(Err((Reason::Timeout, None)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITABLE: Result<Probed, Reason> = Ok(Probed::Writable);

    #[test]
    fn a_change_is_logged_once_and_a_time_out_when_it_stays() {
        let mut history = History::default();
        let (down, up) = (|reason| Some(News::Down(reason)), Some(News::Up));
        assert_eq!(history.take(WRITABLE), None, "a first probe that succeeds is no change");
        assert_eq!(history.take(Err(Reason::ReadOnly)), down(Reason::ReadOnly));
        assert_eq!(history.take(Err(Reason::ReadOnly)), None);
        assert_eq!(history.take(Err(Reason::Unreachable)), down(Reason::Unreachable));
        assert_eq!(history.take(WRITABLE), up);
        assert_eq!(history.take(WRITABLE), None);
        assert_eq!(history.take(Err(Reason::Timeout)), None, "once");
        assert_eq!(history.take(WRITABLE), None, "the log never said that it was down");
        assert_eq!(history.take(Err(Reason::Timeout)), None);
        assert_eq!(history.take(Err(Reason::Timeout)), down(Reason::Timeout), "twice");
        assert_eq!(history.take(WRITABLE), up);
    }

    #[test]
    fn a_missing_table_is_logged_once_and_neither_a_recovery_nor_an_outage() {
        let mut history = History::default();
        assert_eq!(history.take(Err(Reason::ReadOnly)), Some(News::Down(Reason::ReadOnly)));
        assert_eq!(history.take(Ok(Probed::NoTable)), Some(News::NoTable));
        assert_eq!(history.take(Ok(Probed::NoTable)), None);
        assert_eq!(history.take(Err(Reason::ReadOnly)), None, "the log says so already");
        assert_eq!(history.take(Ok(Probed::NoTable)), Some(News::NoTable));
        assert_eq!(history.take(WRITABLE), Some(News::Up));
    }

    #[test]
    fn a_probe_is_due_when_the_last_is_old_or_a_request_met_an_outage() {
        let fresh =
            || Mutex::new(History { last_probe: Some(Instant::now()), ..History::default() });
        let health = StoreHealth::new();
        assert!(is_due(&Mutex::default(), &health, false), "the first");
        assert!(!is_due(&fresh(), &health, false));
        assert!(is_due(&fresh(), &health, true), "the schema may have been migrated");
        health.suspect();
        assert!(is_due(&fresh(), &health, false));
        assert!(!is_due(&fresh(), &health, false));
        health.mark_down(Reason::ReadOnly);
        assert!(is_due(&fresh(), &health, false) && is_due(&fresh(), &health, false));
    }
}
