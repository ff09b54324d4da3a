//! Periodic work of the daemon: sweeps, the rotation of keys, and the upkeep of the audit.

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
use crate::telemetry::labels::TaskName;
use crate::telemetry::observed::KeyReading;
use crate::token::keys::Key;
use crate::{account, mail, session, team, token};

/// How often the heads of the audit are logged, and old events deleted.
const AUDIT_EVERY: Duration = Duration::from_hours(1);

/// How often the mails that wait are counted.
const OUTBOX_EVERY: Duration = Duration::from_secs(10);
/// How often the limits forget clients without recent requests, how often pending migrations are
/// counted, and how often the heads of the audit are recorded in the audit itself.
const MINUTE: Duration = Duration::from_mins(1);
/// How often expired rows are deleted.
const SWEEP_EVERY: Duration = Duration::from_mins(10);
/// How often the certificate's files are checked for changes.
const TLS_EVERY: Duration = Duration::from_secs(10);

/// Starts the periodic work.
pub fn tick(app: &Arc<App>, tls: Option<Arc<Tls>>, root: &Root, stop: &CancellationToken) {
    observe_keys(app);
    let task = |name| root.task(name, stop);
    // These tasks run at once, because some mails were perhaps due when the previous daemon stopped
    // or died.
    task(TaskName::MailDelivery).soon_and_every(mail::SWEEP_EVERY, on(app, deliver_mail));
    task(TaskName::OutboxCount).soon_and_every(OUTBOX_EVERY, on(app, count_outbox));
    task(TaskName::LimitsSweep).every(MINUTE, on(app, sweep_limits));
    task(TaskName::MigrationsCount).every(MINUTE, on(app, count_pending));
    task(TaskName::KeyRotation).every(token::keys::RELOAD_EVERY, on(app, turn_keys));
    // The sweeps run at once. Otherwise a daemon that is restarted every few minutes would never
    // delete anything.
    task(TaskName::AccountSweep).soon_and_every(SWEEP_EVERY, on(app, sweep_accounts));
    task(TaskName::EmailChangeSweep).soon_and_every(SWEEP_EVERY, on(app, sweep_email_changes));
    task(TaskName::FirstFactorSweep).soon_and_every(SWEEP_EVERY, on(app, sweep_first_factors));
    task(TaskName::EndedSessionSweep).soon_and_every(SWEEP_EVERY, on(app, sweep_ended_sessions));
    task(TaskName::OutboxSweep).soon_and_every(SWEEP_EVERY, on(app, sweep_outbox));
    task(TaskName::RevocationSweep).soon_and_every(SWEEP_EVERY, on(app, sweep_revocations));
    task(TaskName::InvitationSweep).soon_and_every(SWEEP_EVERY, on(app, sweep_invitations));
    let audited = Arc::new(AuditKeeper::new(app.clone()));
    // This task runs at once, and then every hour. Otherwise a daemon that is restarted every hour
    // would never log heads.
    task(TaskName::Audit).soon_and_every(AUDIT_EVERY, move || {
        let audited = audited.clone();
        async move {
            audited.keep().await;
        }
    });
    task(TaskName::AuditCheckpoint).every(MINUTE, on(app, write_checkpoint));
    if let Some(tls) = tls {
        task(TaskName::TlsReload).every(TLS_EVERY, move || {
            tls.reload();
            ready(())
        });
    }
}

/// Pushes the metrics if there is a collector, also while the daemon still waits for its database.
pub fn push(metrics: &Arc<Metrics>, interval: Duration, root: &Root, stop: &CancellationToken) {
    if metrics.is_pushed() {
        let metrics = metrics.clone();
        root.task(TaskName::MetricsPush, stop).every(interval, move || {
            let metrics = metrics.clone();
            async move { metrics.push().await }
        });
    }
}

/// Creates the work of a task from a function on an [`App`].
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

/// Counts the mails that wait. If the database does not respond, the last counts stay. The mailer
/// does not count the mails itself, because a mailer that hangs would hide the mails that wait for
/// it.
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

/// Takes the next step of the key rotation, and reads the changes that other replicas made to the
/// keys.
pub async fn turn_keys(app: Arc<App>) {
    if let Err(error) = app.keys.turn().await {
        tracing::warn!(
            error = %error,
            "cannot update the signing keys, so the daemon continues with the keys in memory"
        );
    }
}

