//! Where traces, metrics and logs are sent: the settings `telemetry.*` and the standard `OTEL_*`
//! variables. The variables override the settings.
//!
//! The standard is
//! <https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/> and
//! <https://opentelemetry.io/docs/specs/otel/protocol/exporter/>. Nothing is exported unless an
//! endpoint is given.

use std::collections::BTreeMap;
use std::time::Duration;

use percent_encoding::percent_decode_str;

use super::environment::is_service_link;
use super::layers::Values;
use super::problems::Problem;
use super::settings::TelemetrySettings;
use super::url::Url;
pub use super::words::Protocol;
use crate::secret::Secret;

/// What is exported, and where it is sent.
#[derive(Clone, Debug)]
pub struct Telemetry {
    /// `None` if spans are not exported.
    pub traces: Option<Exported>,
    /// Metrics are also served at `/metrics`.
    pub metrics: Option<Exported>,
    /// Log records are also written to stderr.
    pub logs: Option<Exported>,
    pub sampler: Sampler,
    /// How often metrics are exported.
    pub interval: Duration,
    /// The attributes of the resource: `service.name` and further attributes.
    pub resource: Vec<(String, String)>,
    /// Whether latchkey continues the trace of a request that comes through a trusted proxy.
    pub propagates: bool,
}

/// Where one signal is sent.
#[derive(Clone, Debug)]
pub struct Exported {
    /// The complete URL. For gRPC, the URL does not contain the path of the signal.
    pub endpoint: String,
    pub protocol: Protocol,
    /// Headers that are sent with every export, such as a collector's credentials.
    pub headers: Vec<(String, Secret<String>)>,
    /// The time limit of one export.
    pub timeout: Duration,
}

/// The rule that decides which traces are kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampler {
    /// The fraction of the traces started by latchkey that is kept, from 0 to 1.
    pub ratio: f64,
    /// Whether a caller's decision has priority over the ratio.
    pub asks_parent: bool,
}

/// The names of one signal, in variables and in URLs.
struct Signal {
    name: &'static str,
    path: &'static str,
}

const TRACES: Signal = Signal { name: "TRACES", path: "/v1/traces" };
const METRICS: Signal = Signal { name: "METRICS", path: "/v1/metrics" };
const LOGS: Signal = Signal { name: "LOGS", path: "/v1/logs" };

/// The defaults of the standard.
const TIMEOUT: Duration = Duration::from_secs(10);
const INTERVAL: Duration = Duration::from_mins(1);

/// The standard variables that are read. `*` stands for the name of a signal and `_`, or for
/// nothing.
const READ: [&str; 13] = [
    "OTEL_SDK_DISABLED",
    "OTEL_EXPORTER_OTLP_*ENDPOINT",
    "OTEL_EXPORTER_OTLP_*PROTOCOL",
    "OTEL_EXPORTER_OTLP_*HEADERS",
    "OTEL_EXPORTER_OTLP_*TIMEOUT",
    "OTEL_TRACES_EXPORTER",
    "OTEL_METRICS_EXPORTER",
    "OTEL_LOGS_EXPORTER",
    "OTEL_TRACES_SAMPLER",
    "OTEL_TRACES_SAMPLER_ARG",
    "OTEL_METRIC_EXPORT_INTERVAL",
    "OTEL_SERVICE_NAME",
    "OTEL_RESOURCE_ATTRIBUTES",
];
/// This variable is also read. Its value is checked separately.
const PROPAGATORS: &str = "OTEL_PROPAGATORS";

fn is_read(name: &str) -> bool {
    let fits = |pattern: &str| match pattern.split_once('*') {
        None => name == pattern,
        Some((before, after)) => name
            .strip_prefix(before)
            .and_then(|rest| rest.strip_suffix(after))
            .is_some_and(|signal| ["", "TRACES_", "METRICS_", "LOGS_"].contains(&signal)),
    };
    name == PROPAGATORS || READ.iter().any(|pattern| fits(pattern))
}

/// Warns about values that do not have the effect that the operator expects. Otherwise the operator
/// would not find out why there is no effect.
pub(super) fn unheard(
    values: &Values,
    environment: &BTreeMap<String, String>,
    warnings: &mut Vec<Problem>,
) {
    let redirects = |name: &str, value: &str| {
        name.starts_with("OTEL_EXPORTER_OTLP_") && name.ends_with("ENDPOINT") && !value.is_empty()
    };
    if let Some((name, _)) = environment.iter().find(|(name, value)| redirects(name, value))
        && values.text("telemetry.headers").is_some_and(|it| !it.is_empty())
    {
        let what =
            format!("is sent to `telemetry.endpoint` only, and not to the endpoint of {name}");
        let fix = "set the headers in OTEL_EXPORTER_OTLP_HEADERS, or remove the variable";
        warnings.push(Problem::new("telemetry.headers", what, fix));
    }
    let given = environment.iter().filter(|(_, value)| !value.trim().is_empty());
    for (name, value) in given.filter(|(name, _)| name.starts_with("OTEL_")) {
        let value = value.trim();
        if !is_read(name) && !is_service_link(name, value) {
            let fix = "remove it; docs/telemetry.md lists the variables that latchkey reads";
            warnings.push(Problem::new(name, "is not read by latchkey", fix));
        } else if name == "OTEL_SDK_DISABLED"
            && !["true", "false"].iter().any(|word| value.eq_ignore_ascii_case(word))
        {
            let fix = "write `true` to export nothing";
            warnings.push(Problem::new(
                name,
                "is not `true`, so it counts as `false` (OpenTelemetry specification)",
                fix,
            ));
        } else if name == PROPAGATORS
            && value.split(',').any(|it| !["tracecontext", "baggage", "none"].contains(&it.trim()))
        {
            let fix = "write `tracecontext`, or `none`";
            warnings.push(Problem::new(name, "names a format that latchkey does not read", fix));
        }
    }
}

