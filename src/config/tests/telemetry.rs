//! Tests of `telemetry.*` and of the standard variables that override it.

use std::time::Duration;

use super::Given;
use crate::config::telemetry::{Exported, Protocol, Sampler};

fn given() -> Given {
    Given::default()
}

fn where_to(exported: Option<&Exported>) -> Option<(&str, Protocol)> {
    exported.map(|it| (it.endpoint.as_str(), it.protocol))
}

#[test]
fn nothing_is_exported_unless_an_endpoint_is_given() {
    for given in [
        given(),
        given().variable("LATCHKEY_TELEMETRY__LOGS", "true"),
        given().variable("OTEL_TRACES_EXPORTER", "otlp").variable("OTEL_SERVICE_NAME", "auth"),
    ] {
        let telemetry = given.loaded().config.telemetry;
        assert!(telemetry.traces.is_none() && telemetry.metrics.is_none());
        assert!(telemetry.logs.is_none());
    }
}

#[test]
fn one_endpoint_is_for_traces_and_metrics_and_for_logs_where_they_are_wanted() {
    let given = given().variable("LATCHKEY_TELEMETRY__ENDPOINT", "http://collector:4318/");
    let telemetry = given.loaded().config.telemetry;
    let http = Protocol::Http;
    assert_eq!(
        where_to(telemetry.traces.as_ref()),
        Some(("http://collector:4318/v1/traces", http))
    );
    assert_eq!(
        where_to(telemetry.metrics.as_ref()),
        Some(("http://collector:4318/v1/metrics", http))
    );
    assert!(telemetry.logs.is_none());
    let telemetry = given.variable("OTEL_LOGS_EXPORTER", "otlp").loaded().config.telemetry;
    assert_eq!(where_to(telemetry.logs.as_ref()), Some(("http://collector:4318/v1/logs", http)));
}