async fn sweep_accounts(app: Arc<App>) {
    let before = app.clock.now() - millis(app.config.registration.unverified_ttl);
    app.accounts.collect_unverified(before);
}

async fn sweep_outbox(app: Arc<App>) {
    app.deliveries.delete_old();
}

async fn sweep_email_changes(app: Arc<App>) {
    let confirm_ttl = app.config.verification.ttl;
    let swept = account::sweep_email_changes(&app.db, confirm_ttl, app.clock.now()).await;
    if let Err(error) = swept {
        tracing::warn!(
            error = %error,
            "cannot delete old changes of email addresses, the next run tries again"
        );
    }
}

async fn sweep_first_factors(app: Arc<App>) {
    if let Err(error) = account::sweep_first_factors(&app.db, app.clock.now()).await {
        tracing::warn!(
            error = %error,
            "cannot delete the records of old first factors, the next run tries again"
        );
    }
}

async fn sweep_ended_sessions(app: Arc<App>) {
    if let Err(error) = session::sweep_ended(&app.db, app.clock.now()).await {
        tracing::warn!(
            error = %error,
            "cannot delete the records of expired sessions, the next run tries again"
        );
    }
}

async fn sweep_revocations(app: Arc<App>) {
    if let Err(error) = token::revocation::sweep(&app.db, app.clock.now()).await {
        tracing::warn!(
            error = %error,
            "cannot delete expired revocations, the next run tries again"
        );
    }
}

async fn sweep_invitations(app: Arc<App>) {
    if let Err(error) = team::invitations::sweep(&app.db, app.clock.now()).await {
        tracing::warn!(
            error = %error,
            "cannot delete expired invitations, the next run tries again"
        );
    }
}

/// Registers a function that reads the ages of the signing keys whenever the metrics are read. So a
/// rotation that hangs cannot hide the ages.
fn observe_keys(app: &Arc<App>) {
    app.metrics.signing_key_age_limit.record(app.config.tokens.rotate_every.as_secs_f64(), &[]);
    // The app holds the metrics, so the metrics must not hold the app.
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

async fn write_checkpoint(app: Arc<App>) {
    let written = audit::checkpoint_event::write(&app.db, &app.audit, app.clock.now()).await;
    if let Err(error) = written {
        tracing::warn!(
            error = %error,
            "cannot record the latest row of each audit stream (the checkpoint event): the next run of \
             this task tries again, and no row is lost"
        );
    }
}

/// Maintains the audit: logs the heads of streams, and deletes old events.
#[derive(Debug)]
pub struct AuditKeeper {
    app: Arc<App>,
    /// When this daemon last logged heads. [`NEVER`] before the first time.
    logged_at: AtomicI64,
}

const NEVER: UnixMillis = i64::MIN;

impl AuditKeeper {
    pub fn new(app: Arc<App>) -> Self {
        Self { app, logged_at: AtomicI64::new(NEVER) }
    }

    /// Logs the heads that have changed, as a copy outside of the database, and deletes events that
    /// are too old. Returns how many heads were logged.
    ///
    /// Heads are logged under the audit's own target, like its events: `latchkey::audit=info` in
    /// `log.filter` includes both. A failure is logged, and the next run tries again.
    pub async fn keep(&self) -> usize {
        let app = &self.app;
        let now = app.clock.now();
        let logged = self.log_heads(now).await.unwrap_or_else(|error| {
            tracing::warn!(
                error = %error,
                "cannot log the audit heads, the daemon tries again in an hour"
            );
            0
        });
        let before = now - millis(app.config.audit.retention);
        match audit::sweep(&app.db, &app.audit, before).await {
            Ok(swept) if swept.events + swept.streams == 0 => {}
            Ok(swept) => {
                tracing::info!(
                    events = swept.events,
                    streams = swept.streams,
                    "old audit events were deleted"
                );
            }
            Err(error) => {
                tracing::warn!(
                    error = %error,
                    "cannot delete old audit events, the daemon tries again in an hour"
                );
            }
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

/// Returns a time. The heads that have changed since that time are logged. The time is one hour
/// before heads were last logged. The hour covers events that were still being written, and clocks
/// that differ.
///
/// After a start, the daemon does not know when heads were last logged. But while no daemon runs,
/// usually no event is written. So the heads that changed in the two hours before the last event
/// are logged, however long no daemon ran.
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
