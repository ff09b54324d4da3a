//! [`Log`]: the daemon's log on stderr. It is a bounded [`Queue`] of lines and one thread that
//! writes them.
//!
//! Everything that a daemon prints goes through this module: access lines, the audit and all other
//! log lines, the banner, the reason why a start failed, and the messages of panics. The daemon
//! prints nothing on stdout. A caller formats its line and adds it to the queue, and only the
//! thread uses the descriptor. So a log reader that stalls (a full pipe, a busy journald, a
//! container runtime that rotates) stops the thread and nothing else, and a request makes no system
//! call for its line.
//!
//! - **Bounds.** The queue holds at most 8192 lines and 4 MiB. While the thread writes, it holds at
//!   most the same amount again. An access line has about 400 bytes, so the number of lines is the
//!   usual bound. At 100 requests a second the queue covers a stall of 80 seconds. At 25,000
//!   requests a second, the maximum that two cores served in a measurement, the queue covers a
//!   stall of 300 ms. A thread waits much less than that for a core.
//! - **Drops.** A line that does not fit is dropped and counted in `latchkey.log.dropped`. When the
//!   reader continues, one line in the place of the gap says how many lines are missing. Lines that
//!   could not be written (a closed pipe, a full disk) are counted in the same way. After a
//!   failure, the thread still tries to write the next line.
//! - **Order.** Lines are written in the order in which they were added. A write contains whole
//!   lines, as many as fit into `PIPE_BUF`. The kernel puts such a write into a pipe as a whole or
//!   not at all. So the lines of another process that writes to the same pipe come only before or
//!   after such a write, and a daemon that is killed leaves no half line.
//! - **End.** [`FlushAtEnd`] gives the thread one second to write the rest.
//!
//! `tracing-appender` is not used: it has no bound in bytes, no line for the gap, and no deadline
//! for its flush.

use std::collections::VecDeque;
use std::io::{self, IsTerminal as _, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use serde_json::{Map, Value};

use super::queue::Queue;
use super::{json, observed};
use crate::clock::{Clock, rfc3339};
use crate::config::LogFormat;

/// The maximum number of lines that wait.
const LINES_MAX: usize = 8_192;
/// The maximum number of bytes that wait: 512 for each line.
const BYTES_MAX: usize = LINES_MAX * 512;
/// The maximum number of bytes of one write, unless a single line is longer: Linux' `PIPE_BUF`
/// (pipe(7)).
const WRITE_MAX: usize = 4_096;
/// How long the thread waits for more lines after the first one. Without this time, each line would
/// cost a wake-up.
const LINGER: Duration = Duration::from_millis(5);
/// How long the end of the process waits for the last lines.
const FLUSHED_WITHIN: Duration = Duration::from_secs(1);
/// How long the thread waits if the descriptor is non-blocking and full.
const RETRY_AFTER: Duration = Duration::from_millis(10);

/// The log of this process. It is global, like the subscriber of `tracing` that writes to it.
static LOG: OnceLock<Log> = OnceLock::new();

/// A handle that adds lines to the log. Clones share one queue.
#[derive(Clone, Debug)]
pub struct Log {
    queue: Arc<Queue<Vec<u8>>>,
    format: LogFormat,
}

/// Opens the log of the process on stderr and starts the thread that writes it. A second call
/// returns the same log.
///
/// # Errors
/// If the thread cannot be started.
pub fn open(format: LogFormat) -> io::Result<&'static Log> {
    if let Some(log) = LOG.get() {
        return Ok(log);
    }
    // A caller that loses this race leaves a thread whose queue stays empty.
    let log = Log::on(io::stderr(), format)?;
    Ok(LOG.get_or_init(|| log))
}

/// Whether [`print()`] prints to a terminal.
pub fn prints_to_a_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Prints text that is not a log record, such as the banner, in order with the lines of the log.
/// Prints directly on stderr if no log was opened.
pub fn print(text: &str) {
    let bytes = format!("{text}\n").into_bytes();
    match LOG.get() {
        Some(log) => log.put(bytes),
        // If stderr fails, there is no other place for a report.
        None => drop(io::stderr().write_all(&bytes)),
    }
}

/// Waits, when it is dropped, until the log is written: at most one second.
#[derive(Debug)]
pub struct FlushAtEnd;

impl Drop for FlushAtEnd {
    fn drop(&mut self) {
        if let Some(log) = LOG.get() {
            log.queue.flush(FLUSHED_WITHIN);
        }
    }
}

impl Log {
    fn on(out: impl Write + Send + 'static, format: LogFormat) -> io::Result<Self> {
        let log = Self { queue: Arc::new(Queue::new(LINES_MAX, BYTES_MAX)), format };
        let queue = log.queue.clone();
        let mut writer = Writer::new(out, format);
        thread::Builder::new().name("log".to_owned()).spawn(move || {
            loop {
                // The panic hook reports a panic through this queue. The lines that the thread has
                // taken count as dropped.
                if catch_unwind(AssertUnwindSafe(|| writer.write_from(&queue))).is_err() {
                    writer.give_up();
                }
            }
        })?;
        Ok(log)
    }

