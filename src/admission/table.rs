//! The table that holds the states of the buckets. It is a state store for the crate governor. In
//! contrast to governor's own stores, it allows a query that takes nothing from a bucket, and it
//! limits the number of keys.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::{self, Reference as _};
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::state::keyed::ShrinkableKeyedStateStore;
use tokio::time::Instant;

use crate::clock::{Clock, UnixMillis};

/// The number of locks in one table. Requests from different addresses rarely need the same lock.
const SHARDS: usize = 16;

/// The key of a bucket: a keyed hash of an IP prefix, a session or a device.
///
/// The hash has 64 bits. With a million keys the probability that a given client shares its bucket
/// with another client is 2^-44. The key of the hash function is random and secret, so no client
/// can search for a collision.
pub(super) type Source = u64;

/// A query for one bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Probe {
    pub(super) source: Source,
    pub(super) mode: Mode,
}

/// Whether a query takes one unit from the bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Mode {
    /// The query gives the same result as [`Mode::Spend`], but leaves the bucket unchanged.
    Look,
    /// The query takes one unit from the bucket, if the bucket is not empty.
    Spend,
}

/// The number of keys in all tables of one limiter, and the maximum of this number.
#[derive(Debug)]
pub(super) struct Census {
    pub(super) live: AtomicUsize,
    pub(super) keys_max: usize,
}

/// The buckets of one policy. The state of a bucket is its theoretical arrival time (GCRA), in
/// nanoseconds since the start of the policy.
#[derive(Debug)]
pub(super) struct Table {
    shards: Vec<Mutex<Shard>>,
    census: Arc<Census>,
}

#[derive(Debug, Default)]
struct Shard {
    buckets: HashMap<Source, Nanos, BuildHasherDefault<Hashed>>,
    /// The shared bucket. While the number of keys is at its maximum, all clients without a bucket
    /// of their own use this bucket.
    crowd: Option<Nanos>,
}

/// The hasher of a [`Source`]. A source is a hash already.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn write(&mut self, _: &[u8]) {
        unreachable!("a source is a number");
    }

    fn write_u64(&mut self, source: u64) {
        self.0 = source;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Table {
    pub(super) fn new(census: Arc<Census>) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { shards, census }
    }

    /// The number of bytes that the maps have allocated. A slot has 16 bytes and one control byte.
    /// A map fills at most 7 of 8 slots.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        let of = |shard: &Mutex<Shard>| lock(shard).buckets.capacity() * 8 / 7 * 17;
        self.shards.iter().map(of).sum()
    }

    fn shard(&self, source: Source) -> MutexGuard<'_, Shard> {
        // A map uses the highest and the lowest bits of the source, so others choose the shard.
        let at = usize::try_from((source >> 32) % SHARDS as u64).unwrap_or(0);
        lock(&self.shards[at])
    }
}

impl StateStore for Table {
    type Key = Probe;

    fn measure_and_replace<T, F, E>(&self, probe: &Probe, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut shard = self.shard(probe.source);
        if let Some(known) = shard.buckets.get_mut(&probe.source) {
            let (result, next) = f(Some(*known))?;
            if probe.mode == Mode::Spend {
                *known = next;
            }
            return Ok(result);
        }
        let crowded = self.census.live.load(Ordering::Relaxed) >= self.census.keys_max;
        let (result, next) = f(if crowded { shard.crowd } else { None })?;
        match probe.mode {
            Mode::Look => {}
            Mode::Spend if crowded => shard.crowd = Some(next),
            Mode::Spend => {
                shard.buckets.insert(probe.source, next);
                self.census.live.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(result)
    }
}

impl ShrinkableKeyedStateStore<Probe> for Table {
    fn retain_recent(&self, drop_below: Nanos) {
        for shard in &self.shards {
            let mut shard = lock(shard);
            let before = shard.buckets.len();
            shard.buckets.retain(|_, arrival| *arrival > drop_below);
            self.census.live.fetch_sub(before - shard.buckets.len(), Ordering::Relaxed);
        }
    }

    fn shrink_to_fit(&self) {
        for shard in &self.shards {
            lock(shard).buckets.shrink_to_fit();
        }
    }

    fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).buckets.len()).sum()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Locks a mutex even if it is poisoned. A bucket is one number that is written at once, so a panic
/// cannot leave a half-written state.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The elapsed time that governor reads. It never decreases.
///
/// With the system's clock, it is the machine's monotonic time. So the buckets do not fill when the
/// system clock is set forward. With a test's clock, it advances when that clock advances. If a
/// test sets its clock back, the elapsed time does not change. It advances again when the clock
/// advances again.
#[derive(Clone, Debug)]
pub(super) enum Elapsed {
    Monotonic(Instant),
    Advanced(Clock, Arc<Mutex<(UnixMillis, Duration)>>),
}

impl Elapsed {
    pub(super) fn new(clock: Clock) -> Self {
        match clock {
            Clock::System => Self::Monotonic(Instant::now()),
            Clock::Manual(_) => {
                let now = clock.now();
                Self::Advanced(clock, Arc::new(Mutex::new((now, Duration::ZERO))))
            }
        }
    }
}

impl clock::Clock for Elapsed {
    type Instant = Duration;

    fn now(&self) -> Duration {
        let (clock, state) = match self {
            Self::Monotonic(started) => return started.elapsed().min(CENTURY),
            Self::Advanced(clock, state) => (clock, state),
        };
        let mut state = lock(state);
        // The clock is read while the lock is held, so that two threads store their readings in the
        // right order.
        let now = clock.now();
        let step = u64::try_from(now.saturating_sub(state.0)).unwrap_or(0);
        // The elapsed time is at most a century, because governor counts nanoseconds in 64 bits. 64
        // bits are enough for about five centuries.
        let elapsed = state.1.saturating_add(Duration::from_millis(step)).min(CENTURY);
        *state = (now, elapsed);
        elapsed
    }
}

const CENTURY: Duration = Duration::from_hours(24 * 365 * 100);

/// The time from `now` until the bucket that refused a request has regained one unit.
pub(super) fn wait(refusal: &governor::NotUntil<Duration>, now: Duration) -> Duration {
    refusal.earliest_possible().duration_since(now).into()
}
