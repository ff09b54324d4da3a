//! The table of the buckets' states: a state store for governor that can be read without spending,
//! and that has a maximum number of keys.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
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

/// The key of a bucket: a keyed hash of the prefix of an address, of a session or of a device.
///
/// It has 64 bits, and its hash key is random and secret. With a million keys the chance that a
/// given client shares a bucket is 2^-44, and no client can search for a collision.
pub(super) type Source = u64;

/// A query of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Probe {
    pub(super) source: Source,
    pub(super) mode: Mode,
}

/// Whether the query takes one from the bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Mode {
    /// Gives the same result as spending, and leaves the bucket unchanged.
    Look,
    /// Takes one from the bucket if there is one.
    Spend,
}

/// The number of keys in all tables of one limiter, and the maximum.
#[derive(Debug)]
pub(super) struct Census {
    pub(super) live: AtomicUsize,
    pub(super) keys_max: usize,
}

/// The buckets of one policy: theoretical arrival times, in nanoseconds since the policy's start.
#[derive(Debug)]
pub(super) struct Table {
    shards: Vec<Mutex<Shard>>,
    hasher: RandomState,
    census: Arc<Census>,
}

#[derive(Debug, Default)]
struct Shard {
    buckets: HashMap<Source, Nanos>,
    /// The bucket that all clients share which came when the number of keys was at its maximum.
    crowd: Option<Nanos>,
}

impl Table {
    pub(super) fn new(census: Arc<Census>) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { shards, hasher: RandomState::new(), census }
    }

    /// The bytes that the maps have allocated. A slot has 16 bytes and one control byte, and a map
    /// of 8 slots uses at most 7.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        let of = |shard: &Mutex<Shard>| lock(shard).buckets.capacity() * 8 / 7 * 17;
        self.shards.iter().map(of).sum()
    }

    fn shard(&self, source: Source) -> MutexGuard<'_, Shard> {
        let at = usize::try_from(self.hasher.hash_one(source) % SHARDS as u64).unwrap_or(0);
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
        let known = shard.buckets.get(&probe.source).copied();
        let full = self.census.live.load(Ordering::Relaxed) >= self.census.keys_max;
        let crowded = known.is_none() && full;
        let (result, next) = f(if crowded { shard.crowd } else { known })?;
        match probe.mode {
            Mode::Look => {}
            Mode::Spend if crowded => shard.crowd = Some(next),
            Mode::Spend => {
                if shard.buckets.insert(probe.source, next).is_none() {
                    self.census.live.fetch_add(1, Ordering::Relaxed);
                }
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

/// Ignores poisoning. A bucket is one number that is written at once, so a panic leaves no partial
/// state.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The elapsed time for governor. It never runs backwards.
///
/// It follows the machine's monotonic time, so a system clock that is set forward fills no bucket.
/// With a test's clock it advances as that clock advances. If that clock is set back, the elapsed
/// time does not change, and later advances count again.
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
        // The clock is read under the lock, so that readings are in order.
        let now = clock.now();
        let step = u64::try_from(now.saturating_sub(state.0)).unwrap_or(0);
        // At most a century: governor counts nanoseconds in 64 bits, which is about five centuries.
        let elapsed = state.1.saturating_add(Duration::from_millis(step)).min(CENTURY);
        *state = (now, elapsed);
        elapsed
    }
}

const CENTURY: Duration = Duration::from_hours(24 * 365 * 100);

/// How long from `now` until a bucket that refused has one again.
pub(super) fn wait(refusal: &governor::NotUntil<Duration>, now: Duration) -> Duration {
    refusal.earliest_possible().duration_since(now).into()
}
