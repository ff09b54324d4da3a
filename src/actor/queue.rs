//! A pool's places and its queue: who is let in, and whose turn it is.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ractor::factory::queues::Queue;
use ractor::factory::{DiscardHandler, DiscardReason, Job};

use super::turns::{Share, Shares, Turns};

/// The places of a pool. Clones share them.
#[derive(Clone)]
pub(super) struct Places(Arc<Mutex<Shares>>);

/// A place, given back when dropped.
pub(super) struct Admitted {
    places: Places,
    share: Share,
}

impl Places {
    pub(super) fn new(places: usize) -> Self {
        Self(Arc::new(Mutex::new(Shares::new(places))))
    }

    pub(super) fn take(&self, share: Share) -> Option<Admitted> {
        let has_place = self.lock().take(share);
        has_place.then(|| Admitted { places: self.clone(), share })
    }

    pub(super) fn taken(&self) -> usize {
        self.lock().taken()
    }

    fn lock(&self) -> MutexGuard<'_, Shares> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.places.lock().give_back(self.share);
    }
}

/// ractor's queue, in turn.
pub(super) struct InTurn<T: ractor::Message>(Turns<Job<Share, T>>);

impl<T: ractor::Message> Default for InTurn<T> {
    fn default() -> Self {
        Self(Turns::default())
    }
}

impl<T: ractor::Message> Queue<Share, T> for InTurn<T> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn is_empty(&self) -> bool {
        self.0.len() == 0
    }

    fn pop_front(&mut self) -> Option<Job<Share, T>> {
        self.0.pop().map(|(_, job)| job)
    }

    fn discard_oldest(&mut self) -> Option<Job<Share, T>> {
        self.pop_front()
    }

    fn peek(&self) -> Option<&Job<Share, T>> {
        self.0.peek()
    }

    fn push_back(&mut self, job: Job<Share, T>) {
        self.0.push(job.key, job);
    }

    fn remove_expired_items(
        &mut self,
        discards: &Option<Arc<dyn DiscardHandler<Share, T>>>,
    ) -> usize {
        let before = self.0.len();
        self.0.retain(|job| {
            let expired = job.is_expired();
            if let Some(discards) = discards.as_ref().filter(|_| expired) {
                discards.discard(DiscardReason::TtlExpired, job);
            }
            !expired
        });
        before - self.0.len()
    }
}
