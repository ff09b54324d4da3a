//! Logs, spans and metrics: how they start, and what they are called.
//!
//! A log line is one JSON object, or a line for reading on a terminal. Its fields are an allowlist.
//! Every metric is a row of the [`registry`], and every span is created in [`trace`]. Nothing is
//! exported unless an endpoint is configured.
//!
//! No caller waits until its line is written or its span is sent. Lines of the log wait in a
//! bounded queue for the thread of `writer`. Spans and log records wait in queues of the same type
//! until `export` sends them. Items that do not fit are dropped, counted and reported.

pub mod attributes;
mod create;
mod document;
mod export;
pub mod ids;
pub mod instrument;
pub mod json;
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
