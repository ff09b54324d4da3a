//! Every metric there is: one list of names, one struct of instruments.
//!
//! Attributes are closed enumerations: never a person, an address, a key id, a session, a raw path or an error's text.
//! The names follow OpenTelemetry's semantic conventions where they have one, and start with `latchkey.` elsewhere.

use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter, MeterProvider as _};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{Registry, TextEncoder};

/// The conventions' buckets for a server's request duration, in seconds.
const REQUEST_SECONDS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// Waiting and working in a pool, in seconds: from a function call to a deadline.
const POOL_SECONDS: [f64; 10] = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0];

/// The instruments. Made once, shared by reference.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Keeps the instruments alive, and shut down with us.
    provider: SdkMeterProvider,
    /// `http.server.request.duration` in seconds.
    pub request_duration: Histogram<f64>,
    /// `http.client.request.duration` in seconds: what we ask of others.
    pub client_request_duration: Histogram<f64>,
    /// `latchkey.requests.shed` {reason}.
    pub requests_shed: Counter<u64>,
    /// `latchkey.logins` {method, outcome}.
    pub logins: Counter<u64>,
    /// `latchkey.registrations` {outcome}.
    pub registrations: Counter<u64>,
    /// `latchkey.email_verifications` {outcome}.
    pub email_verifications: Counter<u64>,
    /// `latchkey.password_resets` {stage, outcome}.
    pub password_resets: Counter<u64>,
    /// `latchkey.tokens.issued` {type}.
    pub tokens_issued: Counter<u64>,
    /// `latchkey.refreshes` {outcome}.
    pub refreshes: Counter<u64>,
    /// `latchkey.refresh.reuse_detected`.
    pub refresh_reuse_detected: Counter<u64>,
    /// `latchkey.sessions.revoked` {reason}.
    pub sessions_revoked: Counter<u64>,
    /// `latchkey.tenancy.changes` {change}.
    pub tenancy_changes: Counter<u64>,
    /// `latchkey.token_grants` {outcome}.
    pub token_grants: Counter<u64>,
    /// `latchkey.introspections` {outcome}.
    pub introspections: Counter<u64>,
    /// `latchkey.revocations` {type}.
    pub revocations: Counter<u64>,
    /// `latchkey.forward_auths` {outcome}.
    pub forward_auths: Counter<u64>,
    /// `latchkey.signing_key.age` {kind} in seconds.
    pub signing_key_age: Gauge<f64>,
    /// `latchkey.password.hash.duration` {operation} in seconds.
    pub password_hash_duration: Histogram<f64>,
    /// `latchkey.pool.queue.depth` {pool}.
    pub pool_queue_depth: Gauge<u64>,
    /// `latchkey.pool.shed` {pool, reason}.
    pub pool_shed: Counter<u64>,
    /// `latchkey.pool.wait.duration` {pool} in seconds.
    pub pool_wait_duration: Histogram<f64>,
    /// `latchkey.pool.work.duration` {pool} in seconds.
    pub pool_work_duration: Histogram<f64>,
    /// `latchkey.pool.worker.crashes` {pool}.
    pub pool_worker_crashes: Counter<u64>,
    /// `latchkey.rate_limit.decisions` {policy, decision, scope}.
    pub rate_limit_decisions: Counter<u64>,
    /// `latchkey.captcha.verifications` {provider, outcome}.
    pub captcha_verifications: Counter<u64>,
    /// `latchkey.password.breach_checks` {outcome}.
    pub breach_checks: Counter<u64>,
    /// `latchkey.mail.outbox.depth`.
    pub mail_outbox_depth: Gauge<u64>,
    /// `latchkey.mail.outbox.oldest.age` in seconds.
    pub mail_outbox_oldest_age: Gauge<f64>,
    /// `latchkey.mail.deliveries` {template, outcome}.
    pub mail_deliveries: Counter<u64>,
    /// `latchkey.audit.events` {action, outcome}.
    pub audit_events: Counter<u64>,
    /// `latchkey.audit.write.failures`.
    pub audit_write_failures: Counter<u64>,
    /// `latchkey.build.info` {version}.
    pub build_info: Gauge<u64>,
}

