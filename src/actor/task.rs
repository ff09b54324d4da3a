//! [`Task`]: work that starts by itself, as a ticker or an accept loop does, supervised step by
//! step.
//!
//! A step that panics is logged, counted and repeated after a pause. What the loop owns outlives
//! the panic: the bound socket of a listener, for example. A task whose steps keep panicking trips
//! [`Root::failed`], as a pool does that dies: the daemon drains and exits with 1.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use opentelemetry::KeyValue;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Root;
use crate::telemetry::attributes::TASKS;

/// The pause after the first panic. The cause is often gone by then; a loop that panics at once
/// uses no core.
const PAUSE_FIRST: Duration = Duration::from_millis(500);
/// Each pause is twice the one before, up to this: a client that connects meanwhile waits in the
/// kernel's queue, and gives up after 10 s or later.
const PAUSE_MAX: Duration = Duration::from_secs(8);
/// After so many panics without a completed step between them the daemon stops. The pauses before
/// are 15.5 s together: Prometheus, which scrapes every 15 s as a rule, sees the crashes.
const CRASHES_MAX: u32 = 6;

/// A supervised task. [`Root::task`] creates it.
#[derive(Debug)]
pub struct Task {
    name: &'static str,
    root: Root,
    stop: CancellationToken,
    /// Panics since the last completed step.
    crashes: u32,
}

impl Task {
    pub(super) fn new(name: &'static str, root: Root, stop: CancellationToken) -> Self {
        assert!(TASKS.contains(&name), "telemetry::attributes::TASKS lacks the task {name}");
        Self { name, root, stop, crashes: 0 }
    }

    /// Ends the task. Its loop looks at this between two steps.
    pub fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Starts a loop of steps on the runtime.
    pub fn spawn<F>(self, run: impl FnOnce(Self) -> F) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        #[expect(
            clippy::disallowed_methods,
            reason = "the task is supervised, and ends with `stop`"
        )]
        tokio::spawn(run(self))
    }

    /// Runs `tick` every `period`, the first time after one period, until the task is stopped.
    ///
    /// A tick waits for the one before, and ticks that were missed are not made up for: a sweep
    /// that is late is one sweep.
    pub fn every<F>(self, period: Duration, tick: impl FnMut() -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send,
    {
        self.tick_from(Instant::now() + period, period, tick);
    }

    /// The same, the first time at once.
    pub fn soon_and_every<F>(self, period: Duration, tick: impl FnMut() -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send,
    {
        self.tick_from(Instant::now(), period, tick);
    }

    fn tick_from<F>(
        self,
        first: Instant,
        period: Duration,
        mut tick: impl FnMut() -> F + Send + 'static,
    ) where
        F: Future<Output = ()> + Send,
    {
        #[cfg(feature = "failpoints")]
        let first = if failpoints::name(self.name) { Instant::now() } else { first };
        let due = Due::new(first);
        let read = due.clone();
        self.root.metrics().observed.task(self.name, move || read.overdue());
        self.spawn(async move |mut task: Self| {
            loop {
                tokio::select! {
                    // In this order: after a crash the next tick is due, but not any more once the
                    // task is stopped.
                    biased;
                    () = task.stop.cancelled() => return,
                    () = tokio::time::sleep_until(due.get()) => {}
                }
                let started = Instant::now();
                if task.step(async { tick().await }).await.is_some() {
                    due.set(started + period);
                }
            }
        });
    }

    /// Does one step. None where it panicked: the pause is over then, or the task is to end.
    pub async fn step<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        #[cfg(feature = "failpoints")]
        let work = failpoints::before(self.name, work);
        match AssertUnwindSafe(work).catch_unwind().await {
            Ok(done) => {
                if std::mem::take(&mut self.crashes) > 0 {
                    tracing::info!(task = self.name, "a task works again");
                }
                Some(done)
            }
            Err(panic) => {
                self.report(&*panic);
                drop(panic);
                self.recover().await;
                None
            }
        }
    }

    /// Logs and counts a panic.
    fn report(&mut self, panic: &(dyn Any + Send)) {
        self.crashes += 1;
        let (task, reason, in_a_row) = (self.name, text(panic), self.crashes);
        tracing::error!(task, reason, in_a_row, "a task crashed");
        self.root.metrics().pool_worker_crashes.add(1, &[KeyValue::new("pool", task)]);
        self.root.count_crash();
    }

    /// Waits until the next step may begin. None begins any more once the daemon drains, or is
    /// about to because of this task.
    async fn recover(&self) {
        if self.crashes < CRASHES_MAX {
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = self.root.draining().cancelled() => {}
                () = tokio::time::sleep(pause(self.crashes)) => return,
            }
        } else {
            tracing::error!(task = self.name, "a task keeps crashing, stopping the daemon");
            self.root.failed().cancel();
        }
        self.stop.cancelled().await;
    }
}

impl Drop for Task {
    /// A panic between two steps ends the task: that is for the root, too.
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(task = self.name, "a task died, stopping the daemon");
            self.root.failed().cancel();
        }
    }
}

/// The pause after so many panics without a completed step between them.
fn pause(crashes: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(crashes.saturating_sub(1));
    PAUSE_FIRST.saturating_mul(doubled).min(PAUSE_MAX)
}

/// The message of a panic.
fn text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a value that is no text")
}

/// When a ticker's next tick is due. A tick that hangs or panics does not move it.
#[derive(Clone, Debug)]
struct Due(Arc<Mutex<Instant>>);

impl Due {
    fn new(first: Instant) -> Self {
        Self(Arc::new(Mutex::new(first)))
    }

    fn get(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, next: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = next;
    }

    fn overdue(&self) -> Duration {
        Instant::now().saturating_duration_since(self.get())
    }
}

/// Where a test makes a task crash: FAILPOINTS='task.key_rotation=1*panic'.
#[cfg(feature = "failpoints")]
mod failpoints {
    fn point(task: &str) -> String {
        format!("task.{task}")
    }

    /// Whether FAILPOINTS names this task. Its first tick is due at once then: a test does not
    /// wait for an hour.
    pub(super) fn name(task: &str) -> bool {
        fail::list().iter().any(|(name, _)| *name == point(task))
    }

    /// Does a step after its failpoint.
    pub(super) async fn before<T>(task: &'static str, work: impl Future<Output = T>) -> T {
        fail::fail_point!(&point(task));
        work.await
    }
}

#[cfg(test)]
#[path = "task_tests.rs"]
mod tests;
