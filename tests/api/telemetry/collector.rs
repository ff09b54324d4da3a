//! An OTLP collector for tests. It accepts exports over gRPC (HTTP/2) and over HTTP/1.1, and stores
//! them.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{HeaderMap, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// The messages that the collector has received.
#[derive(Default)]
struct Kept {
    /// The bytes of every message.
    bytes: Vec<Bytes>,
    /// The path and the header `x-planted-key` of every message.
    asked: Vec<(String, Option<String>)>,
    spans: Vec<Span>,
    metrics: Vec<Metric>,
    logs: Vec<LogRecord>,
    services: Vec<String>,
}

/// The collector. It stops when the value is dropped.
pub struct Collector {
    address: std::net::SocketAddr,
    kept: Arc<Mutex<Kept>>,
    _server: JoinSet<()>,
}

impl Collector {
    /// Listens on a loopback port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let kept = Arc::<Mutex<Kept>>::default();
        let shared = kept.clone();
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let shared = shared.clone();
                connections.spawn(async move {
                    let service = service_fn(|request| answer(request, shared.clone()));
                    let builder = auto::Builder::new(TokioExecutor::new());
                    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { address, kept, _server: server }
    }

    /// Returns the URL of the collector: `http://127.0.0.1:…`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn look<T>(&self, at: impl FnOnce(&Kept) -> T) -> T {
        at(&self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns every span that the collector has received so far.
    pub fn spans(&self) -> Vec<Span> {
        self.look(|kept| kept.spans.clone())
    }

    /// Returns every metric of every push that the collector has received so far.
    pub fn metrics(&self) -> Vec<Metric> {
        self.look(|kept| kept.metrics.clone())
    }

    /// Returns every log record that the collector has received so far.
    pub fn logs(&self) -> Vec<LogRecord> {
        self.look(|kept| kept.logs.clone())
    }

    /// Returns the `service.name` of every message.
    pub fn services(&self) -> Vec<String> {
        self.look(|kept| kept.services.clone())
    }

    /// Returns the path and the `x-planted-key` header of every message.
    pub fn asked(&self) -> Vec<(String, Option<String>)> {
        self.look(|kept| kept.asked.clone())
    }

    /// Says whether any received message contains this text.
    pub fn holds(&self, text: &str) -> bool {
        let needle = text.as_bytes();
        self.look(|kept| {
            kept.bytes.iter().any(|bytes| bytes.windows(needle.len()).any(|it| it == needle))
        })
    }
}

/// Returns the value of an attribute as text.
pub fn attribute(attributes: &[KeyValue], key: &str) -> Option<String> {
    let value = attributes.iter().find(|it| it.key == key)?.value.clone()?.value?;
    Some(match value {
        Value::StringValue(text) => text,
        Value::IntValue(number) => number.to_string(),
        Value::BoolValue(is) => is.to_string(),
        other => format!("{other:?}"),
    })
}

type Body = StreamBody<stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, Infallible>>>>;

async fn answer(
    request: Request<Incoming>,
    kept: Arc<Mutex<Kept>>,
) -> Result<Response<Body>, hyper::Error> {
    let path = request.uri().path().to_owned();
    let is_grpc = request
        .headers()
        .get("content-type")
        .is_some_and(|it| it.as_bytes().starts_with(b"application/grpc"));
    let planted = request.headers().get("x-planted-key");
    let planted = planted.and_then(|it| it.to_str().ok()).map(str::to_owned);
    let body = request.into_body().collect().await?.to_bytes();
    // In gRPC one byte for a flag and four bytes for the length come before the message.
    let message = if is_grpc { body.slice(5..) } else { body };
    keep(&mut kept.lock().unwrap_or_else(PoisonError::into_inner), &path, planted, &message);
    let mut frames = Vec::new();
    if is_grpc {
        frames.push(Ok(Frame::data(Bytes::from_static(&[0; 5]))));
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        frames.push(Ok(Frame::trailers(trailers)));
    }
    let mut response = Response::new(StreamBody::new(stream::iter(frames)));
    let kind = if is_grpc { "application/grpc" } else { "application/x-protobuf" };
    response.headers_mut().insert("content-type", HeaderValue::from_static(kind));
    Ok(response)
}

fn keep(kept: &mut Kept, path: &str, planted: Option<String>, message: &Bytes) {
    kept.bytes.push(message.clone());
    kept.asked.push((path.to_owned(), planted));
    let mut services = Vec::new();
    match path {
        "/v1/traces" | "/opentelemetry.proto.collector.trace.v1.TraceService/Export" => {
            let export = ExportTraceServiceRequest::decode(message.clone()).expect("traces");
            for it in export.resource_spans {
                services.extend(it.resource.map(|it| it.attributes));
                kept.spans.extend(it.scope_spans.into_iter().flat_map(|it| it.spans));
            }
        }
        "/v1/metrics" | "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export" => {
            let export = ExportMetricsServiceRequest::decode(message.clone()).expect("metrics");
            for it in export.resource_metrics {
                services.extend(it.resource.map(|it| it.attributes));
                kept.metrics.extend(it.scope_metrics.into_iter().flat_map(|it| it.metrics));
            }
        }
        "/v1/logs" | "/opentelemetry.proto.collector.logs.v1.LogsService/Export" => {
            let export = ExportLogsServiceRequest::decode(message.clone()).expect("logs");
            for it in export.resource_logs {
                services.extend(it.resource.map(|it| it.attributes));
                kept.logs.extend(it.scope_logs.into_iter().flat_map(|it| it.log_records));
            }
        }
        _ => panic!("nobody exports to {path}"),
    }
    kept.services.extend(services.iter().filter_map(|it| attribute(it, "service.name")));
}