    /// Adds a line, which ends in a line feed, or drops and counts it. Never waits.
    pub(super) fn put(&self, line: Vec<u8>) {
        let bytes = line.len();
        if !self.queue.put(line, bytes) {
            observed::log_dropped(1);
        }
    }

    /// Adds a line of the telemetry itself. The line passes no filter and no subscriber of
    /// `tracing`, whose locks the caller may hold. It is written without delay.
    pub(super) fn put_own(&self, level: &str, message: &str, fields: &Map<String, Value>) {
        self.put(own_line(self.format, level, message, fields));
        self.queue.hurry();
    }
}

/// The layer that formats lines for a terminal writes through this implementation. Each write of
/// this layer is one line.
impl Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.put(line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A line in the format of the log.
fn own_line(format: LogFormat, level: &str, message: &str, fields: &Map<String, Value>) -> Vec<u8> {
    match format {
        LogFormat::Json => json::line(level, "latchkey::telemetry", message, fields),
        LogFormat::Pretty => {
            let now = rfc3339(Clock::System.now());
            let fields = fields.iter().map(|(key, value)| format!(" {key}={value}"));
            format!("{now} {level:>5} {message}{}\n", fields.collect::<String>()).into_bytes()
        }
    }
}

/// Owns the descriptor and writes to it, on its own thread.
struct Writer<W> {
    out: W,
    format: LogFormat,
    /// Lines that were taken out of the queue and are not in `chunk` yet.
    lines: VecDeque<Vec<u8>>,
    /// Whole lines for the next write.
    chunk: Vec<u8>,
    /// Where each line of `chunk` ends.
    ends: Vec<usize>,
    /// Dropped lines that are not reported yet.
    lost: u64,
    /// The number of lines that were dropped after the lines in `lines`.
    lost_after: u64,
    /// Whether the last write ended within a line.
    is_torn: bool,
}

impl<W: Write> Writer<W> {
    fn new(out: W, format: LogFormat) -> Self {
        Self {
            out,
            format,
            lines: VecDeque::new(),
            chunk: Vec::with_capacity(WRITE_MAX),
            ends: Vec::new(),
            lost: 0,
            lost_after: 0,
            is_torn: false,
        }
    }

    /// Waits for lines and writes them.
    fn write_from(&mut self, queue: &Queue<Vec<u8>>) {
        self.lost_after = queue.next(&mut self.lines, LINGER);
        if self.report_lost().and_then(|()| self.write_lines()).is_err() {
            self.give_up();
        }
        self.lost = self.lost.saturating_add(std::mem::take(&mut self.lost_after));
        // If this report fails, the thread tries again before it writes the next lines.
        let _ = self.report_lost();
    }

    fn write_lines(&mut self) -> io::Result<()> {
        while let Some(line) = self.lines.front() {
            if self.chunk.len() + line.len() > WRITE_MAX && !self.chunk.is_empty() {
                self.write_chunk()?;
                continue;
            }
            self.chunk.extend_from_slice(line);
            self.ends.push(self.chunk.len());
            self.lines.pop_front();
        }
        self.write_chunk()
    }

    /// Writes the lines in `chunk`.
    fn write_chunk(&mut self) -> io::Result<()> {
        let (written, done) = write_whole(&mut self.out, &self.chunk);
        let whole = self.ends.iter().take_while(|end| **end <= written).count();
        self.is_torn =
            done.is_err() && written > whole.checked_sub(1).map_or(0, |last| self.ends[last]);
        self.ends.drain(..whole);
        if done.is_ok() {
            self.chunk.clear();
        }
        done
    }

    /// Counts all lines that the thread has taken as dropped.
    fn give_up(&mut self) {
        let count = (self.ends.len() + self.lines.len()) as u64;
        observed::log_dropped(count);
        let after = std::mem::take(&mut self.lost_after);
        self.lost = self.lost.saturating_add(count).saturating_add(after);
        self.lines.clear();
        self.chunk.clear();
        self.ends.clear();
    }

    /// Reports the dropped lines, if there are any.
    fn report_lost(&mut self) -> io::Result<()> {
        if self.lost == 0 {
            return Ok(());
        }
        let fields = Map::from_iter([("dropped".to_owned(), self.lost.into())]);
        let message =
            "log lines were dropped, because the log was not read in time or could not be written";
        let mut line = own_line(self.format, "WARN", message, &fields);
        if self.is_torn {
            line.insert(0, b'\n');
        }
        let (written, done) = write_whole(&mut self.out, &line);
        if done.is_ok() {
            self.lost = 0;
        }
        self.is_torn = done.is_err() && (self.is_torn || written > 0);
        done
    }
}

/// Writes all bytes. Returns how many bytes were written, also after an error.
fn write_whole(out: &mut impl Write, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while written < bytes.len() {
        match out.write(&bytes[written..]) {
            Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(RETRY_AFTER),
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
