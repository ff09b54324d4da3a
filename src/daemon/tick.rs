//! What the daemon does at its own pace: sweeps, the rotation of keys, the keeping of the audit.

use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use opentelemetry::KeyValue;
use tokio_util::sync::CancellationToken;

use super::build::{Built, count_migrations};
use crate::actor::{every, soon_and_every};
use crate::app::App;
use crate::audit::{self, checkpoint};
use crate::clock::{UnixMillis, millis};
use crate::http::tls::Tls;
use crate::telemetry::Metrics;
use crate::{team, token};

/// How often heads of the audit are logged and old rows swept.
const AUDIT_EVERY: Duration = Duration::from_hours(1);

/// The rotation's next step, and what other replicas did; and how old the keys are.
pub async fn turn_keys(app: Arc<App>) {
    if let Err(error) = app.keys.turn().await {
        tracing::warn!(error = %error, "signing keys not read again, the ones in memory stay");
    }
    measure_keys(&app);
}

fn measure_keys(app: &App) {
    app.metrics.signing_key_age_limit.record(app.config.tokens.rotate_every.as_secs_f64(), &[]);
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
    let deliveries = app.deliveries.clone();
    let sweep = move || {
        deliveries.wake();
        ready(())
    };
    // What was due when the last daemon stopped, or died.
    drop(sweep());
    every(Duration::from_secs(5), stop.clone(), sweep);
    let swept = app.clone();
    every(Duration::from_mins(1), stop.clone(), move || {
        swept.budgets.sweep();
        ready(())
    });
    let (accounts, deliveries) = (app.accounts.clone(), app.deliveries.clone());
    let (clock, unverified_ttl) = (app.clock.clone(), app.config.registration.unverified_ttl);
    every(Duration::from_mins(10), stop.clone(), move || {
        let before = clock.now() - millis(unverified_ttl);
        accounts.collect_unverified(before);
        deliveries.delete_old();
        ready(())
    });
    let counted = app.clone();
    every(Duration::from_mins(1), stop.clone(), move || {
        let app = counted.clone();
        async move { count_migrations(&app.db, &app.metrics).await }
    });
    let keyed = app.clone();
    every(token::keys::RELOAD_EVERY, stop.clone(), move || turn_keys(keyed.clone()));
    let swept = app.clone();
    every(Duration::from_mins(10), stop.clone(), move || {
        let app = swept.clone();
        async move {
            if let Err(error) = token::revocation::sweep(&app.db, app.clock.now()).await {
                tracing::warn!(error = %error, "expired revocations not swept");
            }
            if let Err(error) = team::invitations::sweep(&app.db, app.clock.now()).await {
                tracing::warn!(error = %error, "expired invitations not swept");
            }
        }
    });
    let audited = Arc::new(AuditKeeper::new(app.clone()));
    // At once, and then every hour: of a daemon that is started every hour nothing else would reach the log.
    soon_and_every(AUDIT_EVERY, stop.clone(), move || {
        let audited = audited.clone();
        async move {
            audited.keep().await;
        }
    });
    if let Some(tls) = tls {
        every(Duration::from_secs(10), stop.clone(), move || {
            tls.reload();
            ready(())
        });
    }
}

/// Pushes the metrics where there is a collector, also of a daemon that still waits for its database.
pub fn push(metrics: &Arc<Metrics>, interval: Duration, stop: &CancellationToken) {
    if metrics.is_pushed() {
        let metrics = metrics.clone();
        every(interval, stop.clone(), move || {
            let metrics = metrics.clone();
            async move { metrics.push().await }
        });
    }
}

/// Keeps the audit: heads into the log, old rows away.
#[derive(Debug)]
pub struct AuditKeeper {
    app: Arc<App>,
    /// When heads were last logged by this daemon; [`NEVER`] before.
    logged_at: AtomicI64,
}

const NEVER: UnixMillis = i64::MIN;

impl AuditKeeper {
    /// One that has logged nothing yet.
    pub fn new(app: Arc<App>) -> Self {
        Self { app, logged_at: AtomicI64::new(NEVER) }
    }

    /// Writes the heads that moved to the log, for a copy outside of the database, and removes what is too old. Heads go
    /// under the audit's own target, as its events do: `latchkey::audit=info` in `log.filter` keeps both. What fails is
    /// logged, and done the next time. How many heads were logged.
    pub async fn keep(&self) -> usize {
        let app = &self.app;
        let now = app.clock.now();
        let logged = self.log_heads(now).await.unwrap_or_else(|error| {
            tracing::warn!(error = %error, "heads of the audit not logged, the next hour will");
            0
        });
        let before = now - millis(app.config.audit_retention);
        match audit::sweep(&app.db, &app.audit, before).await {
            Ok(swept) if swept.events + swept.streams == 0 => {}
            Ok(swept) => {
                tracing::info!(events = swept.events, streams = swept.streams, "audit swept");
            }
            Err(error) => tracing::warn!(error = %error, "audit not swept, the next hour will"),
        }
        logged
    }

    async fn log_heads(
        &self,
        now: UnixMillis,
    ) -> Result<usize, Box<dyn std::error::Error + Send + Sync>> {
        let app = &self.app;
        let before = self.logged_at.load(Ordering::Relaxed);
        let latest = if before == NEVER { checkpoint::latest(&app.db).await? } else { None };
        let since = heads_since(now, before, latest);
        let (mut after, mut logged) = (uuid::Uuid::nil(), 0);
        loop {
            let page = checkpoint::page(&app.db, since, after).await?;
            let Some(last) = page.last() else { break };
            after = last.stream;
            let count = page.len();
            let issuer = &app.config.tokens.issuer;
            let signed = checkpoint::sign(&app.audit, issuer, app.clock.now_seconds(), page)?;
            tracing::info!(target: audit::TARGET, count, heads = signed, "audit heads");
            logged += count;
        }
        self.logged_at.store(now, Ordering::Relaxed);
        Ok(logged)
    }
}

/// Since when heads that moved are logged: since the last time, and an hour more for rows that were on their way and clocks
/// that differ. The first time after a start nobody knows when the last one was. But while no daemon ran no row was
/// written, as a rule: so the two hours before the last row are what a stop of whatever length has left unsaid.
fn heads_since(now: UnixMillis, logged_at: UnixMillis, latest: Option<UnixMillis>) -> UnixMillis {
    if logged_at == NEVER {
        latest.map_or(now, |latest| latest.min(now)) - millis(AUDIT_EVERY) * 2
    } else {
        logged_at.min(now) - millis(AUDIT_EVERY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_reach_back_from_the_last_row_however_long_nothing_ran() {
        let hour = millis(AUDIT_EVERY);
        assert_eq!(heads_since(100 * hour, NEVER, Some(100 * hour)), 98 * hour);
        assert_eq!(heads_since(100 * hour, NEVER, Some(7 * hour)), 5 * hour, "a stop of days");
        assert_eq!(heads_since(100 * hour, NEVER, Some(101 * hour)), 98 * hour, "a clock ahead");
        assert_eq!(heads_since(100 * hour, NEVER, None), 98 * hour);
        assert_eq!(heads_since(100 * hour, 99 * hour, None), 98 * hour);
        assert_eq!(heads_since(100 * hour, 90 * hour, None), 89 * hour, "hours that failed");
        assert_eq!(heads_since(100 * hour, 101 * hour, None), 99 * hour, "a clock set back");
    }
}