/// Reads the settings and the variables that override them. Adds errors to `problems`.
pub(super) fn telemetry(
    settings: &TelemetrySettings,
    environment: &BTreeMap<String, String>,
    problems: &mut Vec<Problem>,
) -> Telemetry {
    let mut read = Reader { settings, environment, problems };
    let off = read.variable("OTEL_SDK_DISABLED").is_some_and(|it| it.eq_ignore_ascii_case("true"));
    let traces = read.exported(&TRACES, true);
    let metrics = read.exported(&METRICS, true);
    let logs = read.exported(&LOGS, settings.logs);
    let keep = |it: Option<Exported>| it.filter(|_| !off);
    Telemetry {
        traces: keep(traces),
        metrics: keep(metrics),
        logs: keep(logs),
        sampler: read.sampler(settings.sample_ratio),
        interval: read.milliseconds("OTEL_METRIC_EXPORT_INTERVAL").unwrap_or(INTERVAL),
        resource: read.resource(),
        propagates: read.propagates(),
    }
}

struct Reader<'a> {
    settings: &'a TelemetrySettings,
    environment: &'a BTreeMap<String, String>,
    problems: &'a mut Vec<Problem>,
}

impl<'a> Reader<'a> {
    /// The value of a variable. An empty variable counts as not set, as the standard says.
    fn variable(&self, name: &str) -> Option<&'a str> {
        self.environment.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// The variable of the signal itself. If it is not set, the variable for all signals is used.
    fn of(&self, signal: &Signal, ending: &str) -> Option<(String, &'a str)> {
        let own = format!("OTEL_EXPORTER_OTLP_{}_{ending}", signal.name);
        let all = format!("OTEL_EXPORTER_OTLP_{ending}");
        let pair = |name: String| self.variable(&name).map(|value| (name, value));
        pair(own).or_else(|| pair(all))
    }

    fn refuse(&mut self, name: &str, reason: &str, fix: &str) {
        self.problems.push(Problem::new(name, reason, fix));
    }

    fn exported(&mut self, signal: &Signal, by_default: bool) -> Option<Exported> {
        let exporter = format!("OTEL_{}_EXPORTER", signal.name);
        let own_endpoint = format!("OTEL_EXPORTER_OTLP_{}_ENDPOINT", signal.name);
        let wanted = match self.variable(&exporter) {
            None => by_default || self.variable(&own_endpoint).is_some(),
            Some(list) => {
                let known = ["otlp", "none", "prometheus"];
                if list.split(',').any(|word| !known.contains(&word.trim())) {
                    self.refuse(
                        &exporter,
                        "names an exporter that latchkey does not have",
                        "write otlp or none",
                    );
                }
                list.split(',').any(|word| word.trim() == "otlp")
            }
        };
        let protocol = self.protocol(signal);
        // The headers of the settings are for `telemetry.endpoint` only. Another collector must not
        // get their credentials.
        let is_redirected = self.of(signal, "ENDPOINT").is_some();
        let headers = self.headers(signal, is_redirected);
        let timeout = self.timeout(signal);
        let endpoint = self.endpoint(signal, protocol).filter(|_| wanted)?;
        Some(Exported { endpoint, protocol, headers, timeout })
    }

    /// The endpoint of the signal itself. If it is not set, the endpoint for all signals is used.
    /// Over HTTP, the path of the signal is appended to the endpoint for all signals. Trailing
    /// slashes are removed.
    fn endpoint(&mut self, signal: &Signal, protocol: Protocol) -> Option<String> {
        let (name, given) = self.of(signal, "ENDPOINT").or_else(|| {
            Some(("telemetry.endpoint".to_owned(), self.settings.endpoint.as_deref()?))
        })?;
        let Ok(url) = Url::check(given, &["http", "https"]) else {
            self.refuse(&name, "is not a URL", "write it as http://collector:4318");
            return None;
        };
        if url.has_extras() {
            let fix = "set credentials in OTEL_EXPORTER_OTLP_HEADERS";
            self.refuse(&name, "contains a user name, a query or a fragment", fix);
            return None;
        }
        let is_own = name.ends_with(&format!("{}_ENDPOINT", signal.name));
        let path = if is_own || protocol == Protocol::Grpc { "" } else { signal.path };
        Some(format!("{}{path}", given.trim_end_matches('/')))
    }

