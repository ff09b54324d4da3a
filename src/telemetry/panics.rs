//! [`report_panics`]: writes the message of a panic as a line of the log.
//!
//! The hook of the standard library writes to stderr on the thread that panics. A log reader that
//! stalls would block that thread. This hook adds a line to the queue of the log and returns. It
//! does not use `tracing`, because the panic perhaps happened in a subscriber that holds the lock
//! of a span.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::{self, PanicHookInfo};
use std::thread;

use serde_json::{Map, Value};

use super::writer::Log;

/// Reports every panic of this process in the log, from now on.
pub fn report_panics(log: &Log) {
    let log = log.clone();
    panic::set_hook(Box::new(move |info| report(&log, info)));
}

/// Adds the line to the queue. Never waits.
pub(super) fn report(log: &Log, info: &PanicHookInfo<'_>) {
    let mut fields = Map::new();
    let mut set = |key: &str, value: String| fields.insert(key.to_owned(), Value::String(value));
    set("reason", info.payload_as_str().unwrap_or("a panic value that is not text").to_owned());
    if let Some(location) = info.location() {
        set("location", location.to_string());
    }
    set("thread", thread::current().name().unwrap_or("unnamed").to_owned());
    // Captured only if `RUST_BACKTRACE` asks for it.
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        set("backtrace", backtrace.to_string());
    }
    log.put_own("ERROR", "a thread panicked", &fields);
}
