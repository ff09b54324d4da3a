//! Starts the telemetry of the process: the log, and the queues of spans and log records.

use std::time::Duration;

use opentelemetry::logs::{AnyValue, LogRecord as _};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogProcessor, SdkLogRecord, SdkLoggerProvider};
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, reload};

use super::export::Export;
use super::observed::Signal;
use super::otlp::{Connect, Logs, Record, Refused, Spans};
use super::trace::Traces;
use super::{ids, json, trace, writer};
use crate::config::{Config, LogFormat, Telemetry};

/// How long the last exports may take when the process ends. After that, the log has one more
/// second to write its lines.
const ENDS_WITHIN: Duration = Duration::from_secs(4);

/// The exports of the process, and the handle of the log's filter.
#[derive(Clone, Debug, Default)]
pub struct Exports {
    traces: Option<(&'static Traces, Spans)>,
    logs: Option<(&'static Export<Record>, Logs)>,
    filter: Option<reload::Handle<EnvFilter, Registry>>,
}

/// Starts the log on stderr, and the queues of the exports. A second call in one process does not
/// start a second log.
///
/// # Errors
/// If `EnvFilter` cannot read the filter of the log, an endpoint or header is malformed, or the
/// thread of the log does not start.
pub fn start(config: &Config, connect: Connect) -> Result<Exports, Refused> {
    let (filter, handle) = reload::Layer::new(filter(&config.log.filter)?);
    let mut exports = Exports { filter: Some(handle), ..Exports::default() };
    let resource = resource(&config.telemetry);
    let mut bridge = None;
    if let Some(to) = &config.telemetry.logs {
        let exporter = Logs::new(to, &resource, connect)?;
        // The queue exists until the process ends, like the log itself.
        let queue: &'static Export<Record> = Box::leak(Box::new(Export::new(Signal::Logs)));
        exports.logs = Some((queue, exporter));
        let provider = SdkLoggerProvider::builder().with_log_processor(Keep(queue)).build();
        // Only latchkey's own records are exported. Records about the export are left out, because
        // they would cause further exports.
        let ours = filter_fn(|it| {
            it.target().starts_with("latchkey") && !it.target().starts_with("latchkey::telemetry")
        });
        bridge = Some(OpenTelemetryTracingBridge::new(&provider).with_filter(ours));
    }
    let out = writer::open(config.log.format)?.clone();
    let layer = match config.log.format {
        LogFormat::Json => json::Json(move |line| out.put(line)).boxed(),
        LogFormat::Pretty => tracing_subscriber::fmt::layer()
            .compact()
            .with_target(false)
            .with_ansi(config.log_is_coloured)
            // Otherwise the layer prints its errors directly on stderr.
            .log_internal_errors(false)
            .with_writer(move || out.clone())
            .boxed(),
    };
    let log = tracing_subscriber::registry().with(filter).with(ids::Identify).with(layer);
    let _ = log.with(bridge).try_init();
    if let Some(to) = &config.telemetry.traces {
        let exporter = Spans::new(to, &resource, connect)?;
        let (sampler, propagates) = (config.telemetry.sampler, config.telemetry.propagates);
        exports.traces = trace::start(sampler, propagates).zip(Some(exporter));
    }
    Ok(exports)
}

/// Filters for records of libraries. Records of sqlx, ractor and sea_orm_migration below warnings
/// do not help an operator. Other records may contain a secret: sqlx quotes parameters of URLs and
/// lines of `.pgpass`, and redis quotes the server's response to the login. latchkey's own records
/// of the same failures are kept.
const FILTER: &str =
    "sqlx=warn,sqlx_postgres::options=off,redis=off,ractor=warn,sea_orm_migration=warn";

fn filter(text: &str) -> Result<EnvFilter, ParseError> {
    EnvFilter::builder().parse(format!("{FILTER},{text}"))
}

/// The attributes that identify this process in an export.
pub fn resource(telemetry: &Telemetry) -> Resource {
    let pairs = telemetry.resource.iter();
    Resource::builder_empty()
        .with_attributes(pairs.map(|(key, value)| KeyValue::new(key.clone(), value.clone())))
        .build()
}

impl Exports {
    /// Replaces the filter of the log.
    ///
    /// # Errors
    /// If `EnvFilter` cannot read the new filter, or the log has ended.
    pub fn set_filter(&self, text: &str) -> Result<(), Box<dyn std::error::Error>> {
        let Some(handle) = &self.filter else { return Ok(()) };
        handle.reload(filter(text)?)?;
        Ok(())
    }

    pub fn exports_traces(&self) -> bool {
        self.traces.is_some()
    }

    pub fn exports_logs(&self) -> bool {
        self.logs.is_some()
    }

    /// Exports the spans in the queue.
    pub async fn flush_traces(&self) {
        if let Some((traces, exporter)) = &self.traces {
            traces.export.flush(|batch| exporter.clone().send(batch)).await;
        }
    }

    /// Exports the log records in the queue.
    pub async fn flush_logs(&self) {
        if let Some((queue, exporter)) = &self.logs {
            queue.flush(|batch| exporter.clone().send(batch)).await;
        }
    }

    /// Exports the remaining items, within 4 s at most.
    pub async fn finish(self) {
        let both = async { tokio::join!(self.flush_traces(), self.flush_logs()) };
        let _ = tokio::time::timeout(ENDS_WITHIN, Box::pin(both)).await;
    }
}

/// Puts log records into the queue, with the trace that they belong to.
#[derive(Debug)]
struct Keep(&'static Export<Record>);

impl LogProcessor for Keep {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        if let Some(ids) = ids::current() {
            if let Some(context) = ids.context() {
                let flags = Some(context.trace_flags());
                record.set_trace_context(context.trace_id(), context.span_id(), flags);
            }
            record.add_attribute("request_id", AnyValue::from(ids.request_id));
        }
        let record = record.clone();
        let bytes = size_of::<Record>() + text_bytes(&record);
        self.0.put((record, scope.clone()), bytes);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }
}

/// The bytes of a record's texts on the heap.
fn text_bytes(record: &SdkLogRecord) -> usize {
    let of =
        |value: &AnyValue| if let AnyValue::String(text) = value { text.as_str().len() } else { 0 };
    let attributes: usize = record.attributes_iter().map(|(_, value)| of(value)).sum();
    record.body().map_or(0, of) + attributes
}
