//! A parser for the text format of Prometheus, and a check of this text against the registry. Every
//! test checks the metrics of its daemon when the daemon ends.

use std::collections::{BTreeMap, BTreeSet};

use latchkey::daemon::declared_values;
use latchkey::telemetry::instrument::{Instrument, Kind};
use latchkey::telemetry::registry;

/// One line of the text format of Prometheus.
#[derive(Clone, Debug)]
pub struct Series {
    /// The name of the metric, with the ending that a histogram adds.
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

/// Returns every series in the text.
pub fn series(text: &str) -> Vec<Series> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(line).collect()
}

fn line(line: &str) -> Series {
    let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let mut rest = labels.strip_suffix('}').unwrap_or_else(|| panic!("{line}"));
    let mut labels = BTreeMap::new();
    while let Some((key, value)) = rest.split_once("=\"") {
        // No value of latchkey contains a quote. With a quote in a value, the rest of the line
        // could not be parsed.
        let (value, more) = value.split_once('"').unwrap_or_else(|| panic!("{line}"));
        labels.insert(key.to_owned(), value.to_owned());
        rest = more.trim_start_matches(',');
    }
    assert!(rest.is_empty(), "{line}");
    let value = value.parse().unwrap_or_else(|_| panic!("{line}"));
    Series { name: name.to_owned(), labels, value }
}

/// Returns the instrument to which a series belongs. A histogram has several series.
fn instrument(name: &str) -> Option<&'static Instrument> {
    registry::ALL.iter().find(|row| {
        let known = row.prometheus_name();
        match (row.kind, name.strip_prefix(known.as_str())) {
            (Kind::Histogram(_), Some(ending)) => {
                matches!(ending, "_bucket" | "_sum" | "_count")
            }
            (_, ending) => ending == Some(""),
        }
    })
}

/// Fails the test unless the registry allows every series in the text, with the type in the text.
#[track_caller]
pub fn hold(text: &str) {
    let mut sets: BTreeMap<&str, BTreeSet<Vec<(String, String)>>> = BTreeMap::new();
    for it in series(text).iter().filter(|it| it.name != "target_info") {
        let row =
            instrument(&it.name).unwrap_or_else(|| panic!("{} is not in the registry", it.name));
        let keys: Vec<&str> =
            row.shapes.iter().flat_map(|shape| shape.iter().map(|it| it.key)).collect();
        let attributes: Vec<(String, String)> = it
            .labels
            .iter()
            .filter(|(label, _)| *label != "le")
            .map(|(label, value)| {
                let key = keys.iter().find(|key| key.replace('.', "_") == **label);
                let key = key.unwrap_or_else(|| panic!("{} has no attribute {label}", row.name));
                ((*key).to_owned(), value.clone())
            })
            .collect();
        let borrowed: Vec<(&str, &str)> =
            attributes.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert!(
            row.admits(&declared_values(), &borrowed),
            "{} does not allow {borrowed:?}",
            row.name
        );
        sets.entry(row.name).or_default().insert(attributes);
    }
    for (name, sets) in sets {
        let row = registry::ALL.iter().find(|row| row.name == name).expect("found above");
        assert!(sets.len() <= row.series_max(), "{name}: {} series", sets.len());
        let kind = format!("# TYPE {} {}", row.prometheus_name(), row.kind.name());
        assert!(text.lines().any(|line| line == kind), "no line says {kind}");
    }
}

/// Returns the names in the registry that have no series in the text.
pub fn missing(text: &str) -> Vec<&'static str> {
    let names: BTreeSet<String> = series(text).into_iter().map(|it| it.name).collect();
    let there = |row: &&Instrument| {
        let name = row.prometheus_name();
        let ending = if matches!(row.kind, Kind::Histogram(_)) { "_count" } else { "" };
        names.contains(&format!("{name}{ending}"))
    };
    registry::ALL.iter().filter(|row| !there(row)).map(|row| row.name).collect()
}

/// Returns the sum of all series of a metric that have these labels.
pub fn sum(text: &str, name: &str, labels: &[(&str, &str)]) -> f64 {
    series(text)
        .into_iter()
        .filter(|it| it.name == name)
        .filter(|it| {
            labels.iter().all(|(key, value)| it.labels.get(*key).is_some_and(|it| it == value))
        })
        .map(|it| it.value)
        .sum()
}
