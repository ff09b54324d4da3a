//! Logs, spans and metrics: started here, named here.
//!
//! A log line is one JSON object (or a line for people on a terminal); what is in it is an allowlist of fields. The
//! metrics' names stand in [`metrics`]. Nothing leaves the process unless an endpoint is configured.

pub mod attributes;
mod document;
pub mod instrument;
pub mod metrics;
pub mod observed;
mod process;
pub mod registry;
mod runtime;

use std::io::IsTerminal as _;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

pub use document::document;
pub use metrics::Metrics;

use crate::config::{Log, LogFormat};

/// Starts the log on stderr. A second call in one process (tests) changes nothing.
///
/// # Errors
/// When the filter is not one that `EnvFilter` reads.
pub fn start_log(config: &Log) -> Result<(), tracing_subscriber::filter::ParseError> {
    // sqlx and ractor narrate at info what is no operator's business; their warnings stay.
    let filter = EnvFilter::builder()
        .parse(format!("sqlx=warn,ractor=warn,sea_orm_migration=warn,{}", config.filter))?;
    let layer = match config.format {
        LogFormat::Json => tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .with_writer(std::io::stderr)
            .boxed(),
        LogFormat::Pretty => tracing_subscriber::fmt::layer()
            .compact()
            .with_target(false)
            .with_ansi(std::io::stderr().is_terminal())
            .with_writer(std::io::stderr)
            .boxed(),
    };
    let _ = tracing_subscriber::registry().with(filter).with(layer).try_init();
    Ok(())
}
