//! [`Push`]: sends metrics to a collector, at its own interval. It reads the same meter as
//! `/metrics`.

use std::sync::{Arc, Weak};
use std::time::Duration;

use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{InstrumentKind, ManualReader, Pipeline, Temporality};

use super::export::Outage;
use super::observed::Signal;
use super::otlp::Numbers;

/// A metric reader that collects when [`Push`] asks for it. Clones share one reader.
#[derive(Clone, Debug)]
pub(super) struct Reader(Arc<ManualReader>);

impl Reader {
    pub(super) fn new() -> Self {
        Self(Arc::new(ManualReader::builder().build()))
    }
}

impl MetricReader for Reader {
    fn register_pipeline(&self, pipeline: Weak<Pipeline>) {
        self.0.register_pipeline(pipeline);
    }

    fn collect(&self, collected: &mut ResourceMetrics) -> OTelSdkResult {
        self.0.collect(collected)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    /// Exports sums since the start. If an export is lost, the next export contains the lost
    /// counts.
    fn temporality(&self, _: InstrumentKind) -> Temporality {
        Temporality::Cumulative
    }
}

/// Collects the metrics and sends them.
#[derive(Debug)]
pub struct Push {
    reader: Reader,
    exporter: Numbers,
    outage: Outage,
}

impl Push {
    pub(super) fn new(reader: Reader, exporter: Numbers) -> Self {
        Self { reader, exporter, outage: Outage::new(Signal::Metrics) }
    }

    /// Sends the current value of every series.
    pub async fn send(&self) {
        let mut collected = ResourceMetrics::default();
        let done = match self.reader.collect(&mut collected) {
            Ok(()) => self.exporter.send(&collected).await,
            Err(error) => Err(error.to_string()),
        };
        if done.is_err() {
            self.outage.dropped(1);
        }
        self.outage.report(done);
    }
}
