//! [`Pool`]: a bounded set of workers with one queue.
//!
//! Callers send jobs to a ractor factory, which stays the same while workers crash and are
//! replaced. The type [`Pool`] adds three things for callers. If the queue is full, a call is
//! refused within microseconds. Each job has a deadline. Every failure is returned as the same
//! error, [`Unavailable`].
//!
//! A job needs a permit, which it holds until it is done or dropped. There are `workers + queue`
//! permits. So a full pool is detected before a message is sent. The permits also bound the memory,
//! because ractor's mailboxes have no limit of their own. Jobs of [`Pool::ask_for`] wait in a fair
//! queue, which groups them by holder ([`super::turns`]).

use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ractor::factory::routing::QueuerRouting;
use ractor::factory::{
    self, DiscardHandler, DiscardReason, Factory, FactoryArguments, FactoryMessage, Job,
    JobOptions, WorkerId,
};
use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, RpcReplyPort};
use tokio::sync::{Mutex, oneshot};
use tokio::time::Instant;
use tracing::Instrument as _;

use super::observer::{Counts, CrashGuard, Observer};
use super::permits::{FairPermit, FairPermits, PermitHolder};
use super::queue::InTurn;
use crate::problem::Unavailable;
use crate::telemetry::Metrics;
use crate::telemetry::labels::{PoolName, ShedJob};
use crate::telemetry::observed::PoolReading;

/// The channel for a worker's reply. It is always the last field of a message. `is_closed()`
/// returns true if the caller no longer waits.
pub type Reply<T> = RpcReplyPort<T>;
/// The reply to a command whose result can be [`Unavailable`]. [`Pool::ask`] returns this error and
/// its own errors as one result.
pub type FlatReply<T> = Reply<Result<T, Unavailable>>;
/// The error of a worker that found a broken invariant. It crashes the worker, and the pool
/// replaces the worker. If a worker refuses a request, it uses a value in the reply and not this
/// error.
pub type WorkerError = ActorProcessingErr;
/// The key of a job. It is not used for routing. It is the holder in whose queue the job waits.
/// ractor logs the key, so it contains only hashes and no client.
type Key = PermitHolder;
type FactoryRef<M> = ActorRef<FactoryMessage<Key, Envelope<M>>>;

/// The work of a pool's workers. A module implements this trait for a type whose fields are the
/// dependencies. The work is in `handle`.
pub trait Worker: Send + Sync + 'static {
    /// The commands of the module. Each command has its [`Reply`] as the last field.
    type Message: Send + 'static;

    /// Does one job. It returns an error only if it finds a broken invariant.
    fn handle(
        &mut self,
        message: Self::Message,
    ) -> impl Future<Output = Result<(), WorkerError>> + Send;
}

/// The size and the time limits of a pool.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The number of workers. This is also the number of jobs that run at once.
    pub workers: usize,
    /// The number of jobs that may wait while all workers are busy.
    pub queue: usize,
    /// The maximum time that a caller waits, even if its request has more time left.
    pub deadline: Duration,
    /// The time after which a worker cancels a job, so that a dead connection cannot block the
    /// worker forever. The job is dropped, which rolls back its unfinished work. None if the work
    /// has a time limit of its own.
    pub give_up: Option<Duration>,
}

/// A bounded set of workers. All clones are handles of the same pool.
pub struct Pool<M: Send + 'static> {
    name: PoolName,
    limits: Limits,
    factory: FactoryRef<M>,
    permits: Arc<FairPermits>,
    counts: Arc<Counts>,
    metrics: Arc<Metrics>,
    stopped: Arc<Mutex<Option<tokio::task::JoinHandle<()>>>>,
}

/// A message in the queue, with its deadline and its permit.
struct Envelope<M> {
    message: M,
    deadline: Instant,
    queued_at: Instant,
    span: tracing::Span,
    _admitted: FairPermit,
}

