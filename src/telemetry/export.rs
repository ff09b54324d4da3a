//! [`Export`]: a queue of items that will be sent to a collector. If the collector fails, telemetry
//! is lost, but nothing else.
//!
//! The SDK's own processors run on threads without a reactor, where hyper's client panics, and do
//! not report the items that they drop. In this module, items wait in a bounded [`Queue`], and a
//! periodic task in latchkey's runtime sends them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;

use super::observed::{self, Signal};
use super::queue::Queue;

/// The maximum number of items that wait: as many as a busy daemon creates in some seconds.
const ITEMS_MAX: usize = 8_192;
/// The maximum number of bytes that wait: 2 KiB for each item. A span or a log record of latchkey
/// needs only a part of that.
const BYTES_MAX: usize = ITEMS_MAX * 2_048;
/// The maximum number of items of one export (the standard's `OTEL_BSP_MAX_EXPORT_BATCH_SIZE`).
const BATCH_MAX: usize = 512;
/// How often the queue is emptied.
pub const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// The items of one signal that wait to be exported.
#[derive(Debug)]
pub struct Export<T> {
    queue: Queue<T>,
    /// Locked while a flush is running.
    flushing: Mutex<()>,
    outage: Outage,
}

impl<T: Send> Export<T> {
    pub fn new(signal: Signal) -> Self {
        Self {
            queue: Queue::new(ITEMS_MAX, BYTES_MAX),
            flushing: Mutex::new(()),
            outage: Outage::new(signal),
        }
    }

    /// Adds an item of about `bytes` bytes, or drops and counts it. Never waits.
    pub fn put(&self, item: T, bytes: usize) {
        if !self.queue.put(item, bytes) {
            self.outage.dropped(1);
        }
    }

    /// Exports everything that is in the queue now. A batch that fails is dropped, because its
    /// exporter has already tried it more than once.
    pub async fn flush<F>(&self, mut export: impl FnMut(Vec<T>) -> F)
    where
        F: Future<Output = Result<(), String>> + Send,
    {
        let _alone = self.flushing.lock().await;
        let mut items = VecDeque::new();
        let dropped = self.queue.take(&mut items);
        if items.is_empty() && dropped > 0 {
            self.outage.report(Err("every item was too large for the queue".to_owned()));
        }
        while !items.is_empty() {
            let batch: Vec<T> = items.drain(..items.len().min(BATCH_MAX)).collect();
            let count = batch.len() as u64;
            let mut done = export(batch).await;
            if done.is_err() {
                self.outage.dropped(count);
            } else if dropped > 0 {
                done = Err("the queue was full: the collector is too slow".to_owned());
            }
            self.outage.report(done);
        }
    }
}

/// Whether items of a signal are being lost. The beginning and the end of an outage are logged once
/// each.
#[derive(Debug)]
pub(super) struct Outage {
    signal: Signal,
    is_on: AtomicBool,
    /// Items that were lost since the end of the last outage.
    lost: AtomicU64,
}

impl Outage {
    pub(super) fn new(signal: Signal) -> Self {
        Self { signal, is_on: AtomicBool::new(false), lost: AtomicU64::new(0) }
    }

    /// Counts items that will not be exported.
    pub(super) fn dropped(&self, count: u64) {
        observed::dropped(self.signal, count);
        self.lost.fetch_add(count, Ordering::Relaxed);
    }

    /// Logs the beginning of an outage, or its end with the number of lost items.
    pub(super) fn report(&self, done: Result<(), String>) {
        let was_on = self.is_on.swap(done.is_err(), Ordering::Relaxed);
        let signal = self.signal.name();
        match done {
            Err(error) if !was_on => {
                tracing::warn!(signal, error, "telemetry cannot be exported and is dropped");
            }
            Ok(()) if was_on => {
                let dropped = self.lost.swap(0, Ordering::Relaxed);
                tracing::info!(signal, dropped, "telemetry is exported again");
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex as Locked;

    use super::*;

    #[tokio::test]
    async fn what_waits_is_exported_in_batches_and_in_order() {
        let (export, seen) = (Export::new(Signal::Traces), Locked::new(Vec::new()));
        (0..1_000).for_each(|number| export.put(number, 1));
        export
            .flush(|batch: Vec<usize>| {
                seen.lock().unwrap().push(batch);
                async { Ok(()) }
            })
            .await;
        let seen = seen.into_inner().unwrap();
        assert_eq!(seen.iter().map(Vec::len).collect::<Vec<_>>(), [512, 488]);
        assert!(seen.concat().is_sorted());
    }

    #[tokio::test]
    async fn an_outage_in_which_every_item_was_dropped_is_reported() {
        let export = Export::new(Signal::Traces);
        export.put(1, BYTES_MAX + 1);
        export.flush(|_| async { Ok(()) }).await;
        assert!(export.outage.is_on.load(Ordering::Relaxed));
    }

    /// This is one test, because the counters are global.
    #[tokio::test]
    async fn a_drop_never_waits_and_is_counted_and_an_outage_has_a_beginning_and_an_end() {
        let export = Export::new(Signal::Logs);
        let before = observed::dropped_so_far(Signal::Logs);
        let counted = || observed::dropped_so_far(Signal::Logs) - before;
        let is_on = || export.outage.is_on.load(Ordering::Relaxed);
        (0..ITEMS_MAX + 7).for_each(|number| export.put(number, 1));
        assert_eq!((counted(), is_on()), (7, false));
        export.flush(|_| async { Ok(()) }).await;
        assert!(is_on(), "a collector that is too slow for the queue is an outage");
        export.put(1, BYTES_MAX + 1);
        export.put(2, 1);
        export.flush(|_| async { Err("nobody listens".to_owned()) }).await;
        assert_eq!((counted(), is_on()), (9, true));
        assert_eq!(export.outage.lost.load(Ordering::Relaxed), 9);
        export.put(3, 1);
        export.flush(|_| async { Ok(()) }).await;
        assert_eq!((counted(), is_on()), (9, false));
        assert_eq!(export.outage.lost.load(Ordering::Relaxed), 0, "it is reported with the end");
    }
}
