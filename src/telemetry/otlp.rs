//! The exporters of OTLP, made out of the settings. They are used within the runtime alone.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::InstrumentationScope;
use opentelemetry_otlp::tonic_types::metadata::MetadataMap;
use opentelemetry_otlp::tonic_types::transport::ClientTlsConfig;
use opentelemetry_otlp::{
    LogExporter, MetricExporter, Protocol as Wire, RetryPolicy, SpanExporter, WithExportConfig,
    WithHttpConfig, WithTonicConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{LogBatch, LogExporter as _, SdkLogRecord};
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter as _;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};

use crate::config::telemetry::{Exported, Protocol};
use crate::egress::Collector;

/// Why an exporter cannot be made: the endpoint or a header is malformed.
pub type Refused = Box<dyn Error + Send + Sync>;
/// A log record and who made it.
pub type Record = (SdkLogRecord, InstrumentationScope);

/// Beyond an export's own time, for its retries.
const PATIENCE: Duration = Duration::from_secs(5);

macro_rules! exporter {
    ($exporter:ident, $to:expr) => {
        match $to.protocol {
            Protocol::Grpc => over_grpc($exporter::builder().with_tonic(), $to)?.build()?,
            Protocol::Http => over_http($exporter::builder().with_http(), $to)?.build()?,
        }
    };
}

/// Sends spans.
#[derive(Clone, Debug)]
pub struct Spans {
    exporter: Arc<SpanExporter>,
    within: Duration,
}

/// Sends log records.
#[derive(Clone, Debug)]
pub struct Logs {
    exporter: Arc<LogExporter>,
    within: Duration,
}

/// Sends metrics.
#[derive(Debug)]
pub struct Numbers {
    exporter: MetricExporter,
    within: Duration,
}

impl Spans {
    /// An exporter that connects to nobody yet.
    pub fn new(to: &Exported, resource: &Resource) -> Result<Self, Refused> {
        let mut exporter = exporter!(SpanExporter, to);
        exporter.set_resource(resource);
        Ok(Self { exporter: Arc::new(exporter), within: to.timeout + PATIENCE })
    }

    /// Sends a batch.
    pub async fn send(self, batch: Vec<SpanData>) -> Result<(), String> {
        within(self.within, self.exporter.export(batch)).await
    }
}

impl Logs {
    /// An exporter that connects to nobody yet.
    pub fn new(to: &Exported, resource: &Resource) -> Result<Self, Refused> {
        let mut exporter = exporter!(LogExporter, to);
        exporter.set_resource(resource);
        Ok(Self { exporter: Arc::new(exporter), within: to.timeout + PATIENCE })
    }

    /// Sends a batch.
    pub async fn send(self, batch: Vec<Record>) -> Result<(), String> {
        let batch: Vec<_> = batch.iter().map(|(record, scope)| (record, scope)).collect();
        within(self.within, self.exporter.export(LogBatch::new(&batch))).await
    }
}

impl Numbers {
    /// An exporter that connects to nobody yet.
    pub fn new(to: &Exported) -> Result<Self, Refused> {
        let exporter = exporter!(MetricExporter, to);
        Ok(Self { exporter, within: to.timeout + PATIENCE })
    }

    /// Sends what was collected.
    pub async fn send(&self, collected: &ResourceMetrics) -> Result<(), String> {
        within(self.within, self.exporter.export(collected)).await
    }
}

async fn within<E: std::fmt::Display>(
    limit: Duration,
    export: impl Future<Output = Result<(), E>>,
) -> Result<(), String> {
    match tokio::time::timeout(limit, export).await {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(_) => Err("no answer in time".to_owned()),
    }
}

fn over_grpc<B: WithExportConfig + WithTonicConfig>(
    builder: B,
    to: &Exported,
) -> Result<B, Refused> {
    let metadata = MetadataMap::from_headers((&headers(to)).try_into()?);
    let builder = if to.endpoint.starts_with("https:") {
        builder.with_tls_config(ClientTlsConfig::new().with_enabled_roots())
    } else {
        builder
    };
    Ok(builder
        .with_endpoint(&to.endpoint)
        .with_timeout(to.timeout)
        .with_metadata(metadata)
        .with_retry_policy(RetryPolicy::recommended()))
}

fn over_http<B: WithExportConfig + WithHttpConfig>(
    builder: B,
    to: &Exported,
) -> Result<B, Refused> {
    Ok(builder
        .with_http_client(Collector::new(to.timeout)?)
        .with_protocol(Wire::HttpBinary)
        .with_endpoint(&to.endpoint)
        .with_timeout(to.timeout)
        .with_headers(headers(to))
        .with_retry_policy(RetryPolicy::recommended()))
}

fn headers(to: &Exported) -> HashMap<String, String> {
    to.headers.iter().map(|(key, value)| (key.clone(), value.expose().clone())).collect()
}