impl<M: Send + 'static> Pool<M> {
    /// Starts the workers under the supervisor `root`. `build` creates one worker each time that it
    /// is called.
    ///
    /// `build` is called again when a crashed worker is replaced. It must do no I/O and must not
    /// fail, because a replacement that fails to start would end the whole factory.
    pub async fn spawn<W: Worker<Message = M>>(
        name: PoolName,
        limits: Limits,
        root: ActorCell,
        metrics: Arc<Metrics>,
        mut build: impl FnMut() -> W + Send + Sync + 'static,
    ) -> Result<Self, ractor::SpawnErr> {
        assert!(limits.workers > 0, "a pool needs at least one worker");
        let counts = Arc::new(Counts::default());
        let (give_up, own_counts) = (limits.give_up, counts.clone());
        let observer = Observer { name, give_up, counts: own_counts, metrics: metrics.clone() };
        let discards = Arc::new(observer.clone());
        let builder = factory::worker_builder(move |_: WorkerId| {
            (Seat::<W> { observer: observer.clone(), room: PhantomData }, build())
        });
        let arguments = FactoryArguments::builder()
            .worker_builder(Box::new(builder))
            .num_initial_workers(limits.workers)
            .router(QueuerRouting::<Key, Envelope<M>>::default())
            .queue(InTurn::<Envelope<M>>::default())
            .discard_handler(discards as Arc<dyn DiscardHandler<Key, Envelope<M>>>)
            .build();
        let (factory, stopped) =
            Actor::spawn_linked(None, Machine::<W>::default(), arguments, root).await?;
        let permits = FairPermits::new(limits.workers + limits.queue);
        let read = permits.clone();
        metrics.observed.pool(move || reading(name, limits, &read));
        Ok(Self {
            name,
            limits,
            factory,
            permits,
            counts,
            metrics,
            stopped: Arc::new(Mutex::new(Some(stopped))),
        })
    }

    /// Sends a message to a worker and waits for the reply. The wait ends at `deadline`, or after
    /// the pool's own maximum ([`Limits::deadline`]) if that comes first.
    ///
    /// # Errors
    /// [`Unavailable`] in these cases:
    /// - The queue is full. The call is then refused at once.
    /// - The deadline passes. A job that still waits in the queue then never starts.
    /// - The worker crashes.
    /// - The pool is stopped.
    pub async fn ask<R: Send + 'static>(
        &self,
        deadline: Instant,
        message: impl FnOnce(FlatReply<R>) -> M,
    ) -> Result<R, Unavailable> {
        self.ask_as(PermitHolder::NOBODY, deadline, message).await
    }

    /// Does the same as [`Pool::ask`] for a job of the holder `whom`, for example a client key. The
    /// jobs of different holders wait in a fair queue. The call is refused if the holder already
    /// has as many permits as are free. So one holder cannot fill the queue.
    ///
    /// # Errors
    /// The same as for [`Pool::ask`].
    pub async fn ask_for<R: Send + 'static>(
        &self,
        whom: impl Hash,
        deadline: Instant,
        message: impl FnOnce(FlatReply<R>) -> M,
    ) -> Result<R, Unavailable> {
        self.ask_as(self.permits.holder(whom), deadline, message).await
    }

    async fn ask_as<R: Send + 'static>(
        &self,
        holder: PermitHolder,
        deadline: Instant,
        message: impl FnOnce(FlatReply<R>) -> M,
    ) -> Result<R, Unavailable> {
        let deadline = deadline.min(Instant::now() + self.limits.deadline);
        let (sender, receiver) = oneshot::channel();
        self.send(holder, message(sender.into()), deadline)?;
        match tokio::time::timeout_at(deadline, receiver).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => {
                Err(Unavailable::because(self.name.name(), "the worker ended without a result"))
            }
            Err(_) => Err(Unavailable::because(
                self.name.name(),
                "there was no result before the deadline",
            )),
        }
    }

    /// Sends a message and does not wait for a reply. Returns an error if the pool did not accept
    /// the message. Use it for work whose result the caller does not need.
    pub fn nudge(&self, message: M) -> Result<(), Unavailable> {
        self.send(PermitHolder::NOBODY, message, Instant::now() + self.limits.deadline)
    }

    /// Checks whether a job of `whom` would get a permit at this moment. It is for callers that
    /// spend something before they send the job, for example a login attempt. They must not spend
    /// it if the job would be refused.
    ///
    /// # Errors
    /// [`Unavailable`] if the job would get no permit. This counts as a refused job in the metrics.
    pub fn room_for(&self, whom: impl Hash) -> Result<(), Unavailable> {
        self.admit(self.permits.holder(whom)).map(drop)
    }

    fn admit(&self, holder: PermitHolder) -> Result<FairPermit, Unavailable> {
        self.permits.take(holder).map_err(|_| {
            self.counts.shed.fetch_add(1, Ordering::Relaxed);
            self.metrics.pool_shed.one((self.name, ShedJob::QueueFull));
            Unavailable::shed(self.name.name())
        })
    }

    fn send(&self, holder: PermitHolder, message: M, deadline: Instant) -> Result<(), Unavailable> {
        let admitted = self.admit(holder)?;
        let now = Instant::now();
        let envelope = Envelope {
            message,
            deadline,
            queued_at: now,
            span: tracing::Span::current(),
            _admitted: admitted,
        };
        let options = JobOptions::new(Some(deadline.saturating_duration_since(now)));
        self.factory
            .dispatch_with_options(holder, envelope, options)
            .map_err(|_| Unavailable::because(self.name.name(), "the pool is stopped"))
    }

    /// The number of admitted jobs that wait for a worker.
    pub fn waiting(&self) -> usize {
        reading(self.name, self.limits, &self.permits).waiting
    }

    /// Finishes the queued jobs and stops the pool. If this takes longer than `patience`, the pool
    /// is killed.
    pub async fn drain(&self, patience: Duration) {
        let _ = self.factory.drain_requests();
        let Some(stopped) = self.stopped.lock().await.take() else { return };
        if tokio::time::timeout(patience, stopped).await.is_err() {
            tracing::warn!(
                pool = self.name.name(),
                "the jobs of the pool did not end in time, the pool stops without them"
            );
            self.factory.kill();
        }
    }

    /// The pool's name, which is also in its metrics.
    pub fn name(&self) -> &'static str {
        self.name.name()
    }

    /// The number of workers that crashed since the start.
    pub fn crashes(&self) -> u64 {
        self.counts.crashes.load(Ordering::Relaxed)
    }

    /// The number of jobs that were refused since the start because the queue was full.
    pub fn shed(&self) -> u64 {
        self.counts.shed.load(Ordering::Relaxed)
    }

    /// The number of jobs that were dropped since the start because their deadline passed before a
    /// worker was free.
    pub fn expired(&self) -> u64 {
        self.counts.expired.load(Ordering::Relaxed)
    }

    /// The factory's actor. Tests of the supervisor use it.
    pub fn cell(&self) -> ActorCell {
        self.factory.get_cell()
    }
}

