//! The pipeline of the metrics: one provider, which `/metrics` and the exporter read.
//!
//! A second set of counters for Prometheus would double the cost for each request, and could
//! disagree with the first set.

use std::ops::Deref;
use std::sync::Arc;

use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{self as sdk, SdkMeterProvider, Stream};
use prometheus::{Registry, TextEncoder};

use super::attributes::DeclaredValues;
use super::labels::Version;
use super::observed::Observed;
use super::otlp::{Connect, Numbers, Refused};
use super::push::{Push, Reader};
use super::registry::Instruments;
use super::start::resource;
use super::{process, registry, runtime};
use crate::config::Telemetry;

/// The name of the instrumentation scope.
pub const SCOPE: &str = "latchkey";

/// The instruments, with their provider and its readers.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Keeps the instruments alive until [`Metrics::shutdown`].
    provider: SdkMeterProvider,
    /// Sends the metrics, if an endpoint is configured.
    push: Option<Push>,
    /// The values that are read when they are exported.
    pub observed: Arc<Observed>,
    instruments: Instruments,
}

/// `metrics.logins` is the instrument of that name.
impl Deref for Metrics {
    type Target = Instruments;

    fn deref(&self) -> &Instruments {
        &self.instruments
    }
}

impl Metrics {
    /// Creates the instruments and the registry that `/metrics` reads.
    ///
    /// # Errors
    /// If the registry refuses the reader. This means that the build is broken.
    pub fn new() -> Result<Self, Refused> {
        let resource = Resource::builder_empty().with_service_name(SCOPE).build();
        Self::read_by(resource, None, &DeclaredValues::default())
    }

    /// Creates the instruments of the daemon. Their counters start at 0 for every declared value.
    /// [`Metrics::push`] sends them to the endpoint of the settings.
    ///
    /// # Errors
    /// The errors of [`Metrics::new`], and an error if an endpoint or a header is malformed.
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
        let metrics = Self {
            instruments: Instruments::new(&meter, declared),
            registry,
            provider,
            push,
            observed,
        };
        metrics.build_info.set(1, Version);
        Ok(metrics)
    }

    /// All series in Prometheus' text format, for `/metrics`.
    pub fn render(&self) -> String {
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_default()
    }

    /// Whether the metrics are pushed to a collector.
    pub fn is_pushed(&self) -> bool {
        self.push.is_some()
    }

    /// Pushes the current value of every series. Does nothing if no endpoint is configured.
    pub async fn push(&self) {
        if let Some(push) = &self.push {
            push.send().await;
        }
    }

    /// Ends the provider. Its values are not read any more.
    pub fn shutdown(&self) {
        let _ = self.provider.shutdown();
    }
}

/// Limits every instrument to the number of series that its row of the registry allows, even if the
/// code records other attributes.
fn bounded(instrument: &sdk::Instrument) -> Option<Stream> {
    let row = registry::ALL.iter().find(|row| row.name == instrument.name())?;
    Stream::builder().with_cardinality_limit(row.series_max()).build().ok()
}

#[cfg(test)]
mod tests {
    use opentelemetry::KeyValue;

    use super::*;
    use crate::telemetry::labels::{Done, LoginMethod};
    use crate::telemetry::typed::Outcome;

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
            metrics.pool_shed.0.add(1, &[KeyValue::new("pool", number.to_string())]);
        }
        let text = metrics.render();
        let lines = text.lines().filter(|it| it.starts_with("latchkey_pool_shed_total{")).count();
        assert!(lines <= 201, "{lines}");
        assert!(text.contains("otel_metric_overflow=\"true\""), "{text}");
    }
}
