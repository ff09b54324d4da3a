//! The prober: writes to both stores at its own pace, and tells the log when one stops or starts to take writes.
//!
//! Every [`EVERY`] while a store works, every [`TICK`] while it does not, and within a [`TICK`] after a request met an
//! outage. It also reads whether the schema is still within this binary's window. `/readyz` asks no store.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::KeyValue;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::actor::Root;
use crate::app::App;
use crate::database::of_exhausted_pool;
use crate::health::{Reason, StoreHealth};

/// How often a store that works is written to.
const EVERY: Duration = Duration::from_secs(10);
/// How often it is looked whether a probe is due; also the pace of probes while a store is out of order.
const TICK: Duration = Duration::from_secs(1);
/// A store that has not answered a probe within this time does not answer. Within it a request's statement has ended too.
const WITHIN: Duration = Duration::from_secs(2);

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// What came of a probe.
type Probed = Result<(), (Reason, Option<Cause>)>;

/// Probes both stores of one daemon.
#[derive(Debug)]
pub struct Prober {
    app: Arc<App>,
    database: Mutex<Told>,
    token_store: Mutex<Told>,
}

/// What the log knows of a store.
#[derive(Debug, Default)]
struct Told {
    last_probe: Option<Instant>,
    /// How many probes failed in a row.
    failures: u32,
    /// The reason of the last line in the log; none where it said that the store works.
    reason: Option<Reason>,
}

impl Prober {
    /// One that has probed nothing yet.
    pub fn new(app: Arc<App>) -> Self {
        Self { app, database: Mutex::default(), token_store: Mutex::default() }
    }

    /// Probes both stores once, whether it is due or not. At the start, so that `/readyz` never says `ok` unasked.
    pub async fn probe(&self) {
        tokio::join!(self.probe_database(), self.probe_token_store());
    }

    /// Goes on until `stop` trips; the stores do not wait for each other.
    pub fn start(self: &Arc<Self>, root: &Root, stop: &CancellationToken) {
        let this = self.clone();
        root.task("probe_database", stop).every(TICK, move || {
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
        root.task("probe_token_store", stop).every(TICK, move || {
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
        let mut probed = within(async {
            db.probe_write().await.map_err(|it| (it.reason, it.source.map(Into::into)))
        })
        .await;
        // A pool says only that it has no connection.
        if matches!(probed, Err((Reason::Timeout, _)))
            && let Some((reason, cause)) = of_exhausted_pool(&self.app.config.database).await
        {
            probed = Err((reason, Some(cause.into())));
        }
        if probed.is_ok()
            && let Ok(Ok(schema)) = timeout(WITHIN, db.schema()).await
        {
            let window = &self.app.gate.schema;
            let before = window.outside();
            window.set(!schema.pending.is_empty(), schema.contracted().is_some());
            log_schema(before, window.outside(), schema.pending.len());
        }
        self.settle("database", &self.database, db.health(), probed, Reason::database_fix);
    }

    async fn probe_token_store(&self) {
        let (store, now) = (&self.app.store, self.app.clock.now());
        let probed = within(async {
            store.probe_write(now).await.map_err(|it| (it.reason, it.source.map(Into::into)))
        })
        .await;
        let fix = |reason| store.fix(reason);
        self.settle("token_store", &self.token_store, store.health(), probed, fix);
    }

    fn settle(
        &self,
        store: &'static str,
        told: &Mutex<Told>,
        health: &StoreHealth,
        probed: Probed,
        fix: impl Fn(Reason) -> &'static str,
    ) {
        let writable = [KeyValue::new("store", store)];
        self.app.metrics.store_writable.record(u64::from(probed.is_ok()), &writable);
        match &probed {
            Ok(()) => health.mark_up(),
            Err((reason, _)) => health.mark_down(*reason),
        }
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        told.last_probe = Some(Instant::now());
        match (told.take(probed.as_ref().err().map(|(reason, _)| *reason)), probed) {
            (Some(News::Down(reason)), Err((_, cause))) => tracing::warn!(
                store,
                reason = reason.name(),
                fix = fix(reason),
                error = cause.map(tracing::field::display),
                "the store takes no writes, requests that need it are answered 503"
            ),
            (Some(News::Up), _) => tracing::info!(store, "the store takes writes again"),
            _ => {}
        }
    }
}

/// Logs that the schema left this binary's window, or came back.
fn log_schema(before: Option<&str>, now: Option<&str>, pending: usize) {
    match now {
        _ if before == now => {}
        Some("unmigrated") => tracing::warn!(
            pending,
            fix = "run `latchkey migrate up`",
            "the database lacks migrations, the daemon is not ready"
        ),
        Some(_) => tracing::warn!(
            fix = "run the release that the schema is of",
            "the schema is too new for this release, the daemon is not ready"
        ),
        None => tracing::info!("the schema is that of this release"),
    }
}

/// A line for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    Down(Reason),
    Up,
}

impl Told {
    /// What a probe's result is worth telling: a change, once. A time-out has to come twice: under load one is no news.
    fn take(&mut self, found: Option<Reason>) -> Option<News> {
        self.failures = if found.is_some() { self.failures.saturating_add(1) } else { 0 };
        if found == self.reason || (found == Some(Reason::Timeout) && self.failures < 2) {
            return None;
        }
        self.reason = found;
        Some(found.map_or(News::Up, News::Down))
    }
}

fn is_due(told: &Mutex<Told>, health: &StoreHealth, is_outside: bool) -> bool {
    let told = told.lock().unwrap_or_else(PoisonError::into_inner);
    let is_old = told.last_probe.is_none_or(|last| last.elapsed() >= EVERY);
    health.take_suspicion() || health.reason().is_some() || is_outside || is_old
}

async fn within(probe: impl Future<Output = Probed>) -> Probed {
    timeout(WITHIN, probe).await.unwrap_or(Err((Reason::Timeout, None)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_once_and_a_time_out_when_it_stays() {
        let mut told = Told::default();
        let (down, up) = (|reason| Some(News::Down(reason)), Some(News::Up));
        assert_eq!(told.take(None), None, "a start that goes well is no news");
        assert_eq!(told.take(Some(Reason::ReadOnly)), down(Reason::ReadOnly));
        assert_eq!(told.take(Some(Reason::ReadOnly)), None);
        assert_eq!(told.take(Some(Reason::Unreachable)), down(Reason::Unreachable));
        assert_eq!(told.take(None), up);
        assert_eq!(told.take(None), None);
        assert_eq!(told.take(Some(Reason::Timeout)), None, "once");
        assert_eq!(told.take(None), None, "what was not told does not heal");
        assert_eq!(told.take(Some(Reason::Timeout)), None);
        assert_eq!(told.take(Some(Reason::Timeout)), down(Reason::Timeout), "twice");
        assert_eq!(told.take(None), up);
    }

    #[test]
    fn a_probe_is_due_when_it_is_old_or_wanted() {
        let fresh = || Mutex::new(Told { last_probe: Some(Instant::now()), ..Told::default() });
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
