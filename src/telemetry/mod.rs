//! Logs, spans and metrics: started here, named here.
//!
//! A log line is one JSON object (or a line for people on a terminal); what is in it is an allowlist of fields. Every
//! metric is a row of the [`registry`], every span is made in [`trace`]. Nothing leaves the process unless an endpoint is
//! configured; what cannot leave is dropped and counted, and nobody waits for it.

pub mod attributes;
mod document;
pub mod ids;
pub mod instrument;
mod json;
pub mod metrics;
pub mod observed;
mod otlp;
mod process;
mod push;
mod queue;
pub mod registry;
mod runtime;
mod start;
pub mod trace;

pub use document::document;
pub use metrics::Metrics;
pub use start::{Exports, start};