    fn protocol(&mut self, signal: &Signal) -> Protocol {
        if let Some((name, word)) = self.of(signal, "PROTOCOL") {
            if let Some(protocol) = Protocol::of(word) {
                return protocol;
            }
            self.refuse(
                &name,
                "is not a protocol that latchkey supports",
                "write grpc or http/protobuf",
            );
        }
        self.settings.protocol
    }

    /// Reads `key=value,key=value` with percent-encoded values (the grammar of W3C Baggage). A
    /// later source overrides an earlier one.
    fn headers(&mut self, signal: &Signal, is_redirected: bool) -> Vec<(String, Secret<String>)> {
        let own = format!("OTEL_EXPORTER_OTLP_{}_HEADERS", signal.name);
        let ours = self.settings.headers.as_ref().map(|headers| headers.expose().as_str());
        let sources = [
            ("telemetry.headers", ours.filter(|_| !is_redirected)),
            ("OTEL_EXPORTER_OTLP_HEADERS", self.variable("OTEL_EXPORTER_OTLP_HEADERS")),
            (own.as_str(), self.variable(&own)),
        ];
        let mut found = BTreeMap::new();
        for (name, text) in sources {
            match text.map_or(Some(Vec::new()), pairs) {
                Some(pairs) => {
                    found.extend(pairs.into_iter().map(|(key, value)| (key.to_lowercase(), value)));
                }
                None => {
                    self.refuse(
                        name,
                        "is not a list of headers",
                        "write it as key=value,key=value",
                    );
                }
            }
        }
        found.into_iter().map(|(key, value)| (key, Secret::new(value))).collect()
    }

    fn timeout(&mut self, signal: &Signal) -> Duration {
        let Some((name, _)) = self.of(signal, "TIMEOUT") else { return TIMEOUT };
        self.milliseconds(&name).unwrap_or(TIMEOUT)
    }

    fn milliseconds(&mut self, name: &str) -> Option<Duration> {
        let text = self.variable(name)?;
        let ms = text.parse().ok().filter(|ms| (1..=86_400_000).contains(ms));
        if ms.is_none() {
            self.refuse(
                name,
                "is not a number of milliseconds",
                "write a number from 1 to 86400000",
            );
        }
        ms.map(Duration::from_millis)
    }

    fn sampler(&mut self, ours: f64) -> Sampler {
        let Some(name) = self.variable("OTEL_TRACES_SAMPLER") else {
            return Sampler { ratio: ours, asks_parent: true };
        };
        let (asks_parent, kind) = match name.strip_prefix("parentbased_") {
            Some(kind) => (true, kind),
            None => (false, name),
        };
        let ratio = match kind {
            "always_on" => 1.0,
            "always_off" => 0.0,
            "traceidratio" => self.ratio(),
            _ => {
                self.refuse(
                    "OTEL_TRACES_SAMPLER",
                    "is not a sampler that latchkey supports",
                    "write always_on, always_off or traceidratio, with or without the prefix \
                     parentbased_",
                );
                ours
            }
        };
        Sampler { ratio, asks_parent }
    }

    fn ratio(&mut self) -> f64 {
        let Some(text) = self.variable("OTEL_TRACES_SAMPLER_ARG") else { return 1.0 };
        match text.parse() {
            Ok(ratio) if (0.0..=1.0).contains(&ratio) => ratio,
            _ => {
                self.refuse(
                    "OTEL_TRACES_SAMPLER_ARG",
                    "is not a ratio",
                    "write a number from 0 to 1",
                );
                1.0
            }
        }
    }

    fn resource(&mut self) -> Vec<(String, String)> {
        let mut found = BTreeMap::from([
            ("service.name".to_owned(), "latchkey".to_owned()),
            ("service.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ]);
        if let Some(text) = self.variable("OTEL_RESOURCE_ATTRIBUTES") {
            match pairs(text) {
                Some(pairs) => found.extend(pairs),
                None => self.refuse(
                    "OTEL_RESOURCE_ATTRIBUTES",
                    "is not a list of attributes",
                    "write it as key=value,key=value",
                ),
            }
        }
        if let Some(name) = self.variable("OTEL_SERVICE_NAME") {
            found.insert("service.name".to_owned(), name.to_owned());
        }
        found.into_iter().collect()
    }

    /// Whether `tracecontext` is among the propagators, which is the default. `baggage` is never
    /// read, because any client can send it.
    fn propagates(&self) -> bool {
        self.variable("OTEL_PROPAGATORS")
            .is_none_or(|list| list.split(',').any(|word| word.trim() == "tracecontext"))
    }
}

fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (key, value) = part.split_once('=')?;
            let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
            let key = key.trim();
            (!key.is_empty()).then(|| (key.to_owned(), value.into_owned()))
        })
        .collect()
}
