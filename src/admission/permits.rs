//! [`Places`]: so many at once, and of one source never more than are left for all others.
//!
//! The rule is that of the pools' queues (`actor/turns.rs`): one crowd alone holds half of the places, and n crowds leave
//! a part of n + 1 free for whoever comes next. Requests in work, refreshes, and bodies that are awaited have places of their
//! own each. A source is an IPv4 address or an IPv6 /48, within which a /64 holds a third: whoever has a /48 has 65 536
//! /64s and could else come as so many, and one of its /64s takes nothing of the others'.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Locks of one kind of places: each request takes one for some ten nanoseconds, and two rarely meet on it.
const SHARDS: usize = 16;

/// Places, and who holds how many of them. Memory is bounded by the places: two entries each at most.
#[derive(Debug)]
pub struct Places {
    free: AtomicUsize,
    shards: Vec<Mutex<HashMap<Net, usize>>>,
    hasher: RandomState,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// All are taken.
    Full,
    /// The source holds its part.
    Share,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub struct Place {
    places: Arc<Places>,
    nets: Nets,
}

/// Whom a place is counted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Net {
    V4(u32),
    V6Of48(u64),
    V6Of64(u64),
}

/// Each with how many times it may be held by those places that are free: a /64 half of them, so a third of all.
type Nets = [Option<(Net, usize)>; 2];

impl Net {
    fn of(address: IpAddr) -> Nets {
        match address.to_canonical() {
            IpAddr::V4(ip) => [Some((Self::V4(ip.to_bits()), 1)), None],
            IpAddr::V6(ip) => {
                let high = u64::try_from(ip.to_bits() >> 64).unwrap_or(0);
                [Some((Self::V6Of64(high), 2)), Some((Self::V6Of48(high >> 16), 1))]
            }
        }
    }
}

impl Places {
    /// So many places, all free.
    pub fn new(places: usize) -> Arc<Self> {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Arc::new(Self { free: AtomicUsize::new(places), shards, hasher: RandomState::new() })
    }

    /// How many are free.
    pub fn free(&self) -> usize {
        self.free.load(Ordering::Acquire)
    }

    /// Takes a place for `source`; for none it is bounded by the places alone.
    ///
    /// # Errors
    /// [`Refused`]: there is none, or the source holds as many as are free. Where requests of one source race, one too many
    /// may be refused, never let in.
    pub fn enter(self: &Arc<Self>, source: Option<IpAddr>) -> Result<Place, Refused> {
        let nets = source.map_or([None; 2], Net::of);
        let held = |(net, weight)| self.count(net) * weight;
        // Counted before it is taken, so that no two of one source are let in for the same count.
        let held = nets.into_iter().flatten().map(held).max().unwrap_or(0);
        let take = |free: usize| (free > held).then(|| free - 1);
        match self.free.fetch_update(Ordering::AcqRel, Ordering::Acquire, take) {
            Ok(_) => Ok(Place { places: self.clone(), nets }),
            Err(free) => {
                self.uncount(nets);
                Err(if free == 0 { Refused::Full } else { Refused::Share })
            }
        }
    }

    /// Counts one more; how many there were.
    fn count(&self, net: Net) -> usize {
        let mut shard = self.shard(net);
        let held = shard.entry(net).or_default();
        *held += 1;
        *held - 1
    }

    fn uncount(&self, nets: Nets) {
        for (net, _) in nets.into_iter().flatten() {
            let mut shard = self.shard(net);
            let Some(held) = shard.get_mut(&net) else { continue };
            *held -= 1;
            if *held == 0 {
                shard.remove(&net);
            }
        }
    }

    fn shard(&self, net: Net) -> MutexGuard<'_, HashMap<Net, usize>> {
        let at = usize::try_from(self.hasher.hash_one(net) % SHARDS as u64).unwrap_or(0);
        // A count is one number, written whole.
        self.shards[at].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.uncount(self.nets);
        self.places.free.fetch_add(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes as many as it is given.
    fn crowd(places: &Arc<Places>, source: &str) -> Vec<Place> {
        let source = Some(source.parse().unwrap());
        std::iter::from_fn(|| places.enter(source).ok()).collect()
    }

    fn kept(places: &Places) -> usize {
        places.shards.iter().map(|shard| shard.lock().unwrap().len()).sum()
    }

    #[test]
    fn one_source_holds_half_and_the_next_finds_a_place() {
        let places = Places::new(1024);
        let first = crowd(&places, "192.0.2.1");
        assert_eq!(first.len(), 512);
        let source = Some("::ffff:192.0.2.1".parse().unwrap());
        assert_eq!(places.enter(source).unwrap_err(), Refused::Share, "the same, mapped");
        let second = crowd(&places, "192.0.2.2");
        assert_eq!(second.len(), 256);
        let ten: Vec<Vec<Place>> =
            (3..12).map(|n| crowd(&places, &format!("192.0.2.{n}"))).collect();
        assert_eq!((places.free(), ten.last().map(Vec::len)), (0, Some(1)));
        assert_eq!(places.enter(Some("192.0.2.99".parse().unwrap())).unwrap_err(), Refused::Full);
        drop((first, second, ten));
        assert_eq!((places.free(), kept(&places)), (1024, 0), "nothing is kept");
    }

    #[test]
    fn a_48_holds_half_however_many_64s_come_and_one_of_them_a_third() {
        let places = Places::new(300);
        let one = crowd(&places, "2001:db8:1:1::1");
        assert_eq!(one.len(), 100);
        let same = Some("2001:db8:1:1:ffff::2".parse().unwrap());
        assert_eq!(places.enter(same).unwrap_err(), Refused::Share);
        let all: Vec<Place> =
            (2..300).flat_map(|n| crowd(&places, &format!("2001:db8:1:{n:x}::1"))).collect();
        assert_eq!(one.len() + all.len(), 150);
        assert!(places.enter(Some("2001:db8:2::1".parse().unwrap())).is_ok());
        drop((one, all));
        assert_eq!((places.free(), kept(&places)), (300, 0));
    }

    #[test]
    fn nobody_in_particular_has_all_there_are_and_one_place_is_enough() {
        let places = Places::new(1);
        let place = places.enter(Some("192.0.2.1".parse().unwrap())).unwrap();
        assert_eq!(places.enter(None).unwrap_err(), Refused::Full);
        drop(place);
        let many = Places::new(64);
        let held: Vec<Place> = std::iter::from_fn(|| many.enter(None).ok()).collect();
        assert_eq!(held.len(), 64);
    }

    #[test]
    fn races_lose_no_place() {
        let places = Places::new(8);
        std::thread::scope(|scope| {
            for n in 0..8_u8 {
                let places = &places;
                scope.spawn(move || {
                    let source = Some([192, 0, 2, n % 3].into());
                    for _ in 0..5_000 {
                        drop(places.enter(source));
                    }
                });
            }
        });
        assert_eq!((places.free(), kept(&places)), (8, 0));
    }
}