impl Metrics {
    /// Makes the instruments and the registry that `/metrics` reads.
    pub fn new() -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let registry = Registry::new();
        let exporter =
            opentelemetry_prometheus::exporter().with_registry(registry.clone()).build()?;
        let provider = SdkMeterProvider::builder().with_reader(exporter).build();
        let meter = provider.meter("latchkey");
        let metrics = Self {
            request_duration: seconds(&meter, "http.server.request.duration", &REQUEST_SECONDS),
            client_request_duration: seconds(
                &meter,
                "http.client.request.duration",
                &REQUEST_SECONDS,
            ),
            requests_shed: count(&meter, "latchkey.requests.shed"),
            logins: count(&meter, "latchkey.logins"),
            registrations: count(&meter, "latchkey.registrations"),
            email_verifications: count(&meter, "latchkey.email_verifications"),
            password_resets: count(&meter, "latchkey.password_resets"),
            tokens_issued: count(&meter, "latchkey.tokens.issued"),
            refreshes: count(&meter, "latchkey.refreshes"),
            refresh_reuse_detected: count(&meter, "latchkey.refresh.reuse_detected"),
            sessions_revoked: count(&meter, "latchkey.sessions.revoked"),
            tenancy_changes: count(&meter, "latchkey.tenancy.changes"),
            token_grants: count(&meter, "latchkey.token_grants"),
            introspections: count(&meter, "latchkey.introspections"),
            revocations: count(&meter, "latchkey.revocations"),
            forward_auths: count(&meter, "latchkey.forward_auths"),
            signing_key_age: meter.f64_gauge("latchkey.signing_key.age").with_unit("s").build(),
            password_hash_duration: seconds(
                &meter,
                "latchkey.password.hash.duration",
                &REQUEST_SECONDS,
            ),
            pool_queue_depth: meter.u64_gauge("latchkey.pool.queue.depth").build(),
            pool_shed: count(&meter, "latchkey.pool.shed"),
            pool_wait_duration: seconds(&meter, "latchkey.pool.wait.duration", &POOL_SECONDS),
            pool_work_duration: seconds(&meter, "latchkey.pool.work.duration", &POOL_SECONDS),
            pool_worker_crashes: count(&meter, "latchkey.pool.worker.crashes"),
            rate_limit_decisions: count(&meter, "latchkey.rate_limit.decisions"),
            captcha_verifications: count(&meter, "latchkey.captcha.verifications"),
            breach_checks: count(&meter, "latchkey.password.breach_checks"),
            mail_outbox_depth: meter.u64_gauge("latchkey.mail.outbox.depth").build(),
            mail_outbox_oldest_age: meter
                .f64_gauge("latchkey.mail.outbox.oldest.age")
                .with_unit("s")
                .build(),
            mail_deliveries: count(&meter, "latchkey.mail.deliveries"),
            audit_events: count(&meter, "latchkey.audit.events"),
            audit_write_failures: count(&meter, "latchkey.audit.write.failures"),
            build_info: meter.u64_gauge("latchkey.build.info").build(),
            registry,
            provider,
        };
        metrics
            .build_info
            .record(1, &[opentelemetry::KeyValue::new("version", env!("CARGO_PKG_VERSION"))]);
        Ok(metrics)
    }

    /// Counts a change of a team; `change` is one of the words of docs/tenancy.md.
    pub fn changed(&self, change: &'static str) {
        self.tenancy_changes.add(1, &[opentelemetry::KeyValue::new("change", change)]);
    }

    /// Every series in Prometheus' text format, for `/metrics`.
    pub fn render(&self) -> String {
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_default()
    }

    /// Ends the provider; what it holds is read no more.
    pub fn shutdown(&self) {
        let _ = self.provider.shutdown();
    }
}

fn count(meter: &Meter, name: &'static str) -> Counter<u64> {
    meter.u64_counter(name).build()
}

fn seconds(meter: &Meter, name: &'static str, buckets: &[f64]) -> Histogram<f64> {
    meter.f64_histogram(name).with_unit("s").with_boundaries(buckets.to_vec()).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_scraped() {
        let metrics = Metrics::new().unwrap();
        metrics.logins.add(2, &[opentelemetry::KeyValue::new("outcome", "success")]);
        let text = metrics.render();
        assert!(text.contains("latchkey_logins_total{"), "{text}");
        assert!(text.contains("outcome=\"success\""), "{text}");
        assert!(text.contains("latchkey_build_info"), "{text}");
    }
}
