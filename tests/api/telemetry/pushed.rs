//! Tests of pushed metrics. Their names, units, types and attributes must agree with the registry.

use latchkey::daemon::declared_values;
use latchkey::telemetry::instrument::Kind;
use latchkey::telemetry::registry;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, Metric};

use super::collector::{Collector, attribute};
use crate::app::{Backend, TestApp};

/// Fails the test unless the metric agrees with the registry.
#[track_caller]
pub fn hold(metric: &Metric) {
    let row = registry::ALL.iter().find(|row| row.name == metric.name);
    let row = row.unwrap_or_else(|| panic!("{} is not in the registry", metric.name));
    assert_eq!((metric.unit.as_str(), metric.description.as_str()), (row.unit, row.description));
    let sum = |it: &opentelemetry_proto::tonic::metrics::v1::Sum| {
        assert_eq!(it.aggregation_temporality, AggregationTemporality::Cumulative as i32);
        it.data_points.iter().map(|it| it.attributes.clone()).collect::<Vec<_>>()
    };
    let series = match (row.kind, metric.data.as_ref().expect("data")) {
        (Kind::Counter, Data::Sum(it)) if it.is_monotonic => sum(it),
        (Kind::UpDown, Data::Sum(it)) if !it.is_monotonic => sum(it),
        (Kind::Gauge, Data::Gauge(it)) => {
            it.data_points.iter().map(|it| it.attributes.clone()).collect()
        }
        (Kind::Histogram(buckets), Data::Histogram(it)) => {
            assert!(it.data_points.iter().all(|it| it.explicit_bounds == buckets), "{}", row.name);
            it.data_points.iter().map(|it| it.attributes.clone()).collect()
        }
        (kind, data) => panic!("{} is {kind:?}, and came as {data:?}", row.name),
    };
    assert!(series.len() <= row.series_max(), "{}: {} series", row.name, series.len());
    for attributes in series {
        let pairs: Vec<(String, String)> = attributes.iter().map(pair).collect();
        let pairs: Vec<_> =
            pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert!(row.admits(&declared_values(), &pairs), "{} does not allow {pairs:?}", row.name);
    }
}

fn pair(it: &KeyValue) -> (String, String) {
    let value = attribute(std::slice::from_ref(it), &it.key).expect("a value");
    (it.key.clone(), value)
}

async fn pushed_over(protocol: &str) {
    let collector = Collector::start().await;
    let app = TestApp::builder(Backend::Embedded)
        .set("telemetry.endpoint", &collector.url())
        .set("telemetry.protocol", protocol)
        .set("telemetry.headers", "x-planted-key=of%20the%20collector")
        .start()
        .await;
    app.verified("ada@example.org").await;
    app.finish().await;
    let metrics = collector.metrics();
    assert!(metrics.len() > 40, "the last push has every instrument: {}", metrics.len());
    metrics.iter().for_each(hold);
    for name in ["http.server.request.duration", "latchkey.registrations", "process.cpu.time"] {
        assert!(metrics.iter().any(|it| it.name == name), "{name}");
    }
    assert!(!collector.holds("ada@example.org"));
    assert!(collector.services().iter().all(|it| it == "latchkey"));
    for (_, planted) in collector.asked() {
        assert_eq!(planted.as_deref(), Some("of the collector"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_pushed_over_http_as_the_registry_has_them_embedded() {
    pushed_over("http/protobuf").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_pushed_over_grpc_as_the_registry_has_them_embedded() {
    pushed_over("grpc").await;
}
