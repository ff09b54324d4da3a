//! [`Task`]: background work that no request starts, such as a ticker or an accept loop. It
//! consists of steps, and each step is supervised.
//!
//! If a step panics, the panic is logged and counted, and after a pause the loop does its next
//! step. The values that the loop owns survive the panic, for example the bound socket of a
//! listener. If the steps of a task keep panicking, the task cancels [`Root::failed`]. The daemon
//! then drains and exits with the code 1.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Root;
use crate::telemetry::labels::{Crash, TaskName};

/// The pause after the first panic. Often the cause of the panic is gone after the pause. The pause
/// also matters for a loop that panics immediately, because without a pause this loop would use a
/// whole core.
const PAUSE_FIRST: Duration = Duration::from_millis(500);
/// The longest pause. Each pause is twice as long as the pause before it, up to this maximum. A
/// client that connects during a pause waits in the kernel's queue. Clients give up after 10 s or
/// later, so the pause has to be shorter.
const PAUSE_MAX: Duration = Duration::from_secs(8);
/// After this many panics without a completed step between them, the daemon stops. The pauses
/// between these panics add up to 15.5 s. Prometheus usually scrapes every 15 s, so it can read the
/// crash counter before the daemon stops.
const CRASHES_MAX: u32 = 6;

/// A supervised background task. [`Root::task`] creates it.
#[derive(Debug)]
pub struct Task {
    name: TaskName,
    root: Root,
    stop: CancellationToken,
    /// The number of panics since the last completed step.
    crashes: u32,
}

impl Task {
    pub(super) fn new(name: TaskName, root: Root, stop: CancellationToken) -> Self {
        Self { name, root, stop, crashes: 0 }
    }

    /// The token that ends the task. The task's loop checks it between two steps.
    pub fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Starts the task's loop on the runtime. `run` is the loop, and it does its work with
    /// [`Task::step`].
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

    /// Runs `tick` every `period` until the task is stopped. The first tick starts after one
    /// period.
    ///
    /// A tick starts only when the tick before it has ended. Missed ticks are not repeated, because
    /// one late tick does the work of all missed ticks.
    pub fn every<F>(self, period: Duration, tick: impl FnMut() -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send,
    {
        self.tick_from(Instant::now() + period, period, tick);
    }

    /// Does the same as [`Task::every`], but the first tick starts at once.
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
        let first = if failpoints::name(self.name.name()) { Instant::now() } else { first };
        let due = Due::new(first);
        let read = due.clone();
        self.root.metrics().observed.task(self.name, move || read.overdue());
        self.spawn(async move |mut task: Self| {
            loop {
                tokio::select! {
                    // The order of the two branches matters. After a crash the next tick is perhaps
                    // due already. If the task is stopped, this tick must not run.
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

    /// Does one step. If the step panics, the function returns None after the pause, or as soon as
    /// the task is stopped.
    pub async fn step<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        #[cfg(feature = "failpoints")]
        let work = failpoints::before(self.name.name(), work);
        match AssertUnwindSafe(work).catch_unwind().await {
            Ok(done) => {
                if std::mem::take(&mut self.crashes) > 0 {
                    tracing::info!(task = self.name.name(), "a background task works again");
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
        let (task, reason, in_a_row) = (self.name.name(), text(panic), self.crashes);
        tracing::error!(task, reason, in_a_row, "a background task crashed");
        self.root.metrics().pool_worker_crashes.one(Crash::Task(self.name));
        self.root.count_crash();
    }

    /// Waits after a panic until the next step may begin. If the daemon drains, or if this task has
    /// made the daemon stop, no further step begins, and the function waits until the task is
    /// stopped.
    async fn recover(&self) {
        if self.crashes < CRASHES_MAX {
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = self.root.draining().cancelled() => {}
                () = tokio::time::sleep(pause(self.crashes)) => return,
            }
        } else {
            tracing::error!(
                task = self.name.name(),
                "a background task crashes again and again, stopping the daemon"
            );
            self.root.failed().cancel();
        }
        self.stop.cancelled().await;
    }
}

impl Drop for Task {
    /// A panic outside of a step ends the task. The root then stops the daemon.
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(
                task = self.name.name(),
                "a background task ended with a crash, stopping the daemon"
            );
            self.root.failed().cancel();
        }
    }
}

/// The pause after `crashes` panics without a completed step between them.
fn pause(crashes: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(crashes.saturating_sub(1));
    PAUSE_FIRST.saturating_mul(doubled).min(PAUSE_MAX)
}

/// The message of a panic.
fn text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic value that is not text")
}

/// The time at which a ticker's next tick is due. A tick that hangs or panics does not change this
/// time.
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

/// Lets a test make a task crash just before a step of the task, for example with
/// FAILPOINTS='task.key_rotation=1*panic'.
#[cfg(feature = "failpoints")]
mod failpoints {
    fn point(task: &str) -> String {
        format!("task.{task}")
    }

    /// Whether FAILPOINTS mentions this task. If it does, the first tick is due at once, so that
    /// the test does not have to wait for an hour.
    pub(super) fn name(task: &str) -> bool {
        fail::list().iter().any(|(name, _)| *name == point(task))
    }

    /// Runs the failpoint, and after that the step.
    pub(super) async fn before<T>(task: &'static str, work: impl Future<Output = T>) -> T {
        fail::fail_point!(&point(task));
        work.await
    }
}

#[cfg(test)]
#[path = "task_tests.rs"]
mod tests;
