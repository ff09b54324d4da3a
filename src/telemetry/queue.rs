//! [`Queue`]: a queue whose producers never wait. The queue is bounded in items and in bytes. An
//! item that does not fit is dropped and counted.
//!
//! Three queues of this type exist. One holds the lines of the log until the thread of
//! [`writer`](super::writer) writes them. Two hold spans and log records until
//! [`export`](super::export) sends them to a collector. They are separate queues, so that a
//! collector that stalls drops no line of the log, and a log reader that stalls drops no span.
//!
//! The lock is held while items are moved in memory, and never while something is written, sent or
//! formatted. Nothing that runs under the lock can panic. So a panic hook may put its message into
//! the queue on any thread.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A bounded queue for many producers and one consumer.
#[derive(Debug)]
pub struct Queue<T> {
    items_max: usize,
    bytes_max: usize,
    state: Mutex<State<T>>,
    /// Signals the consumer that waits in [`Queue::next`].
    ready: Condvar,
    /// Signals callers that wait in [`Queue::flush`].
    idle: Condvar,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<T>,
    bytes: usize,
    /// The number of items that were dropped since the last take. Their place is after the items in
    /// the queue, because the queue had no room when they arrived.
    dropped: u64,
    /// Whether the consumer must stop waiting for more items.
    is_hurried: bool,
    /// Whether the consumer works on items that it has taken.
    is_busy: bool,
}

impl<T> State<T> {
    fn is_empty(&self) -> bool {
        self.items.is_empty() && self.dropped == 0
    }
}

impl<T> Queue<T> {
    /// Creates an empty queue that holds at most this many items and at most this many bytes.
    pub fn new(items_max: usize, bytes_max: usize) -> Self {
        let state = State {
            items: VecDeque::new(),
            bytes: 0,
            dropped: 0,
            is_hurried: false,
            is_busy: false,
        };
        Self {
            items_max,
            bytes_max,
            state: Mutex::new(state),
            ready: Condvar::new(),
            idle: Condvar::new(),
        }
    }

    /// Adds an item of about `bytes` bytes. Returns false if it was dropped because the queue is
    /// full.
    pub fn put(&self, item: T, bytes: usize) -> bool {
        let mut state = self.lock();
        let (was_empty, was_half_full) = (state.is_empty(), self.is_half_full(&state));
        let sum = state.bytes.saturating_add(bytes);
        let fits = state.items.len() < self.items_max && sum <= self.bytes_max;
        if fits {
            state.items.push_back(item);
            state.bytes = sum;
        } else {
            state.dropped = state.dropped.saturating_add(1);
        }
        let wakes = was_empty || (!was_half_full && self.is_half_full(&state));
        drop(state);
        if wakes {
            self.ready.notify_one();
        }
        fits
    }

    /// Moves every item that is now in the queue to the end of `taken`, without waiting. Returns
    /// how many items were dropped after them.
    pub fn take(&self, taken: &mut VecDeque<T>) -> u64 {
        Self::take_from(&mut self.lock(), taken)
    }

    /// Does the same as [`Queue::take`], but for a thread that consumes. The call waits for an
    /// item, and then up to `linger` for more items, so that many items cost one wake-up. With this
    /// call, the consumer also reports that it has processed the items of its previous call.
    pub fn next(&self, taken: &mut VecDeque<T>, linger: Duration) -> u64 {
        let mut state = self.lock();
        state.is_busy = false;
        if state.is_empty() {
            self.idle.notify_all();
        }
        let waited = self.ready.wait_while(state, |state| state.is_empty());
        let state = waited.unwrap_or_else(PoisonError::into_inner);
        let more = |state: &mut State<T>| !state.is_hurried && !self.is_half_full(state);
        let lingered = self.ready.wait_timeout_while(state, linger, more);
        let mut state = lingered.unwrap_or_else(PoisonError::into_inner).0;
        state.is_busy = true;
        state.is_hurried = false;
        Self::take_from(&mut state, taken)
    }

    /// Lets the consumer take the items in the queue at once.
    pub fn hurry(&self) {
        self.lock().is_hurried = true;
        self.ready.notify_one();
    }

