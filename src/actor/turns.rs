//! Whose turn it is: one queue a source, served in turn, so that nobody waits behind another's crowd.
//!
//! Who sends ten times as much as others is served as often as they are, and waits behind themselves ([`Turns`]). What
//! is admitted at all follows dynamic thresholds (Choudhury and Hahne, "Dynamic queue length thresholds for shared-memory
//! packet switches", 1998): nobody may hold more places than are left for all others ([`Shares`]). So one crowd alone
//! holds half of the room, and n crowds leave a part of n + 1 free for whoever comes next. Every operation takes constant
//! time, and memory is bounded by the places.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hash, RandomState};

/// Whose a job is, as a keyed hash: ractor logs a job's key, and nobody's address belongs there. Two that collide share
/// their turns, which one pair of 2^64 does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Share(Option<u64>);

impl Share {
    /// Nobody's in particular: in turn with all others, bounded by the places alone.
    pub const NOBODYS: Self = Self(None);

    /// That of a source, a team, …
    pub fn of(hasher: &RandomState, whom: impl Hash) -> Self {
        Self(Some(hasher.hash_one(whom)))
    }
}

/// Places, and who holds how many of them.
#[derive(Debug)]
pub struct Shares {
    places: usize,
    taken: usize,
    held: HashMap<Share, usize>,
}

impl Shares {
    /// So many places, all free.
    pub fn new(places: usize) -> Self {
        Self { places, taken: 0, held: HashMap::new() }
    }

    /// How many are free.
    pub fn free(&self) -> usize {
        self.places - self.taken
    }

    /// How many are not.
    pub fn taken(&self) -> usize {
        self.taken
    }

    /// Takes a place, unless there is none or `share` holds as many as are free.
    #[must_use]
    pub fn take(&mut self, share: Share) -> bool {
        let free = self.free();
        let held = self.held.get(&share).copied().unwrap_or_default();
        if free == 0 || (share != Share::NOBODYS && held >= free) {
            return false;
        }
        self.taken += 1;
        self.held.insert(share, held + 1);
        true
    }

    /// Gives a place of `share` back.
    pub fn give_back(&mut self, share: Share) {
        let Some(held) = self.held.get_mut(&share) else { return };
        *held -= 1;
        self.taken -= 1;
        if *held == 0 {
            self.held.remove(&share);
        }
    }
}

/// What waits, by whose it is. Who has something waiting stands in `order` once.
#[derive(Debug)]
pub struct Turns<T> {
    queues: HashMap<Share, VecDeque<T>>,
    order: VecDeque<Share>,
    waiting: usize,
}

impl<T> Default for Turns<T> {
    fn default() -> Self {
        Self { queues: HashMap::new(), order: VecDeque::new(), waiting: 0 }
    }
}

impl<T> Turns<T> {
    /// How much waits.
    pub fn len(&self) -> usize {
        self.waiting
    }

    /// Puts something behind what waits of the same share. Whoever comes anew is next in turn after those who wait.
    pub fn push(&mut self, share: Share, item: T) {
        let queue = self.queues.entry(share).or_default();
        if queue.is_empty() {
            self.order.push_back(share);
        }
        queue.push_back(item);
        self.waiting += 1;
    }

    /// What [`Turns::pop`] would take.
    pub fn peek(&self) -> Option<&T> {
        self.queues.get(self.order.front()?)?.front()
    }

    /// Takes the oldest of whose turn it is; the turn goes to the next.
    pub fn pop(&mut self) -> Option<(Share, T)> {
        let share = self.order.pop_front()?;
        let queue = self.queues.get_mut(&share)?;
        let item = queue.pop_front()?;
        if queue.is_empty() {
            self.queues.remove(&share);
        } else {
            self.order.push_back(share);
        }
        self.waiting -= 1;
        Some((share, item))
    }

    /// Drops what `keep` does not want; the order of turns stays.
    pub fn retain(&mut self, mut keep: impl FnMut(&mut T) -> bool) {
        for queue in self.queues.values_mut() {
            queue.retain_mut(&mut keep);
        }
        self.queues.retain(|_, queue| !queue.is_empty());
        self.order.retain(|share| self.queues.contains_key(share));
        self.waiting = self.queues.values().map(VecDeque::len).sum();
    }
}

#[cfg(test)]
#[path = "turns_tests.rs"]
mod tests;
