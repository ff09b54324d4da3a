//! Logs, spans and metrics: started here, named here.
//!
//! A log line is one JSON object (or a line for people on a terminal); what is in it is an allowlist of fields. Every
//! metric is a row of the [`registry`], every span is made in [`trace`]. Nothing leaves the process unless an endpoint is
//! configured.
//!
//! Nothing waits for a reader: lines of the log wait in a bounded queue for the thread of `writer`, spans and log records
//! in queues of the same type for their `export`. What does not fit is dropped, counted and reported.

pub mod attributes;
mod create;
mod document;
mod export;
pub mod ids;
pub mod instrument;
mod json;
pub mod labels;
pub mod metrics;
pub mod observed;
mod otlp;
mod panics;
mod process;
mod push;
mod queue;
pub mod registry;
mod runtime;
mod start;
pub mod trace;
pub mod typed;
mod writer;

pub use attributes::DeclaredValues;
pub use document::document;
pub use export::FLUSH_EVERY;
pub use metrics::Metrics;
pub use otlp::Connect;
pub use panics::report_panics;
pub use start::{Exports, start};
pub use writer::{FlushAtEnd, open, print, prints_to_a_terminal};
