//! [`Metrics`]: the instruments of the [registry], made once and shared by reference.
//!
//! There is one meter, OpenTelemetry's: `/metrics` reads it, and so does the exporter where an endpoint is configured. A
//! second set of counters for Prometheus would cost each request twice and could disagree with the first.

use std::marker::PhantomData;
use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter, MeterProvider as _, UpDownCounter};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{self as sdk, SdkMeterProvider, Stream};
use prometheus::{Registry, TextEncoder};

use super::attributes::DeclaredValues;
use super::instrument::{Instrument, Kind};
use super::labels::{
    AuditEvents, BreachOutcome, CaptchaVerifications, Done, EndReason, ForwardAuth, Grant,
    HashOperation, Introspected, Logins, MailDeliveries, PasswordResets, RateDecision,
    RefreshOutcome, RevokedType, ShedReason, StoreName, TenancyChange, TokenType, Version,
};
use super::observed::Observed;
use super::otlp::{Connect, Numbers, Refused};
use super::push::{Push, Reader};
use super::start::resource;
use super::typed::{Count, Level, Outcome, Series, Timing};
use super::{process, registry, runtime};
use crate::config::Telemetry;

/// The name of the instruments' scope.
pub const SCOPE: &str = "latchkey";

macro_rules! metrics {
    ($($field:ident: $make:ident $kind:ty = $id:ident;)+) => {
        /// The instruments. What a field means stands in its row of the [registry].
        #[derive(Debug)]
        pub struct Metrics {
            registry: Registry,
            /// Keeps the instruments alive, and shut down with us.
            provider: SdkMeterProvider,
            /// Sends them, where somebody wants them.
            push: Option<Push>,
            /// What is read when it is asked for.
            pub observed: Arc<Observed>,
            $(
                #[doc = concat!("[`registry::", stringify!($id), "`].")]
                pub $field: $kind,
            )+
        }

        impl Metrics {
            fn of(
                (registry, provider): (Registry, SdkMeterProvider),
                push: Option<Push>,
                observed: Arc<Observed>,
                declared: &DeclaredValues,
            ) -> Self {
                let meter = provider.meter(SCOPE);
                Self {
                    $($field: $make(&meter, &registry::$id, declared),)+
                    registry,
                    provider,
                    push,
                    observed,
                }
            }
        }
    };
}

metrics! {
    request_duration: seconds Histogram<f64> = REQUEST_DURATION;
    active_requests: up_down UpDownCounter<i64> = ACTIVE_REQUESTS;
    client_request_duration: seconds Histogram<f64> = CLIENT_REQUEST_DURATION;
    db_operation_duration: seconds Histogram<f64> = DB_OPERATION_DURATION;
    requests_shed: counted Count<ShedReason> = REQUESTS_SHED;
    logins: counted Count<Logins> = LOGINS;
    registrations: counted Count<Outcome<Done>> = REGISTRATIONS;
    email_verifications: counted Count<Outcome<Done>> = EMAIL_VERIFICATIONS;
    password_resets: counted Count<PasswordResets> = PASSWORD_RESETS;
    tokens_issued: counted Count<TokenType> = TOKENS_ISSUED;
    refreshes: counted Count<RefreshOutcome> = REFRESHES;
    refresh_reuse_detected: counted Count<()> = REFRESH_REUSE;
    sessions_revoked: counted Count<EndReason> = SESSIONS_REVOKED;
    tenancy_changes: counted Count<TenancyChange> = TENANCY_CHANGES;
    token_grants: counted Count<Outcome<Grant>> = TOKEN_GRANTS;
    introspections: counted Count<Outcome<Introspected>> = INTROSPECTIONS;
    revocations: counted Count<RevokedType> = REVOCATIONS;
    forward_auths: counted Count<Outcome<ForwardAuth>> = FORWARD_AUTHS;
    signing_key_age_limit: value Gauge<f64> = SIGNING_KEY_AGE_LIMIT;
    password_hash_duration: timing Timing<HashOperation> = PASSWORD_HASH_DURATION;
    breach_checks: counted Count<BreachOutcome> = BREACH_CHECKS;
    pool_shed: count Counter<u64> = POOL_SHED;
    pool_wait_duration: seconds Histogram<f64> = POOL_WAIT_DURATION;
    pool_work_duration: seconds Histogram<f64> = POOL_WORK_DURATION;
    pool_worker_crashes: count Counter<u64> = POOL_WORKER_CRASHES;
    rate_limit_decisions: counted Count<RateDecision> = RATE_LIMIT_DECISIONS;
    captcha_verifications: counted Count<CaptchaVerifications> = CAPTCHA_VERIFICATIONS;
    mail_outbox_depth: level Level<()> = MAIL_OUTBOX_DEPTH;
    mail_outbox_oldest_age: value Gauge<f64> = MAIL_OUTBOX_AGE;
    mail_deliveries: counted Count<MailDeliveries> = MAIL_DELIVERIES;
    mail_delivery_duration: timing Timing<MailDeliveries> = MAIL_DELIVERY_DURATION;
    audit_events: counted Count<AuditEvents> = AUDIT_EVENTS;
    audit_write_failures: counted Count<()> = AUDIT_WRITE_FAILURES;
    store_writable: level Level<StoreName> = STORE_WRITABLE;
    migrations_pending: level Level<()> = MIGRATIONS_PENDING;
    build_info: level Level<Version> = BUILD_INFO;
}

