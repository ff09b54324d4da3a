//! What the daemon does at its own pace: sweeps, the rotation of keys, the keeping of the audit.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use tokio_util::sync::CancellationToken;

use super::build::{Built, count_migrations};
use crate::actor::every;
use crate::app::App;
use crate::audit::heads;
use crate::clock::millis;
use crate::http::tls::Tls;
use crate::{limits, mail, registration, tenancy, token};

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
    tell(app, stop);
    let pools = app.pools.clone();
    let mailer = pools.mailer.clone();
    let sweep = move || {
        let _ = mailer.nudge(mail::Message::Sweep);
        ready(())
    };
    // What was due when the last daemon stopped, or died.
    drop(sweep());
    every(Duration::from_secs(5), stop.clone(), sweep);
    let limits = pools.limits.clone();
    every(Duration::from_mins(1), stop.clone(), move || {
        let _ = limits.nudge(limits::Message::Sweep);
        ready(())
    });
    let (clock, unverified_ttl) = (app.clock.clone(), app.config.registration.unverified_ttl);
    every(Duration::from_mins(10), stop.clone(), move || {
        let before = clock.now() - millis(unverified_ttl);
        let _ = pools.registration.nudge(registration::Message::Collect { before });
        let _ = pools.mailer.nudge(mail::Message::Forget);
        ready(())
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
            if let Err(error) = tenancy::invitations::sweep(&app.db, app.clock.now()).await {
                tracing::warn!(error = %error, "expired invitations not swept");
            }
        }
    });
    let audited = app.clone();
    every(AUDIT_EVERY, stop.clone(), move || {
        let app = audited.clone();
        async move { keep_audit(&app).await }
    });
    if let Some(tls) = tls {
        every(Duration::from_secs(10), stop.clone(), move || {
            tls.reload();
            ready(())
        });
    }
}

/// What is measured or pushed by itself.
fn tell(app: &Arc<App>, stop: &CancellationToken) {
    if app.metrics.is_pushed() {
        let metrics = app.metrics.clone();
        every(app.config.telemetry.interval, stop.clone(), move || {
            let metrics = metrics.clone();
            async move { metrics.push().await }
        });
    }
    let counted = app.clone();
    every(Duration::from_mins(1), stop.clone(), move || {
        let app = counted.clone();
        async move { count_migrations(&app.db, &app.metrics).await }
    });
}

/// Writes the heads that moved to the log, for a copy outside of the database, and removes what is too old.
async fn keep_audit(app: &App) {
    let since = app.clock.now() - millis(AUDIT_EVERY) * 2;
    if let Err(error) = log_heads(app, since).await {
        tracing::warn!(error = %error, "heads of the audit not logged, the next hour will");
    }
    let before = app.clock.now() - millis(app.config.audit_retention);
    match crate::audit::sweep(&app.db, &app.audit, before).await {
        Ok(swept) if swept.events + swept.streams == 0 => {}
        Ok(swept) => tracing::info!(events = swept.events, streams = swept.streams, "audit swept"),
        Err(error) => tracing::warn!(error = %error, "audit not swept, the next hour will"),
    }
}

async fn log_heads(
    app: &App,
    since: crate::clock::UnixMillis,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut after = uuid::Uuid::nil();
    loop {
        let page = heads::page(&app.db, since, after).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.stream;
        let count = page.len();
        let issuer = &app.config.tokens.issuer;
        let signed = heads::sign(&app.keys.current(), issuer, app.clock.now_seconds(), page)?;
        tracing::info!(count, heads = signed, "audit heads");
    }
}
