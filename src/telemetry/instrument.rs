//! What an [`Instrument`] is: a row of the registry, and what may be said of it.

use super::attributes::{Attribute, DeclaredValues};

/// One measured thing. Everything about it is in its row of the [registry](super::registry).
#[derive(Clone, Copy, Debug)]
pub struct Instrument {
    /// OpenTelemetry's name, with dots.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// UCUM; what is counted stands in braces.
    pub unit: &'static str,
    /// What it means, in a sentence.
    pub description: &'static str,
    /// The sets of attributes that its series have: one set, unless some values go with some others only.
    pub shapes: &'static [&'static [Attribute]],
}

/// What an instrument is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Grows and shrinks; the sum over replicas means something.
    UpDown,
    /// A present value.
    Gauge,
    /// A distribution over these upper bounds.
    Histogram(&'static [f64]),
}

impl Kind {
    /// As documentation and Prometheus' `# TYPE` call it: an up-down counter is a gauge there.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::UpDown | Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

/// What one of our own instruments may have: what a dashboard can show, and a server can keep for every replica.
pub const SERIES_MAX: usize = 200;
/// What one of the conventions' may have: routes × methods × statuses, as far as they occur. The SDK folds what is
/// beyond into one series, `otel.metric.overflow`.
pub const STANDARD_SERIES_MAX: usize = 1_000;
/// A counter of no more series than this starts with each at 0, so that the first event is an increase already.
const ZERO_SERIES_MAX: usize = 64;

impl Instrument {
    /// Whether the name is ours, not the conventions'.
    pub fn is_ours(&self) -> bool {
        self.name.starts_with("latchkey.")
    }

    /// How many series there can be, a histogram's buckets not counted.
    pub fn series(&self, declared: &DeclaredValues) -> usize {
        let of =
            |shape: &&[Attribute]| shape.iter().map(|it| it.count(declared)).product::<usize>();
        self.shapes.iter().map(of).sum()
    }

    /// How many series are kept.
    pub fn series_max(&self) -> usize {
        if self.is_ours() { SERIES_MAX } else { STANDARD_SERIES_MAX }
    }

    /// The name in Prometheus, by OpenTelemetry's rules: dots become underscores, then the unit, then `_total` for a
    /// counter.
    pub fn prometheus_name(&self) -> String {
        let mut name = self.name.replace('.', "_");
        name.push_str(match self.unit {
            "s" => "_seconds",
            "By" => "_bytes",
            _ => "",
        });
        if self.kind == Kind::Counter {
            name.push_str("_total");
        }
        name
    }

    /// Whether these attributes, in any order, are a series of this instrument.
    pub fn admits(&self, declared: &DeclaredValues, attributes: &[(&str, &str)]) -> bool {
        self.shapes.iter().any(|shape| {
            let known = attributes.iter().all(|(key, value)| {
                shape.iter().any(|it| it.key == *key && it.values.hold(declared, value))
            });
            let whole = shape
                .iter()
                .filter(|it| !it.is_optional)
                .all(|it| attributes.iter().any(|(key, _)| *key == it.key));
            known && whole
        })
    }

    /// The series that a counter starts with; none for other kinds, and for counters of too many or open values.
    pub fn zeroes(&self, declared: &DeclaredValues) -> Vec<Vec<(&'static str, &'static str)>> {
        if self.kind != Kind::Counter || self.series(declared) > ZERO_SERIES_MAX {
            return Vec::new();
        }
        self.shapes.iter().flat_map(|shape| combinations(shape, declared)).collect()
    }
}

/// Every combination of the values of a shape.
fn combinations(
    shape: &[Attribute],
    declared: &DeclaredValues,
) -> Vec<Vec<(&'static str, &'static str)>> {
    let mut all = vec![Vec::new()];
    for attribute in shape {
        let Some(words) = attribute.values.words(declared) else { return Vec::new() };
        all = all
            .iter()
            .flat_map(|so_far| {
                words.iter().map(|word| {
                    let mut more = so_far.clone();
                    more.push((attribute.key, *word));
                    more
                })
            })
            .collect();
    }
    all
}