impl Metrics {
    /// Makes the instruments and the registry that `/metrics` reads.
    ///
    /// # Errors
    /// When the registry refuses the reader: a broken build.
    pub fn new() -> Result<Self, Refused> {
        let resource = Resource::builder_empty().with_service_name(SCOPE).build();
        Self::read_by(resource, None, &DeclaredValues::default())
    }

    /// The instruments of the daemon: their counters start at 0 for every declared value, and [`Metrics::push`] sends them
    /// where the settings say.
    ///
    /// # Errors
    /// Also when an endpoint or a header is malformed.
    pub fn exported(
        telemetry: &Telemetry,
        declared: &DeclaredValues,
        connect: Connect,
    ) -> Result<Self, Refused> {
        let exporter =
            telemetry.metrics.as_ref().map(|to| Numbers::new(to, connect)).transpose()?;
        Self::read_by(resource(telemetry), exporter, declared)
    }

    fn read_by(
        resource: Resource,
        exporter: Option<Numbers>,
        declared: &DeclaredValues,
    ) -> Result<Self, Refused> {
        let registry = Registry::new();
        let prometheus = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .scope_info_enabled(false)
            .build()?;
        let mut provider = SdkMeterProvider::builder()
            .with_resource(resource)
            .with_reader(prometheus)
            .with_view(bounded);
        let mut push = None;
        if let Some(exporter) = exporter {
            let reader = Reader::new();
            provider = provider.with_reader(reader.clone());
            push = Some(Push::new(reader, exporter));
        }
        let provider = provider.build();
        let observed = Arc::new(Observed::default());
        let meter = provider.meter(SCOPE);
        observed.register(&meter);
        process::register(&meter);
        runtime::register(&meter);
        let metrics = Self::of((registry, provider), push, observed, declared);
        metrics.build_info.set(1, Version);
        Ok(metrics)
    }

    /// Every series in Prometheus' text format, for `/metrics`.
    pub fn render(&self) -> String {
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_default()
    }

    /// Whether there is somebody to push to.
    pub fn is_pushed(&self) -> bool {
        self.push.is_some()
    }

    /// Pushes every series as it is now; nothing where nobody wants them.
    pub async fn push(&self) {
        if let Some(push) = &self.push {
            push.send().await;
        }
    }

    /// Ends the provider; what it holds is read no more.
    pub fn shutdown(&self) {
        let _ = self.provider.shutdown();
    }
}

