//! The settings of the log and of exported telemetry: `log.*` and `telemetry.*`.

use super::settings;
use crate::config::kind::Kind::{Bool, Filter, Fraction, Secret as SecretText, Url, Word};
use crate::config::setting::Fallback::{Derived, Is, Nothing};
use crate::config::words::{LogFormat, Protocol};
use crate::secret::Secret;

settings! {
    /// The log
    Log = "log" {
        /// The format of the log. `pretty` is easy to read on a terminal. `json` writes one JSON
        /// object on each line.
        format: LogFormat = "log.format", Word(LogFormat::WORDS),
            Derived("`pretty` on a terminal, else `json`", "json");
        /// Which log records are written: a level, or a level for each module, such as
        /// `info,latchkey::mail=debug`.
        filter: String = "log.filter", Filter, Is("info");
    }
}

settings! {
    /// Export over OTLP; the standard `OTEL_*` variables override these settings, see
    /// `docs/telemetry.md`
    TelemetrySettings = "telemetry" {
        /// The base URL of a collector. If you do not set it, nothing is exported. `/metrics` is
        /// always available.
        endpoint: Option<String> = "telemetry.endpoint", Url(&["http", "https"]),
            Nothing("http://collector.example.com:4318");
        /// The protocol of the export: OTLP over HTTP (usually port 4318) or OTLP over gRPC
        /// (usually port 4317).
        protocol: Protocol = "telemetry.protocol", Word(Protocol::WORDS), Is("http/protobuf");
        /// Headers that are sent with every export, written as `key=value,key=value`.
        headers: Option<Secret<String>> = "telemetry.headers", SecretText, Nothing("api-key=a%20b");
        /// Whether log records are also exported. Log records are always written to stderr.
        logs: bool = "telemetry.logs", Bool, Is("false");
        /// The exported fraction of the traces that this daemon starts, from 0 (no trace) to 1
        /// (every trace).
        sample_ratio: f64 = "telemetry.sample_ratio", Fraction, Is("1");
    }
}
