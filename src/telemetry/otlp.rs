//! The OTLP exporters, created from the settings. They are used only within the async runtime.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry::InstrumentationScope;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
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
use crate::secret::Redactor;

/// Creates the HTTP client of an exporter, with the time limit of a request. The composition root
/// passes this function, because outgoing HTTP belongs to a higher module.
pub type Connect = fn(Duration) -> Result<Box<dyn HttpClient>, Refused>;

/// Why an exporter cannot be created: the endpoint or a header is malformed.
pub type Refused = Box<dyn Error + Send + Sync>;
/// A log record and the scope that created it.
pub type Record = (SdkLogRecord, InstrumentationScope);

/// The time for retries, in addition to the time limit of an export.
const PATIENCE: Duration = Duration::from_secs(5);

macro_rules! exporter {
    ($exporter:ident, $to:expr, $connect:expr) => {
        match $to.protocol {
            Protocol::Grpc => over_grpc($exporter::builder().with_tonic(), $to)?.build()?,
            Protocol::Http => {
                over_http($exporter::builder().with_http(), $to, $connect)?.build()?
            }
        }
    };
}

/// Sends spans.
#[derive(Clone)]
pub struct Spans {
    exporter: Arc<SpanExporter>,
    limits: Limits,
}

/// Sends log records.
#[derive(Clone)]
pub struct Logs {
    exporter: Arc<LogExporter>,
    limits: Limits,
}

/// Sends metrics.
pub struct Numbers {
    exporter: MetricExporter,
    limits: Limits,
}

/// The time limit of an export, and the redactor of its errors. An error must not contain the
/// headers, because they are a collector's credentials.
#[derive(Clone, Debug)]
struct Limits {
    within: Duration,
    redactor: Arc<Redactor>,
}

impl Limits {
    fn of(to: &Exported) -> Self {
        let values = to.headers.iter().map(|(_, value)| value.expose().as_str());
        Self { within: to.timeout + PATIENCE, redactor: Arc::new(Redactor::of_values(values)) }
    }
}

// The exporters' own `Debug` would show their headers, so this macro replaces it.
macro_rules! blind {
    ($($exporter:ident),*) => {$(
        impl fmt::Debug for $exporter {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($exporter)).finish_non_exhaustive()
            }
        }
    )*};
}

blind!(Spans, Logs, Numbers);

impl Spans {
    /// Creates an exporter. It does not connect yet.
    pub fn new(to: &Exported, resource: &Resource, connect: Connect) -> Result<Self, Refused> {
        let mut exporter = exporter!(SpanExporter, to, connect);
        exporter.set_resource(resource);
        Ok(Self { exporter: Arc::new(exporter), limits: Limits::of(to) })
    }

    pub async fn send(self, batch: Vec<SpanData>) -> Result<(), String> {
        within(&self.limits, self.exporter.export(batch)).await
    }
}

impl Logs {
    /// Creates an exporter. It does not connect yet.
    pub fn new(to: &Exported, resource: &Resource, connect: Connect) -> Result<Self, Refused> {
        let mut exporter = exporter!(LogExporter, to, connect);
        exporter.set_resource(resource);
        Ok(Self { exporter: Arc::new(exporter), limits: Limits::of(to) })
    }

    pub async fn send(self, batch: Vec<Record>) -> Result<(), String> {
        let batch: Vec<_> = batch.iter().map(|(record, scope)| (record, scope)).collect();
        within(&self.limits, self.exporter.export(LogBatch::new(&batch))).await
    }
}

impl Numbers {
    /// Creates an exporter. It does not connect yet.
    pub fn new(to: &Exported, connect: Connect) -> Result<Self, Refused> {
        let exporter = exporter!(MetricExporter, to, connect);
        Ok(Self { exporter, limits: Limits::of(to) })
    }

    pub async fn send(&self, collected: &ResourceMetrics) -> Result<(), String> {
        within(&self.limits, self.exporter.export(collected)).await
    }
}

async fn within<E: fmt::Display>(
    limits: &Limits,
    export: impl Future<Output = Result<(), E>>,
) -> Result<(), String> {
    match tokio::time::timeout(limits.within, export).await {
        Ok(done) => done.map_err(|error| limits.redactor.redact(&error.to_string())),
        Err(_) => Err("no response in time".to_owned()),
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
    connect: Connect,
) -> Result<B, Refused> {
    Ok(builder
        .with_http_client(Client(connect(to.timeout)?))
        .with_protocol(Wire::HttpBinary)
        .with_endpoint(&to.endpoint)
        .with_timeout(to.timeout)
        .with_headers(headers(to))
        .with_retry_policy(RetryPolicy::recommended()))
}

/// The client of [`Connect`], as the type that the exporters require.
#[derive(Debug)]
struct Client(Box<dyn HttpClient>);

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        self.0.send_bytes(request).await
    }
}

fn headers(to: &Exported) -> HashMap<String, String> {
    to.headers.iter().map(|(key, value)| (key.clone(), value.expose().clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    #[tokio::test]
    async fn no_exporter_shows_its_headers_and_no_error_repeats_them() {
        for (protocol, endpoint) in
            [(Protocol::Http, "http://127.0.0.1:1/v1/x"), (Protocol::Grpc, "http://127.0.0.1:1")]
        {
            let to = Exported {
                endpoint: endpoint.to_owned(),
                protocol,
                headers: vec![(
                    "authorization".to_owned(),
                    Secret::new("Bearer hunter2".to_owned()),
                )],
                timeout: Duration::from_secs(1),
            };
            let resource = Resource::builder_empty().build();
            let connect: Connect = |within| Ok(Box::new(crate::egress::Collector::new(within)?));
            let (spans, logs, numbers) = (
                Spans::new(&to, &resource, connect),
                Logs::new(&to, &resource, connect),
                Numbers::new(&to, connect),
            );
            let shown = format!("{:?}{:?}{:?}", spans.unwrap(), logs.unwrap(), numbers.unwrap());
            assert!(shown.contains("Spans") && !shown.contains("hunter2"), "{shown}");
            let refused = async { Err("not taken: 'Bearer hunter2'") };
            let told = within(&Limits::of(&to), refused).await.unwrap_err();
            assert_eq!(told, "not taken: '***'");
        }
    }
}