#[test]
fn the_standard_variables_win_and_a_signals_own_before_the_common_one() {
    let telemetry = given()
        .variable("LATCHKEY_TELEMETRY__ENDPOINT", "http://ours:4318")
        .variable("LATCHKEY_TELEMETRY__HEADERS", "x-a=ours,x-b=ours")
        .variable("LATCHKEY_TELEMETRY__SAMPLE_RATIO", "0.5")
        .variable("OTEL_EXPORTER_OTLP_ENDPOINT", "http://theirs:4317")
        .variable("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
        .variable("OTEL_EXPORTER_OTLP_HEADERS", "X-B=a%20b")
        .variable("OTEL_EXPORTER_OTLP_TIMEOUT", "1500")
        .variable("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "https://numbers/exactly")
        .variable("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/protobuf")
        .variable("OTEL_METRIC_EXPORT_INTERVAL", "250")
        .variable("OTEL_TRACES_SAMPLER", "traceidratio")
        .variable("OTEL_TRACES_SAMPLER_ARG", "0.25")
        .variable("OTEL_RESOURCE_ATTRIBUTES", "service.name=one,deployment.environment.name=test")
        .variable("OTEL_SERVICE_NAME", "two")
        .variable("OTEL_PROPAGATORS", "baggage")
        .loaded()
        .config
        .telemetry;
    let traces = telemetry.traces.as_ref().unwrap();
    assert_eq!(where_to(Some(traces)), Some(("http://theirs:4317", Protocol::Grpc)));
    assert_eq!(traces.timeout, Duration::from_millis(1500));
    let headers: Vec<_> =
        traces.headers.iter().map(|(key, value)| (key.as_str(), value.expose().as_str())).collect();
    assert_eq!(headers, [("x-b", "a b")], "ours are for our own collector");
    assert_eq!(
        where_to(telemetry.metrics.as_ref()),
        Some(("https://numbers/exactly", Protocol::Http))
    );
    assert_eq!(telemetry.interval, Duration::from_millis(250));
    assert_eq!(telemetry.sampler, Sampler { ratio: 0.25, asks_parent: false });
    let resource = |key: &str| {
        let found = telemetry.resource.iter().find(|(name, _)| name == key);
        found.map(|(_, value)| value.as_str())
    };
    assert_eq!(resource("service.name"), Some("two"));
    assert_eq!(resource("deployment.environment.name"), Some("test"));
    assert!(!telemetry.propagates);
}

#[test]
fn a_disabled_sdk_and_an_exporter_called_none_export_nothing() {
    let given = given().variable("LATCHKEY_TELEMETRY__ENDPOINT", "http://collector:4318");
    let off = given.clone().variable("OTEL_SDK_DISABLED", "TRUE").loaded().config.telemetry;
    assert!(off.traces.is_none() && off.metrics.is_none());
    let some = given.variable("OTEL_TRACES_EXPORTER", "none").loaded().config.telemetry;
    assert!(some.traces.is_none() && some.metrics.is_some());
}

#[test]
fn headers_of_ours_go_to_the_endpoint_of_ours_with_the_variables_over_them() {
    let telemetry = given()
        .variable("LATCHKEY_TELEMETRY__ENDPOINT", "http://ours:4318")
        .variable("LATCHKEY_TELEMETRY__HEADERS", "x-a=ours,x-b=ours")
        .variable("OTEL_EXPORTER_OTLP_HEADERS", "X-B=a%20b")
        .loaded()
        .config
        .telemetry;
    let headers = telemetry.traces.unwrap().headers;
    let headers: Vec<_> =
        headers.iter().map(|(key, value)| (key.as_str(), value.expose().as_str())).collect();
    assert_eq!(headers, [("x-a", "ours"), ("x-b", "a b")]);
}

#[test]
fn headers_that_go_nowhere_are_warned_of() {
    let warned = |given: Given| {
        let warnings = given.loaded().warnings;
        warnings.iter().any(|warning| warning.key == "telemetry.headers")
    };
    let headers = || given().variable("LATCHKEY_TELEMETRY__HEADERS", "x-a=ours");
    assert!(!warned(headers().variable("LATCHKEY_TELEMETRY__ENDPOINT", "http://ours:4318")));
    for name in ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] {
        assert!(warned(headers().variable(name, "http://theirs:4318")), "{name}");
        assert!(!warned(given().variable(name, "http://theirs:4318")), "{name}");
    }
}

#[test]
fn a_variable_that_has_no_effect_is_warned_of() {
    let warned = |name: &str, value: &str| {
        let warnings = given().variable(name, value).loaded().warnings;
        warnings.iter().any(|warning| format!("{warning:?}").contains(name))
    };
    for (name, value) in [
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca.pem"),
        ("OTEL_EXPORTER_OTLP_SPANS_TIMEOUT", "1"),
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
        ("OTEL_SDK_DISABLED", "yes"),
        ("OTEL_PROPAGATORS", "tracecontext,b3"),
    ] {
        assert!(warned(name, value), "{name}");
    }
    for (name, value) in [
        ("OTEL_EXPORTER_OTLP_COMPRESSION", " "),
        ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "1"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1"),
        ("OTEL_SDK_DISABLED", "False"),
        ("OTEL_PROPAGATORS", "tracecontext, baggage"),
        ("OTEL_SERVICE_NAME", "auth"),
    ] {
        assert!(!warned(name, value), "{name}={value}");
    }
}

#[test]
fn what_is_wrong_is_told_by_its_variable() {
    let problems = given()
        .variable("OTEL_EXPORTER_OTLP_ENDPOINT", "collector")
        .variable("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
        .variable("OTEL_EXPORTER_OTLP_HEADERS", "planted-secret")
        .variable("OTEL_TRACES_EXPORTER", "zipkin")
        .variable("OTEL_TRACES_SAMPLER", "jaeger_remote")
        .variable("OTEL_METRIC_EXPORT_INTERVAL", "soon")
        .variable("OTEL_RESOURCE_ATTRIBUTES", "=")
        .problems();
    let text = format!("{problems:?}");
    for name in [
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        "OTEL_EXPORTER_OTLP_HEADERS",
        "OTEL_TRACES_EXPORTER",
        "OTEL_TRACES_SAMPLER",
        "OTEL_METRIC_EXPORT_INTERVAL",
        "OTEL_RESOURCE_ATTRIBUTES",
    ] {
        assert!(text.contains(name), "{name}: {text}");
    }
    assert!(!text.contains("planted-secret"), "{text}");
}
