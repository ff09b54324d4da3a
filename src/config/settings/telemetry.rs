//! The settings of the log and of exported telemetry: `log.*` and `telemetry.*`.

use super::settings;
use crate::config::kind::Kind::{Bool, Filter, Fraction, Secret as SecretText, Url, Word};
use crate::config::setting::Fallback::{Derived, Is, Nothing};
use crate::config::words::{LogFormat, Protocol};
use crate::secret::Secret;

settings! {
    /// The log
    Log = "log" {
        /// `pretty` is for reading on a terminal, `json` writes one JSON object a line.
        format: LogFormat = "log.format", Word(LogFormat::WORDS),
            Derived("`pretty` on a terminal, else `json`", "json");
        /// A level, or directives by module: `info,latchkey::mail=debug`.
        filter: String = "log.filter", Filter, Is("info");
    }
}

settings! {
    /// Export over OTLP; the standard `OTEL_*` variables win, see `docs/telemetry.md`
    TelemetrySettings = "telemetry" {
        /// The base URL of a collector. Without it nothing is exported; `/metrics` works all the
        /// same.
        endpoint: Option<String> = "telemetry.endpoint", Url(&["http", "https"]),
            Nothing("http://collector.example.com:4318");
        /// OTLP over HTTP (usually port 4318) or gRPC (4317).
        protocol: Protocol = "telemetry.protocol", Word(Protocol::WORDS), Is("http/protobuf");
        /// Headers of every export: `key=value,key=value`.
        headers: Option<Secret<String>> = "telemetry.headers", SecretText, Nothing("api-key=a%20b");
        /// Whether log records are exported too. They always go to stderr.
        logs: bool = "telemetry.logs", Bool, Is("false");
        /// The part of the traces that is kept, of those that begin here.
        sample_ratio: f64 = "telemetry.sample_ratio", Fraction, Is("1");
    }
}
