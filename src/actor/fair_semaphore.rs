//! [`FairSemaphore`]: a semaphore whose waiters are served in a fair queue.

use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::permits::{FairPermit, FairPermits};
use super::turns::Turns;
use crate::problem::Unavailable;

/// A semaphore that admits `width` callers at once. Further callers wait in a fair queue, as long
/// as permits are free. The queue groups the waiters by holder.
#[derive(Debug)]
pub struct FairSemaphore {
    name: &'static str,
    width: usize,
    /// Each caller that is admitted or waits has one of these permits.
    permits: Arc<FairPermits>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    through: usize,
    waiting: Turns<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    sender: oneshot::Sender<Permit>,
    held: FairPermit,
}

/// The right of an admitted caller to continue. It ends when this value is dropped.
#[derive(Debug)]
pub struct Permit {
    semaphore: Arc<FairSemaphore>,
    _held: FairPermit,
}

impl FairSemaphore {
    /// Creates a semaphore that admits `width` callers at once. `places` is the maximum number of
    /// admitted and waiting callers together.
    pub fn new(name: &'static str, width: usize, places: usize) -> Arc<Self> {
        let width = width.max(1);
        let state = State { through: 0, waiting: Turns::default() };
        let permits = FairPermits::new(places.max(width));
        Arc::new(Self { name, width, permits, state: Mutex::new(state) })
    }

    /// Waits until the caller is admitted. `whom` is the holder for which the caller is counted.
    ///
    /// # Errors
    /// [`Unavailable`] in two cases. If `whom` already holds as many permits as are free, the
    /// caller is refused at once. Otherwise the caller is refused if it was not admitted before
    /// `deadline`.
    pub async fn enter(
        self: &Arc<Self>,
        whom: impl Hash,
        deadline: Instant,
    ) -> Result<Permit, Unavailable> {
        let holder = self.permits.holder(whom);
        let held = self.permits.take(holder).map_err(|_| Unavailable::shed(self.name))?;
        let turn = {
            let mut state = self.lock();
            if state.through < self.width {
                state.through += 1;
                return Ok(Permit { semaphore: self.clone(), _held: held });
            }
            let (sender, turn) = oneshot::channel();
            state.waiting.push(holder, Waiting { sender, held });
            turn
        };
        let given = tokio::time::timeout_at(deadline, turn).await;
        given.ok().and_then(Result::ok).ok_or_else(|| {
            Unavailable::because(self.name, "no permit became free before the deadline")
        })
    }

    /// The number of admitted callers and the number of waiting callers.
    pub fn busy(&self) -> (usize, usize) {
        let state = self.lock();
        (state.through, state.waiting.len())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the next waiter from the queue. Waiters that have given up are skipped, and their
    /// permits become free.
    fn next(&self) -> Option<Waiting> {
        let mut state = self.lock();
        while let Some((_, waiting)) = state.waiting.pop() {
            if !waiting.sender.is_closed() {
                return Some(waiting);
            }
        }
        state.through -= 1;
        None
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(Waiting { sender, held }) = self.semaphore.next() {
            // If the waiter gives up at this moment, it drops the permit. Then the next waiter gets
            // the permit.
            let _gave_up = sender.send(Self { semaphore: self.semaphore.clone(), _held: held });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt as _;

    use super::*;
    use crate::problem::Cause;

    fn far() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    #[tokio::test]
    async fn as_many_as_the_width_are_through_and_the_next_waits() {
        let semaphore = FairSemaphore::new("test", 2, 10);
        let first = semaphore.enter("a", far()).await.unwrap();
        let _second = semaphore.enter("b", far()).await.unwrap();
        let mut third = Box::pin(semaphore.enter("a", far()));
        assert!((&mut third).now_or_never().is_none());
        assert_eq!(semaphore.busy(), (2, 1));
        drop(first);
        let _third = third.await.unwrap();
        assert_eq!(semaphore.busy(), (2, 0));
    }

    #[tokio::test]
    async fn a_crowd_waits_behind_itself() {
        let semaphore = FairSemaphore::new("test", 1, 100);
        let through = semaphore.enter("crowd", far()).await.unwrap();
        let mut crowd: Vec<_> =
            (0..30).map(|_| Box::pin(semaphore.enter("crowd", far()))).collect();
        for waiting in &mut crowd {
            assert!(waiting.now_or_never().is_none());
        }
        let mut one = Box::pin(semaphore.enter("one", far()));
        assert!((&mut one).now_or_never().is_none());
        // One waiter of the crowd came first and is served first. `one` is served next, before the
        // other 29 waiters of the crowd.
        drop(through);
        drop(crowd.remove(0).await.unwrap());
        let pass = one.now_or_never().expect("it is their turn").unwrap();
        drop(pass);
        for waiting in crowd {
            drop(waiting.await.unwrap());
        }
        assert_eq!(semaphore.busy(), (0, 0));
    }

    #[tokio::test]
    async fn a_crowd_is_shed_while_there_is_room_for_others() {
        let semaphore = FairSemaphore::new("test", 1, 10);
        let mut waiting = Vec::new();
        let mut shed = 0;
        for _ in 0..20 {
            let mut entering = Box::pin(semaphore.enter("crowd", far()));
            match (&mut entering).now_or_never() {
                Some(Err(refused)) => {
                    assert_eq!(refused.cause, Cause::Shed);
                    shed += 1;
                }
                Some(Ok(pass)) => waiting.push((Some(pass), None)),
                None => waiting.push((None, Some(entering))),
            }
        }
        assert_eq!((waiting.len(), shed), (5, 15));
        assert!(Box::pin(semaphore.enter("one", far())).now_or_never().is_none(), "it waits");
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_is_passed_over_and_their_place_comes_back() {
        let semaphore = FairSemaphore::new("test", 1, 4);
        let first = semaphore.enter("a", far()).await.unwrap();
        let soon = Instant::now() + Duration::from_millis(10);
        let late = semaphore.enter("b", soon).await.unwrap_err();
        assert_eq!(late.cause, Cause::Dependency);
        let mut next = Box::pin(semaphore.enter("c", far()));
        assert!((&mut next).now_or_never().is_none());
        drop(first);
        drop(next.await.unwrap());
        assert_eq!((semaphore.busy(), semaphore.permits.taken()), ((0, 0), 0));
    }

    #[tokio::test]
    async fn a_pass_that_nobody_takes_goes_to_the_next() {
        let semaphore = FairSemaphore::new("test", 1, 8);
        let first = semaphore.enter("a", far()).await.unwrap();
        let mut given = Box::pin(semaphore.enter("b", far()));
        let mut next = Box::pin(semaphore.enter("c", far()));
        assert!((&mut given).now_or_never().is_none() && (&mut next).now_or_never().is_none());
        drop(first);
        // The permit was sent to the waiter `given`. The waiter is dropped before it reads the
        // permit.
        drop(given);
        drop(next.now_or_never().expect("it came on").unwrap());
        assert_eq!(semaphore.busy(), (0, 0));
    }
}
