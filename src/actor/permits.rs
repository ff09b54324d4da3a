//! [`FairPermits`]: a fixed number of permits that holders share fairly. A holder gets a further
//! permit only if it has fewer permits than are free.
//!
//! This rule is called dynamic thresholds (Choudhury and Hahne, "Dynamic queue length thresholds
//! for shared-memory packet switches", 1998). If there is only one holder, it gets at most half of
//! the permits. If n holders take as many as they can, 1/(n + 1) of the permits stay free for the
//! next holder. The rule bounds requests in progress, refreshes, bodies that are being uploaded,
//! the queues of pools and the waiters of a [`FairSemaphore`](super::FairSemaphore). The number of
//! permits also bounds the memory, because each permit has at most two entries in the maps.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::client_key::ClientKey;

/// The number of locks. A request holds a lock for about 10 ns, and two requests rarely need the
/// same lock.
const SHARDS: usize = 16;

/// A number of permits. It counts how many permits each holder has.
#[derive(Debug)]
pub struct FairPermits {
    all: usize,
    free: AtomicUsize,
    shards: Vec<Mutex<HashMap<u64, usize>>>,
    hasher: RandomState,
}

/// Why a holder gets no permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PermitRefusal {
    /// All permits are taken.
    Full,
    /// Permits are free, but the holder already has as many permits as it may have.
    Share,
}

/// A permit. It becomes free again when it is dropped.
#[derive(Debug)]
pub struct FairPermit {
    permits: Arc<FairPermits>,
    holder: PermitHolder,
}

/// The holder for which a permit is counted, as one or two keyed hashes. It contains hashes because
/// ractor logs the key of a job, and the log must not contain a client's IP address. Two holders
/// that have the same hash are counted as one. The probability of this is 2^-64 for a pair of
/// holders. Each hash has a weight. If the weight is w, the holder gets a permit only if w times
/// the number of its permits is less than the number of free permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PermitHolder([Option<(u64, usize)>; 2]);

impl PermitHolder {
    /// A job or request that has no holder. Only the number of free permits limits it.
    pub const NOBODY: Self = Self([None; 2]);

    /// A holder whose hash is this number.
    #[cfg(test)]
    pub(super) fn numbered(number: u64) -> Self {
        Self([Some((number, 1)), None])
    }
}

impl FairPermits {
    /// Creates `permits` permits. All of them are free.
    pub fn new(permits: usize) -> Arc<Self> {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        let free = AtomicUsize::new(permits);
        Arc::new(Self { all: permits, free, shards, hasher: RandomState::new() })
    }

    /// The holder for a client key, a team, an account or any other value.
    pub fn holder(&self, whom: impl Hash) -> PermitHolder {
        PermitHolder([Some((self.hasher.hash_one(whom), 1)), None])
    }

    /// The holder for a client IP address. It is counted by its wide key. In an IPv6 /48, each /64
    /// is also counted separately and gets at most a third of all permits.
    pub fn client(&self, ip: IpAddr) -> PermitHolder {
        let (narrow, wide) = (ClientKey::narrow(ip), ClientKey::wide(ip));
        let part = (narrow != wide).then(|| (self.hasher.hash_one(narrow), 2));
        PermitHolder([Some((self.hasher.hash_one(wide), 1)), part])
    }

    /// The number of free permits.
    pub fn free(&self) -> usize {
        self.free.load(Ordering::Acquire)
    }

    /// The number of taken permits.
    pub fn taken(&self) -> usize {
        self.all - self.free()
    }

    /// Takes a permit.
    ///
    /// # Errors
    /// [`PermitRefusal`] if no permit is free, or if the holder already has as many permits as are
    /// free. If several requests of one holder race, a request that could be admitted is perhaps
    /// refused. A request that must be refused is never admitted.
    pub fn take(self: &Arc<Self>, holder: PermitHolder) -> Result<FairPermit, PermitRefusal> {
        let held = |(key, weight)| self.count(key) * weight;
        // A permit is counted before it is taken. So two requests of the same holder never see the
        // same count.
        let held = holder.0.into_iter().flatten().map(held).max().unwrap_or(0);
        let take = |free: usize| (free > held).then(|| free - 1);
        match self.free.fetch_update(Ordering::AcqRel, Ordering::Acquire, take) {
            Ok(_) => Ok(FairPermit { permits: self.clone(), holder }),
            Err(free) => {
                self.uncount(holder);
                Err(if free == 0 { PermitRefusal::Full } else { PermitRefusal::Share })
            }
        }
    }

    /// Adds one to the count of a holder, and returns the count that it had before.
    fn count(&self, key: u64) -> usize {
        let mut shard = self.shard(key);
        let held = shard.entry(key).or_default();
        *held += 1;
        *held - 1
    }

    fn uncount(&self, holder: PermitHolder) {
        for (key, _) in holder.0.into_iter().flatten() {
            let mut shard = self.shard(key);
            let Some(held) = shard.get_mut(&key) else { continue };
            *held -= 1;
            if *held == 0 {
                shard.remove(&key);
            }
        }
    }