/// The load of a pool. If more jobs are admitted than there are workers, the surplus counts as
/// waiting. The other admitted jobs count as running.
fn reading(pool: PoolName, limits: Limits, permits: &FairPermits) -> PoolReading {
    let Limits { workers, queue, .. } = limits;
    let admitted = permits.taken();
    let waiting = admitted.saturating_sub(workers);
    PoolReading { pool, workers, busy: admitted.min(workers), waiting, queue }
}

impl<M: Send + 'static> Clone for Pool<M> {
    fn clone(&self) -> Self {
        Self {
            name: self.name,
            limits: self.limits,
            factory: self.factory.clone(),
            permits: self.permits.clone(),
            counts: self.counts.clone(),
            metrics: self.metrics.clone(),
            stopped: self.stopped.clone(),
        }
    }
}

impl<M: Send + 'static> fmt::Debug for Pool<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("name", &self.name)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// The type of the ractor factory for a pool of `W` workers.
type Machine<W> = Factory<
    Key,
    Envelope<<W as Worker>::Message>,
    W,
    Seat<W>,
    QueuerRouting<Key, Envelope<<W as Worker>::Message>>,
    InTurn<Envelope<<W as Worker>::Message>>,
>;

/// The adapter between ractor and a worker. It measures the times of a job, checks the deadline and
/// counts crashes.
struct Seat<W> {
    observer: Observer,
    room: PhantomData<fn() -> W>,
}

impl<W: Worker> factory::Worker for Seat<W> {
    type Key = Key;
    type Message = Envelope<W::Message>;
    type Arguments = W;
    type State = W;

    async fn pre_start(
        &self,
        _: WorkerId,
        _: &FactoryRef<W::Message>,
        worker: W,
    ) -> Result<W, WorkerError> {
        Ok(worker)
    }

    async fn handle(
        &self,
        _: WorkerId,
        _: &FactoryRef<W::Message>,
        job: Job<Key, Self::Message>,
        worker: &mut W,
    ) -> Result<Key, WorkerError> {
        let (key, envelope) = (job.key, job.msg);
        let started = Instant::now();
        if started >= envelope.deadline {
            self.observer.expired();
            return Ok(key);
        }
        self.observer
            .metrics
            .pool_wait_duration
            .record(started - envelope.queued_at, self.observer.name);
        let span = envelope.span;
        let mut crash = CrashGuard { observer: &self.observer, span: span.clone(), armed: true };
        // A test can make a worker crash at this point, for example with
        // FAILPOINTS='pool.password=25%panic'.
        #[cfg(feature = "failpoints")]
        fail::fail_point!(&format!("pool.{}", self.observer.name.name()));
        let work = worker.handle(envelope.message).instrument(span);
        let result = match self.observer.give_up {
            None => work.await,
            Some(limit) => tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
                tracing::warn!(
                    pool = self.observer.name.name(),
                    "a job took too long and was cancelled"
                );
                Ok(())
            }),
        };
        crash.armed = result.is_err();
        drop(crash);
        self.observer.metrics.pool_work_duration.record(started.elapsed(), self.observer.name);
        result.map(|()| key)
    }
}

impl<M: Send + 'static> DiscardHandler<Key, Envelope<M>> for Observer {
    fn discard(&self, reason: DiscardReason, _: &mut Job<Key, Envelope<M>>) {
        if matches!(reason, DiscardReason::TtlExpired) {
            self.expired();
        }
    }
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