    /// Waits until the consumer has processed everything, or until `within` has passed. Returns
    /// whether everything is processed.
    pub fn flush(&self, within: Duration) -> bool {
        self.hurry();
        let is_at_work = |state: &mut State<T>| state.is_busy || !state.is_empty();
        let waited = self.idle.wait_timeout_while(self.lock(), within, is_at_work);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    fn take_from(state: &mut State<T>, taken: &mut VecDeque<T>) -> u64 {
        if taken.is_empty() {
            // The queue reuses the memory of the consumer.
            mem::swap(&mut state.items, taken);
        } else {
            taken.append(&mut state.items);
        }
        state.bytes = 0;
        mem::take(&mut state.dropped)
    }

    fn is_half_full(&self, state: &State<T>) -> bool {
        state.items.len() >= self.items_max / 2 || state.bytes >= self.bytes_max / 2
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;

    /// Longer than any test waits.
    const LONG: Duration = Duration::from_mins(1);

    fn taken(queue: &Queue<usize>) -> (Vec<usize>, u64) {
        let mut items = VecDeque::new();
        let dropped = queue.take(&mut items);
        (items.into(), dropped)
    }

    #[test]
    fn an_item_beyond_the_number_of_items_is_dropped_and_counted() {
        let queue = Queue::new(3, 1_000);
        assert_eq!(
            [1, 2, 3, 4, 5].map(|item| queue.put(item, 1)),
            [true, true, true, false, false]
        );
        assert_eq!(taken(&queue), (vec![1, 2, 3], 2));
        assert!(queue.put(6, 1), "there is room again");
        assert_eq!(taken(&queue), (vec![6], 0), "a drop is reported once");
    }

    #[test]
    fn an_item_beyond_the_number_of_bytes_is_dropped_and_counted() {
        let queue = Queue::new(1_000, 10);
        assert_eq!([queue.put(1, 6), queue.put(2, 5), queue.put(3, 4)], [true, false, true]);
        assert_eq!(taken(&queue), (vec![1, 3], 1));
        assert!(!queue.put(4, 11), "an item that never fits is dropped too");
        assert!(!queue.put(5, usize::MAX));
        assert_eq!(taken(&queue), (vec![], 2));
        assert!(queue.put(6, 10));
    }

    #[test]
    fn items_that_a_consumer_still_has_stay_with_it_and_in_order() {
        let queue = Queue::new(10, 10);
        let mut items = VecDeque::new();
        for item in [1, 2, 3] {
            queue.put(item, 1);
            assert_eq!(queue.take(&mut items), 0);
        }
        assert_eq!(items, [1, 2, 3]);
        assert_eq!(taken(&queue), (vec![], 0));
    }

    #[test]
    fn a_consumer_gets_everything_in_order_and_flush_waits_for_it() {
        let queue = Arc::new(Queue::new(10_000, 10_000));
        let consumer = queue.clone();
        let thread = thread::spawn(move || {
            let (mut all, mut batch) = (Vec::new(), VecDeque::new());
            while all.last() != Some(&4_999) {
                consumer.next(&mut batch, LONG);
                all.extend(batch.drain(..));
            }
            // This call reports that the last batch is processed.
            consumer.next(&mut batch, LONG);
            all
        });
        (0..5_000).for_each(|item| assert!(queue.put(item, 1)));
        assert!(queue.flush(LONG), "flush does not wait for the linger of the consumer");
        assert!(queue.put(0, 1));
        queue.hurry();
        assert_eq!(thread.join().unwrap(), (0..5_000).collect::<Vec<_>>());
    }

    #[test]
    fn flush_gives_up_at_its_deadline() {
        let queue = Queue::new(10, 10);
        assert!(queue.flush(Duration::ZERO), "nothing is there");
        queue.put(1, 1);
        assert!(!queue.flush(Duration::ZERO));
        // A consumer that has taken an item and has not processed it yet.
        queue.next(&mut VecDeque::new(), Duration::ZERO);
        assert!(!queue.flush(Duration::ZERO));
    }

    #[test]
    fn a_consumer_wakes_for_a_drop_alone() {
        let queue = Arc::new(Queue::new(10, 10));
        let consumer = queue.clone();
        let thread = thread::spawn(move || consumer.next(&mut VecDeque::new(), Duration::ZERO));
        queue.put(1, 11);
        assert_eq!(thread.join().unwrap(), 1);
    }
}