    fn shard(&self, key: u64) -> MutexGuard<'_, HashMap<u64, usize>> {
        let at = usize::try_from(key % SHARDS as u64).unwrap_or(0);
        // A poisoned lock is used like any other. A count is one number that is written at once, so
        // a panic cannot leave a half-written state.
        self.shards[at].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for FairPermit {
    fn drop(&mut self) {
        self.permits.uncount(self.holder);
        self.permits.free.fetch_add(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Takes permits until a permit is refused.
    fn crowd(permits: &Arc<FairPermits>, ip: &str) -> Vec<FairPermit> {
        let holder = permits.client(ip.parse().unwrap());
        std::iter::from_fn(|| permits.take(holder).ok()).collect()
    }

    fn kept(permits: &FairPermits) -> usize {
        permits.shards.iter().map(|shard| shard.lock().unwrap().len()).sum()
    }

    #[test]
    fn one_source_holds_half_and_the_next_finds_a_place() {
        let permits = FairPermits::new(1024);
        let first = crowd(&permits, "192.0.2.1");
        assert_eq!(first.len(), 512);
        let source = permits.client("::ffff:192.0.2.1".parse().unwrap());
        assert_eq!(permits.take(source).unwrap_err(), PermitRefusal::Share, "the same, mapped");
        let second = crowd(&permits, "192.0.2.2");
        assert_eq!(second.len(), 256);
        let ten: Vec<Vec<FairPermit>> =
            (3..12).map(|n| crowd(&permits, &format!("192.0.2.{n}"))).collect();
        assert_eq!((permits.free(), ten.last().map(Vec::len)), (0, Some(1)));
        assert_eq!(
            permits.take(permits.client("192.0.2.99".parse().unwrap())).unwrap_err(),
            PermitRefusal::Full
        );
        drop((first, second, ten));
        assert_eq!((permits.free(), kept(&permits)), (1024, 0), "nothing is kept");
    }

    #[test]
    fn a_48_holds_half_however_many_64s_come_and_one_of_them_a_third() {
        let permits = FairPermits::new(300);
        let one = crowd(&permits, "2001:db8:1:1::1");
        assert_eq!(one.len(), 100);
        let same = permits.client("2001:db8:1:1:ffff::2".parse().unwrap());
        assert_eq!(permits.take(same).unwrap_err(), PermitRefusal::Share);
        let all: Vec<FairPermit> =
            (2..300).flat_map(|n| crowd(&permits, &format!("2001:db8:1:{n:x}::1"))).collect();
        assert_eq!(one.len() + all.len(), 150);
        assert!(permits.take(permits.client("2001:db8:2::1".parse().unwrap())).is_ok());
        drop((one, all));
        assert_eq!((permits.free(), kept(&permits)), (300, 0));
    }

    #[test]
    fn nobody_in_particular_has_all_there_are_and_one_place_is_enough() {
        let permits = FairPermits::new(1);
        let place = permits.take(permits.client("192.0.2.1".parse().unwrap())).unwrap();
        assert_eq!(permits.take(PermitHolder::NOBODY).unwrap_err(), PermitRefusal::Full);
        drop(place);
        let many = FairPermits::new(64);
        let held: Vec<FairPermit> =
            std::iter::from_fn(|| many.take(PermitHolder::NOBODY).ok()).collect();
        assert_eq!(held.len(), 64);
    }

    #[test]
    fn races_lose_no_place() {
        let permits = FairPermits::new(8);
        std::thread::scope(|scope| {
            for n in 0..8_u8 {
                let permits = &permits;
                scope.spawn(move || {
                    let source = permits.client([192, 0, 2, n % 3].into());
                    for _ in 0..5_000 {
                        drop(permits.take(source));
                    }
                });
            }
        });
        assert_eq!((permits.free(), kept(&permits)), (8, 0));
    }

    #[test]
    fn one_crowd_has_half_and_many_leave_some() {
        let permits = FairPermits::new(100);
        let fill = |number: u64| {
            let holder = PermitHolder::numbered(number);
            std::iter::from_fn(|| permits.take(holder).ok()).collect::<Vec<_>>()
        };
        let mut held = vec![fill(0)];
        assert_eq!(held[0].len(), 50);
        for crowd in 1..6 {
            held.push(fill(crowd));
            assert!(!held.last().unwrap().is_empty(), "crowd {crowd}");
        }
        assert!(permits.free() > 0);
        let _rest: Vec<_> =
            std::iter::from_fn(|| permits.take(PermitHolder::NOBODY).ok()).collect();
        assert_eq!((permits.free(), permits.taken()), (0, 100));
    }

    #[test]
    fn a_holder_is_a_hash_under_a_key_of_its_own() {
        let (one, other) = (FairPermits::new(1), FairPermits::new(1));
        assert_eq!(one.holder(7), one.holder(7));
        assert_ne!(one.holder(7), one.holder(8));
        assert_ne!(one.holder(7), other.holder(7));
    }

    proptest! {
        #[test]
        fn permits_are_never_over_taken_and_all_come_back(
            steps in prop::collection::vec((0_u64..6, any::<bool>()), 0..300),
            number in 1_usize..40,
        ) {
            let permits = FairPermits::new(number);
            let mut held: Vec<FairPermit> = Vec::new();
            for (whose, takes) in steps {
                let whose = if whose == 5 { PermitHolder::NOBODY } else { PermitHolder::numbered(whose) };
                if takes {
                    let mine = held.iter().filter(|it| it.holder == whose).count();
                    let free = number - held.len();
                    let may = free > 0 && (whose == PermitHolder::NOBODY || mine < free);
                    let taken = permits.take(whose);
                    prop_assert_eq!(taken.is_ok(), may);
                    held.extend(taken);
                } else if let Some(at) = held.iter().position(|it| it.holder == whose) {
                    held.remove(at);
                }
                prop_assert_eq!((permits.taken(), permits.free()), (held.len(), number - held.len()));
            }
            held.clear();
            prop_assert_eq!(kept(&permits), 0);
        }
    }
}
