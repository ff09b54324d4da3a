//! What the daemon does at its own pace: sweeps, the rotation of keys, the keeping of the audit.

use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::build::count_migrations;
use crate::actor::Root;
use crate::app::App;
use crate::audit::{self, checkpoint};
use crate::clock::{UnixMillis, millis};
use crate::http::tls::Tls;
use crate::telemetry::Metrics;
use crate::telemetry::observed::KeyReading;
use crate::token::keys::Key;
use crate::{mail, team, token};

/// How often heads of the audit are logged and old rows swept.
const AUDIT_EVERY: Duration = Duration::from_hours(1);

/// How often the mailer looks for mails that are due by themselves. A new mail wakes it at once.
const DELIVERY_EVERY: Duration = Duration::from_secs(5);
/// How often the mails that wait are counted.
const OUTBOX_EVERY: Duration = Duration::from_secs(10);
/// How often the limits forget clients that have not come for long, and pending migrations are
/// counted.
const MINUTE: Duration = Duration::from_mins(1);
/// How often rows that have expired are deleted.
const SWEEP_EVERY: Duration = Duration::from_mins(10);
/// How often the files of the certificate are looked at.
const TLS_EVERY: Duration = Duration::from_secs(10);

/// Starts what happens at its own pace.
pub fn tick(app: &Arc<App>, tls: Option<Arc<Tls>>, root: &Root, stop: &CancellationToken) {
    observe_keys(app);
    let task = |name| root.task(name, stop);
    // At once: what was due when the last daemon stopped, or died.
    task("mail_delivery").soon_and_every(DELIVERY_EVERY, on(app, deliver_mail));
    task("outbox_count").soon_and_every(OUTBOX_EVERY, on(app, count_outbox));
    task("limits_sweep").every(MINUTE, on(app, sweep_limits));
    task("migrations_count").every(MINUTE, on(app, count_pending));
    task("key_rotation").every(token::keys::RELOAD_EVERY, on(app, turn_keys));
    task("account_sweep").every(SWEEP_EVERY, on(app, sweep_accounts));
    task("outbox_sweep").every(SWEEP_EVERY, on(app, sweep_outbox));
    task("revocation_sweep").every(SWEEP_EVERY, on(app, sweep_revocations));
    task("invitation_sweep").every(SWEEP_EVERY, on(app, sweep_invitations));
    let audited = Arc::new(AuditKeeper::new(app.clone()));
    // At once, and then every hour: of a daemon that is started every hour nothing else would reach the log.
    task("audit").soon_and_every(AUDIT_EVERY, move || {
        let audited = audited.clone();
        async move {
            audited.keep().await;
        }
    });
    if let Some(tls) = tls {
        task("tls_reload").every(TLS_EVERY, move || {
            tls.reload();
            ready(())
        });
    }
}

/// Pushes the metrics where there is a collector, also of a daemon that still waits for its database.
pub fn push(metrics: &Arc<Metrics>, interval: Duration, root: &Root, stop: &CancellationToken) {
    if metrics.is_pushed() {
        let metrics = metrics.clone();
        root.task("metrics_push", stop).every(interval, move || {
            let metrics = metrics.clone();
            async move { metrics.push().await }
        });
    }
}

/// A tick that works on an [`App`].
fn on<F>(app: &Arc<App>, work: fn(Arc<App>) -> F) -> impl FnMut() -> F + Send + 'static
where
    F: 'static,
{
    let app = app.clone();
    move || work(app.clone())
}

async fn deliver_mail(app: Arc<App>) {
    app.deliveries.wake();
}

/// Counts the mails that wait; the last counts stay where the database does not answer. The mailer
/// does not count them itself: one that hangs would hide what waits for it.
async fn count_outbox(app: Arc<App>) {
    if let Ok(depth) = mail::depth(&app.db, app.clock.now()).await {
        app.metrics.mail_outbox_depth.set(depth.waiting, ());
        app.metrics.mail_outbox_oldest_age.record(depth.oldest_age.as_secs_f64(), &[]);
    }
}

async fn sweep_limits(app: Arc<App>) {
    app.admission.sweep();
}

async fn count_pending(app: Arc<App>) {
    count_migrations(&app.db, &app.metrics).await;
}

/// The rotation's next step, and what other replicas did.
pub async fn turn_keys(app: Arc<App>) {
    if let Err(error) = app.keys.turn().await {
        tracing::warn!(error = %error, "signing keys not read again, the ones in memory stay");
    }
}

async fn sweep_accounts(app: Arc<App>) {
    let before = app.clock.now() - millis(app.config.registration.unverified_ttl);
    app.accounts.collect_unverified(before);
}

async fn sweep_outbox(app: Arc<App>) {
    app.deliveries.delete_old();
}

async fn sweep_revocations(app: Arc<App>) {
    if let Err(error) = token::revocation::sweep(&app.db, app.clock.now()).await {
        tracing::warn!(error = %error, "expired revocations not swept");
    }
}

async fn sweep_invitations(app: Arc<App>) {
    if let Err(error) = team::invitations::sweep(&app.db, app.clock.now()).await {
        tracing::warn!(error = %error, "expired invitations not swept");
    }
}

/// Lets the ages of the signing keys be read together with the metrics: a rotation that hangs
/// cannot hide them.
fn observe_keys(app: &Arc<App>) {
    app.metrics.signing_key_age_limit.record(app.config.tokens.rotate_every.as_secs_f64(), &[]);
    // The app holds the metrics, so they must not hold the app.
    let app_ref = Arc::downgrade(app);
    app.metrics.observed.signing_keys(move || {
        let Some(app) = app_ref.upgrade() else { return Vec::new() };
        let (keys, now) = (app.keys.current().clone(), app.clock.now());
        let reading = |key: &Arc<Key>| {
            let age = u64::try_from(now - key.signs_from?).unwrap_or(0);
            Some(KeyReading { kind: key.kind.name(), age: Duration::from_millis(age) })
        };
        [&keys.user, &keys.vault].into_iter().filter_map(reading).collect()
    });
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
