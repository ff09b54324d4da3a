//! Tests of the telemetry of a daemon. They check the spans, metrics and log records that the
//! daemon exports to a collector in this process, and that the daemon never exports forbidden data.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;

use super::{PATIENCE, Place};
use crate::client::Client;
use crate::poll::eventually;
use crate::telemetry::collector::{Collector, attribute};
use crate::telemetry::registry::{hold, sum};

fn said(span: &Span, key: &str) -> Option<String> {
    attribute(&span.attributes, key)
}

fn is_failed(span: &Span) -> bool {
    span.status.as_ref().is_some_and(|it| it.code == StatusCode::Error as i32)
}

/// Sends the requests of a typical user to a daemon that exports its telemetry over `protocol`.
async fn whole_life(protocol: &str) -> Collector {
    let collector = Collector::start().await;
    let mut place = Place::new()
        .set("log.filter", "debug")
        .set("telemetry.logs", "true")
        .variable("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url())
        .variable("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
        .variable("OTEL_SERVICE_NAME", "latchkey-of-a-test")
        .variable("OTEL_METRIC_EXPORT_INTERVAL", "200");
    let running = place.start().await;
    let secrets = super::log::live(&running).await;
    let scraped = running.admin().get("/metrics").await.expect(200).text();
    hold(&scraped);
    let log = running.stop().await;
    assert!(!log.contains("telemetry cannot be exported"), "{log}");
    for secret in &secrets {
        assert!(!collector.holds(secret), "`{secret}` was exported");
        assert!(!scraped.contains(secret.as_str()), "`{secret}` was scraped");
    }
    assert!(collector.services().iter().all(|it| it == "latchkey-of-a-test"));
    collector
}

fn judge(collector: &Collector) {
    let spans = collector.spans();
    let by_id: BTreeMap<&[u8], &Span> = spans.iter().map(|it| (&it.span_id[..], it)).collect();
    let servers: Vec<_> = spans.iter().filter(|it| it.kind == SpanKind::Server as i32).collect();
    let named =
        |name: &str| servers.iter().filter(|it| it.name == name).copied().collect::<Vec<_>>();
    for span in &servers {
        assert!(said(span, "url.query").is_none() && said(span, "url.full").is_none());
        assert_eq!(said(span, "url.path"), said(span, "http.route"), "{span:?}");
        let status: u16 = said(span, "http.response.status_code")
            .and_then(|it| it.parse().ok())
            .expect("a status");
        assert_eq!(is_failed(span), status >= 500, "4xx leaves the status unset: {span:?}");
        assert!(said(span, "latchkey.request_id").is_some());
    }
    assert!(!named("POST /api/login").is_empty());
    assert!(!named("GET /api/verify-email/{token}").is_empty());
    assert!(!named("GET").is_empty(), "a path without a route has none in its name");

    let clients: Vec<_> = spans.iter().filter(|it| it.kind == SpanKind::Client as i32).collect();
    assert!(clients.iter().any(|it| it.name == "SELECT"), "{clients:?}");
    for span in clients.iter().filter(|it| said(it, "db.system.name").is_some()) {
        let keys: Vec<_> = span.attributes.iter().map(|it| it.key.as_str()).collect();
        let known = ["db.system.name", "db.operation.name", "error.type"];
        assert!(keys.iter().all(|key| known.contains(key)), "{keys:?}");
        let parent = by_id[&span.parent_span_id[..]];
        assert_eq!((parent.kind, &parent.trace_id), (SpanKind::Server as i32, &span.trace_id));
    }
    let mails: Vec<_> = spans.iter().filter(|it| it.name == "deliver mail").collect();
    let registered = named("POST /api/register");
    assert!(!mails.is_empty());
    for mail in &mails {
        assert_eq!((mail.kind, mail.links.len()), (SpanKind::Consumer as i32, 1), "{mail:?}");
        assert!(mail.parent_span_id.is_empty() && mail.trace_id != mail.links[0].trace_id);
    }
    assert!(mails.iter().any(|it| it.links[0].span_id == registered[0].span_id));

    let logs = collector.logs();
    let access =
        logs.iter().filter(|it| attribute(&it.attributes, "http.response.status_code").is_some());
    let mut count = 0;
    for record in access {
        count += 1;
        let span = by_id[&record.span_id[..]];
        assert_eq!(span.trace_id, record.trace_id);
        assert_eq!(attribute(&record.attributes, "request_id"), said(span, "latchkey.request_id"));
    }
    assert!(count > 20, "{count}");
    let metrics = collector.metrics();
    metrics.iter().for_each(crate::telemetry::pushed::hold);
    assert!(metrics.iter().any(|it| it.name == "latchkey.logins"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_life_is_exported_over_http_without_a_secret_embedded() {
    judge(&whole_life("http/protobuf").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_life_is_exported_over_grpc_without_a_secret_embedded() {
    judge(&whole_life("grpc").await);
}

#[tokio::test]
async fn a_collector_that_is_away_costs_telemetry_and_nothing_else_embedded() {
    // This address has a free port, on which no collector listens.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut place = Place::new().set("telemetry.endpoint", &format!("http://{nobody}"));
    let running = place.start().await;
    let began = Instant::now();
    for _ in 0..50 {
        running.client.get("/openapi.json").await.expect(200);
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    eventually("spans that are counted as dropped", PATIENCE, async || {
        let text = running.admin().get("/metrics").await.expect(200).text();
        let dropped = sum(&text, "latchkey_telemetry_dropped_total", &[("signal", "traces")]);
        (dropped >= 50.0).then_some(())
    })
    .await;
    let log = running.stop().await;
    let told = log.lines().filter(|it| it.contains("telemetry cannot be exported")).count();
    assert!((1..=2).contains(&told), "once a signal, not once a try: {log}");
}

/// The daemon pushes metrics before the database is up, so that the operator can see the waiting
/// daemon.
#[tokio::test]
async fn metrics_are_pushed_while_the_database_is_awaited_embedded() {
    let collector = Collector::start().await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut place = Place::new()
        .set("database.url", &format!("postgres://latchkey@{nobody}/latchkey"))
        .set("secrets.master_key", &"A".repeat(43))
        .set("telemetry.endpoint", &collector.url())
        .variable("OTEL_METRIC_EXPORT_INTERVAL", "50");
    let _daemon = place.spawn();
    eventually("metrics of a daemon that waits", PATIENCE, async || {
        collector.metrics().iter().any(|it| it.name == "latchkey.build.info").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_disabled_sdk_exports_nothing_embedded() {
    let collector = Collector::start().await;
    let mut place = Place::new()
        .set("telemetry.endpoint", &collector.url())
        .set("telemetry.logs", "true")
        .variable("OTEL_METRIC_EXPORT_INTERVAL", "50")
        .variable("OTEL_SDK_DISABLED", "true");
    let running = place.start().await;
    running.client.get("/openapi.json").await.expect(200);
    running.stop().await;
    assert!(collector.asked().is_empty(), "{:?}", collector.asked());
}

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Sends one request with a `traceparent` and baggage, and returns the span of this request.
async fn called_from(trusted: &str) -> Span {
    let collector = Collector::start().await;
    let mut place = Place::new()
        .set("http.trusted_proxies", trusted)
        .set("telemetry.endpoint", &collector.url());
    let running = place.start().await;
    let client: Client =
        running.client.header("traceparent", PARENT).header("baggage", "who=planted-baggage");
    client.get("/openapi.json").await.expect(200);
    running.stop().await;
    assert!(!collector.holds("planted-baggage"));
    let mut spans = collector.spans();
    spans.retain(|it| it.name == "GET /openapi.json");
    assert_eq!(spans.len(), 1);
    spans.remove(0)
}

#[tokio::test]
async fn a_trusted_proxys_trace_goes_on_and_a_strangers_is_pointed_to_embedded() {
    let trusted = called_from("127.0.0.1/32").await;
    let hex =
        |bytes: &[u8]| bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    assert_eq!(hex(&trusted.trace_id), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(hex(&trusted.parent_span_id), "00f067aa0ba902b7");
    let stranger = called_from("192.0.2.0/24").await;
    assert_ne!(hex(&stranger.trace_id), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert!(stranger.parent_span_id.is_empty());
    assert_eq!(hex(&stranger.links[0].trace_id), "4bf92f3577b34da6a3ce929d0e0e4736");
}

#[tokio::test]
async fn a_client_that_leaves_early_is_logged_and_measured_embedded() {
    use tokio::io::AsyncWriteExt as _;
    let mut place = Place::new();
    let running = place.start().await;
    let mut stream = tokio::net::TcpStream::connect(running.public).await.unwrap();
    let poll = format!(
        "GET /dev/mailbox/messages?wait=30 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\r\n",
        running.mailbox_key()
    );
    stream.write_all(poll.as_bytes()).await.unwrap();
    let active = |text: &str| sum(text, "http_server_active_requests", &[]);
    eventually("a request in work", PATIENCE, async || {
        let text = running.admin().get("/metrics").await.expect(200).text();
        (active(&text) > 0.5).then_some(())
    })
    .await;
    drop(stream);
    eventually("the end of it", PATIENCE, async || {
        let text = running.admin().get("/metrics").await.expect(200).text();
        let left = [("http_response_status_code", "499")];
        let count = sum(&text, "http_server_request_duration_seconds_count", &left);
        (count > 0.5 && active(&text) < 0.5).then_some(())
    })
    .await;
    let log = running.stop().await;
    let line = log.lines().find(|it| it.contains("the client left")).expect("an access line");
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(
        (&line["outcome"], &line["http.response.status_code"]),
        (&"client_closed".into(), &499.into())
    );
    assert_eq!(line["http.route"], "/dev/mailbox/messages");
}
