//! The counters and log lines of a pool's workers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::telemetry::Metrics;
use crate::telemetry::labels::{Crash, PoolName, ShedJob};

/// Counters that can be read without a metrics backend.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) crashes: AtomicU64,
    pub(super) shed: AtomicU64,
    pub(super) expired: AtomicU64,
}

/// Writes the counters, metrics and log lines of a pool.
#[derive(Clone)]
pub(super) struct Observer {
    pub(super) name: PoolName,
    pub(super) give_up: Option<Duration>,
    pub(super) counts: Arc<Counts>,
    pub(super) metrics: Arc<Metrics>,
}

impl Observer {
    /// Counts a job whose deadline passed while the job waited.
    pub(super) fn expired(&self) {
        self.counts.expired.fetch_add(1, Ordering::Relaxed);
        self.metrics.pool_shed.one((self.name, ShedJob::Expired));
    }
}

/// A guard that counts and logs a crash when it is dropped, unless the job is done. A worker can
/// end in the middle of a job by an error, by a panic, or because it is killed.
pub(super) struct CrashGuard<'a> {
    pub(super) observer: &'a Observer,
    /// The span of the request. The guard needs its own handle, because a panic leaves the span
    /// before the guard is dropped.
    pub(super) span: tracing::Span,
    /// True until the job is done. The guard counts a crash only while this is true.
    pub(super) armed: bool,
}

impl Drop for CrashGuard<'_> {
    fn drop(&mut self) {
        if self.armed {
            self.span.in_scope(|| {
                tracing::error!(
                    pool = self.observer.name.name(),
                    "a worker crashed and is replaced"
                );
            });
            self.observer.counts.crashes.fetch_add(1, Ordering::Relaxed);
            self.observer.metrics.pool_worker_crashes.one(Crash::Worker(self.observer.name));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Seek as _};

    use super::*;

    #[test]
    fn a_crash_is_told_with_the_request_that_it_cost() {
        let mut log = tempfile::tempfile().unwrap();
        let writer = Arc::new(log.try_clone().unwrap());
        let subscriber = tracing_subscriber::fmt().with_writer(writer).with_ansi(false).finish();
        let observer = Observer {
            name: PoolName::Captcha,
            give_up: None,
            counts: Arc::default(),
            metrics: Arc::new(Metrics::new().unwrap()),
        };
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("request", request_id = "r");
            // Perhaps another test reached this log line first, while no subscriber was set.
            // tracing then switched the log line off. So this test crashes twice: the first crash
            // registers the log line, and the rebuilt cache switches it on for the second crash.
            for _ in 0..2 {
                drop(CrashGuard { observer: &observer, span: span.clone(), armed: true });
                tracing::callsite::rebuild_interest_cache();
            }
        });
        let mut told = String::new();
        log.rewind().unwrap();
        log.read_to_string(&mut told).unwrap();
        assert!(told.contains(r#"request_id="r""#) && told.contains(r#"pool="captcha""#), "{told}");
        assert_eq!(observer.counts.crashes.load(Ordering::Relaxed), 2);
    }
}