/// Holds every instrument to the number of series of its row, whatever the code gives it.
fn bounded(instrument: &sdk::Instrument) -> Option<Stream> {
    let row = registry::ALL.iter().find(|row| row.name == instrument.name())?;
    Stream::builder().with_cardinality_limit(row.series_max()).build().ok()
}

fn count(meter: &Meter, row: &Instrument, declared: &DeclaredValues) -> Counter<u64> {
    let counter =
        meter.u64_counter(row.name).with_unit(row.unit).with_description(row.description).build();
    for series in row.zeroes(declared) {
        let attributes: Vec<KeyValue> =
            series.into_iter().map(|(key, value)| KeyValue::new(key, value)).collect();
        counter.add(0, &attributes);
    }
    counter
}

/// A field and its row have the same series.
fn hold<S: Series>(row: &Instrument) {
    debug_assert_eq!(format!("{:?}", row.shapes), format!("{:?}", S::SHAPES), "{}", row.name);
}

fn counted<S: Series>(meter: &Meter, row: &Instrument, declared: &DeclaredValues) -> Count<S> {
    hold::<S>(row);
    Count(count(meter, row, declared), PhantomData)
}

fn timing<S: Series>(meter: &Meter, row: &Instrument, declared: &DeclaredValues) -> Timing<S> {
    hold::<S>(row);
    Timing(seconds(meter, row, declared), PhantomData)
}

fn level<S: Series>(meter: &Meter, row: &Instrument, declared: &DeclaredValues) -> Level<S> {
    hold::<S>(row);
    Level(number(meter, row, declared), PhantomData)
}

fn up_down(meter: &Meter, row: &Instrument, _: &DeclaredValues) -> UpDownCounter<i64> {
    meter
        .i64_up_down_counter(row.name)
        .with_unit(row.unit)
        .with_description(row.description)
        .build()
}

fn number(meter: &Meter, row: &Instrument, _: &DeclaredValues) -> Gauge<u64> {
    meter.u64_gauge(row.name).with_unit(row.unit).with_description(row.description).build()
}

fn value(meter: &Meter, row: &Instrument, _: &DeclaredValues) -> Gauge<f64> {
    meter.f64_gauge(row.name).with_unit(row.unit).with_description(row.description).build()
}

fn seconds(meter: &Meter, row: &Instrument, _: &DeclaredValues) -> Histogram<f64> {
    let Kind::Histogram(buckets) = row.kind else { unreachable!("{} is no histogram", row.name) };
    meter
        .f64_histogram(row.name)
        .with_unit(row.unit)
        .with_description(row.description)
        .with_boundaries(buckets.to_vec())
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::labels::LoginMethod;

    #[test]
    fn what_is_counted_is_scraped() {
        let metrics = Metrics::new().unwrap();
        for _ in 0..2 {
            metrics.logins.one((LoginMethod::Password, Outcome::Is(Done::Success)));
        }
        let text = metrics.render();
        let line = "latchkey_logins_total{method=\"password\",outcome=\"success\"} 2";
        assert!(text.contains(line), "{text}");
        assert!(text.contains("latchkey_build_info{version="), "{text}");
    }

    #[test]
    fn a_rare_counter_starts_at_zero_so_that_the_first_event_is_an_increase() {
        let text = Metrics::new().unwrap().render();
        assert!(text.contains("latchkey_pool_worker_crashes_total{pool=\"password\"} 0"), "{text}");
        assert!(text.contains("latchkey_audit_write_failures_total 0"), "{text}");
        assert!(text.contains("latchkey_refresh_reuse_detected_total 0"), "{text}");
    }

    #[test]
    fn no_code_can_make_more_series_than_a_row_allows() {
        let metrics = Metrics::new().unwrap();
        for number in 0..500 {
            metrics.pool_shed.add(1, &[KeyValue::new("pool", number.to_string())]);
        }
        let text = metrics.render();
        let lines = text.lines().filter(|it| it.starts_with("latchkey_pool_shed_total{")).count();
        assert!(lines <= 201, "{lines}");
        assert!(text.contains("otel_metric_overflow=\"true\""), "{text}");
    }
}
