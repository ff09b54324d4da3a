//! [`Queue`]: what waits to be exported. Bounded, and never waited for: what finds no room is dropped and counted, so that
//! a collector's outage costs telemetry and nothing else.
//!
//! The SDK's own processors run on threads without a reactor, where hyper's client panics, and tell nobody what they
//! drop. This one is filled by whoever has something and emptied by a tick on our runtime.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, mpsc};

use super::observed::{self, Signal};

/// Items that may wait: some seconds of a busy daemon, some megabytes.
const WAITING_MAX: usize = 8_192;
/// Items of one export (the standard's `OTEL_BSP_MAX_EXPORT_BATCH_SIZE`).
const BATCH_MAX: usize = 512;
/// How often the queue is emptied.
pub(super) const EVERY: Duration = Duration::from_secs(1);

/// What waits to be exported.
#[derive(Debug)]
pub struct Queue<T> {
    signal: Signal,
    sender: mpsc::Sender<T>,
    receiver: Mutex<mpsc::Receiver<T>>,
    /// Whether the last export failed: an outage is told of once.
    failing: AtomicBool,
}

impl<T: Send> Queue<T> {
    /// An empty one.
    pub fn new(signal: Signal) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        Self { signal, sender, receiver: Mutex::new(receiver), failing: AtomicBool::new(false) }
    }

    /// Leaves an item, if there is room. Never waits.
    pub fn put(&self, item: T) {
        if self.sender.try_send(item).is_err() {
            observed::dropped(self.signal, 1);
        }
    }

    /// Exports everything that is there now. A batch that fails is dropped: its exporter has tried more than once.
    pub async fn flush<F>(&self, mut export: impl FnMut(Vec<T>) -> F)
    where
        F: Future<Output = Result<(), String>> + Send,
    {
        let mut receiver = self.receiver.lock().await;
        let mut left = receiver.len();
        while left > 0 {
            let mut batch = Vec::with_capacity(left.min(BATCH_MAX));
            while batch.len() < BATCH_MAX
                && let Ok(item) = receiver.try_recv()
            {
                batch.push(item);
            }
            let count = batch.len();
            left = left.saturating_sub(count.max(1));
            let done = export(batch).await;
            if done.is_err() {
                observed::dropped(self.signal, count as u64);
            }
            tell(&self.failing, self.signal, done);
        }
    }
}

/// Tells of the beginning and the end of an outage.
pub(super) fn tell(failing: &AtomicBool, signal: Signal, done: Result<(), String>) {
    let failed = failing.swap(done.is_err(), Ordering::Relaxed);
    match done {
        Err(error) if !failed => {
            tracing::warn!(signal = signal.name(), error, "telemetry is not exported");
        }
        Ok(()) if failed => tracing::info!(signal = signal.name(), "telemetry is exported again"),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex as Locked;

    use super::*;

    #[tokio::test]
    async fn what_waits_is_exported_in_batches_and_in_order() {
        let (queue, seen) = (Queue::new(Signal::Traces), Locked::new(Vec::new()));
        (0..1_000).for_each(|number| queue.put(number));
        queue
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
    async fn whoever_finds_no_room_goes_on_and_is_counted() {
        let queue = Queue::new(Signal::Logs);
        let before = observed::dropped_so_far(Signal::Logs);
        (0..WAITING_MAX + 7).for_each(|number| queue.put(number));
        assert_eq!(observed::dropped_so_far(Signal::Logs) - before, 7);
        queue.flush(|_| async { Err("nobody listens".to_owned()) }).await;
        assert_eq!(observed::dropped_so_far(Signal::Logs) - before, 7 + WAITING_MAX as u64);
    }
}
