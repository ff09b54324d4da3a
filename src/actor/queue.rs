//! The queue of a pool: a fair queue over the holders of the waiting jobs.

use std::sync::Arc;

use ractor::factory::queues::Queue;
use ractor::factory::{DiscardHandler, DiscardReason, Job};

use super::permits::PermitHolder;
use super::turns::Turns;

/// A fair queue that implements ractor's queue trait.
pub(super) struct InTurn<T: ractor::Message>(Turns<Job<PermitHolder, T>>);

impl<T: ractor::Message> Default for InTurn<T> {
    fn default() -> Self {
        Self(Turns::default())
    }
}

impl<T: ractor::Message> Queue<PermitHolder, T> for InTurn<T> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn is_empty(&self) -> bool {
        self.0.len() == 0
    }

    fn pop_front(&mut self) -> Option<Job<PermitHolder, T>> {
        self.0.pop().map(|(_, job)| job)
    }

    fn discard_oldest(&mut self) -> Option<Job<PermitHolder, T>> {
        self.pop_front()
    }

    fn peek(&self) -> Option<&Job<PermitHolder, T>> {
        self.0.peek()
    }

    fn push_back(&mut self, job: Job<PermitHolder, T>) {
        self.0.push(job.key, job);
    }

    fn remove_expired_items(
        &mut self,
        discards: &Option<Arc<dyn DiscardHandler<PermitHolder, T>>>,
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
