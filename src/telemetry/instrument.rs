//! [`Instrument`], the type of the rows of the registry, with its series and its names.

use super::attributes::{Attribute, DeclaredValues};

/// A metric. Its row of the [registry](super::registry) contains everything about it.
#[derive(Clone, Copy, Debug)]
pub struct Instrument {
    /// The name in OpenTelemetry, with dots.
    pub name: &'static str,
    pub kind: Kind,
    /// The unit in UCUM. If the metric counts things, the unit names the things in braces.
    pub unit: &'static str,
    /// What the metric measures, in one or more sentences.
    pub description: &'static str,
    /// The sets of attributes that its series have. There are several sets only if some values
    /// occur only together with certain other values.
    pub shapes: &'static [&'static [Attribute]],
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// The value only increases.
    Counter,
    /// The value increases and decreases. The sum over all replicas is meaningful.
    UpDown,
    /// A current value.
    Gauge,
    /// A distribution. Its buckets have these upper bounds.
    Histogram(&'static [f64]),
}

impl Kind {
    /// The name in the documentation and in Prometheus' `# TYPE`, where an up-down counter is a
    /// gauge.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::UpDown | Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

/// The maximum number of series of one of latchkey's own instruments. A dashboard can show this
/// many series, and a server can store them for every replica.
pub const SERIES_MAX: usize = 200;
/// The maximum number of series of an instrument of the conventions: the combinations of route,
/// method and status that occur. The SDK combines all further series into one series,
/// `otel.metric.overflow`.
pub const STANDARD_SERIES_MAX: usize = 1_000;
/// A counter with no more series than this starts each of them at 0. So the first event is visible
/// as an increase.
const ZERO_SERIES_MAX: usize = 64;

impl Instrument {
    /// Whether the name is latchkey's own and not one of the conventions.
    pub fn is_ours(&self) -> bool {
        self.name.starts_with("latchkey.")
    }

    /// The number of possible series, without the buckets of a histogram.
    pub fn series(&self, declared: &DeclaredValues) -> usize {
        let of =
            |shape: &&[Attribute]| shape.iter().map(|it| it.count(declared)).product::<usize>();
        self.shapes.iter().map(of).sum()
    }

    /// The maximum number of series that are kept.
    pub fn series_max(&self) -> usize {
        if self.is_ours() { SERIES_MAX } else { STANDARD_SERIES_MAX }
    }

    /// The name in Prometheus, by OpenTelemetry's rules: dots become underscores, then the unit
    /// follows, then `_total` for a counter.
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

    /// The series that a counter starts with. Empty for other kinds, and for counters with too many
    /// series or with values that cannot be listed.
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
