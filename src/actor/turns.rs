//! [`Turns`]: one queue per holder, served in turn, so that nobody waits behind another holder's crowd.
//!
//! A holder that sends ten times as much as others is served as often as they are, and waits behind itself. Every operation
//! takes constant time, and memory is bounded by the permits of those who wait.

use std::collections::{HashMap, VecDeque};

use super::permits::PermitHolder;

/// What waits, by whose it is. Who has something waiting stands in `order` once.
#[derive(Debug)]
pub struct Turns<T> {
    queues: HashMap<PermitHolder, VecDeque<T>>,
    order: VecDeque<PermitHolder>,
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

    /// Puts something behind what waits of the same holder. Whoever comes anew is next in turn after those who wait.
    pub fn push(&mut self, holder: PermitHolder, item: T) {
        let queue = self.queues.entry(holder).or_default();
        if queue.is_empty() {
            self.order.push_back(holder);
        }
        queue.push_back(item);
        self.waiting += 1;
    }

    /// What [`Turns::pop`] would take.
    pub fn peek(&self) -> Option<&T> {
        self.queues.get(self.order.front()?)?.front()
    }

    /// Takes the oldest of whose turn it is; the turn goes to the next.
    pub fn pop(&mut self) -> Option<(PermitHolder, T)> {
        let holder = self.order.pop_front()?;
        let queue = self.queues.get_mut(&holder)?;
        let item = queue.pop_front()?;
        if queue.is_empty() {
            self.queues.remove(&holder);
        } else {
            self.order.push_back(holder);
        }
        self.waiting -= 1;
        Some((holder, item))
    }

    /// Drops what `keep` does not want; the order of turns stays.
    pub fn retain(&mut self, mut keep: impl FnMut(&mut T) -> bool) {
        for queue in self.queues.values_mut() {
            queue.retain_mut(&mut keep);
        }
        self.queues.retain(|_, queue| !queue.is_empty());
        self.order.retain(|holder| self.queues.contains_key(holder));
        self.waiting = self.queues.values().map(VecDeque::len).sum();
    }
}

#[cfg(test)]
#[path = "turns_tests.rs"]
mod tests;
