//! [`Turns`]: a fair queue. It has one queue for each holder and serves the holders one after the
//! other. So the jobs of one holder do not wait behind all jobs of another holder.
//!
//! If one holder sends ten times as many jobs as the other holders, all holders are still served
//! equally often. Only the jobs of this one holder wait longer. Every operation except `retain`
//! takes constant time. Each waiting job has a permit, so the number of permits bounds the memory.

use std::collections::{HashMap, VecDeque};

use super::permits::PermitHolder;

/// The waiting items, grouped by holder. Each holder that has waiting items is in `order` exactly
/// once.
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
    /// The number of waiting items.
    pub fn len(&self) -> usize {
        self.waiting
    }

    /// Adds an item behind the waiting items of the same holder. If the holder has no waiting
    /// items, the holder goes to the end of `order`.
    pub fn push(&mut self, holder: PermitHolder, item: T) {
        let queue = self.queues.entry(holder).or_default();
        if queue.is_empty() {
            self.order.push_back(holder);
        }
        queue.push_back(item);
        self.waiting += 1;
    }

    /// The item that [`Turns::pop`] would take.
    pub fn peek(&self) -> Option<&T> {
        self.queues.get(self.order.front()?)?.front()
    }

    /// Takes the oldest item of the first holder in `order`. If this holder has further items, it
    /// goes to the end of `order`.
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

    /// Removes the items for which `keep` returns false. The order of the holders does not change.
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
