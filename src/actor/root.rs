//! [`Root`]: the supervisor of all pools and tasks. The factory of every pool is linked to the
//! root's actor, and every [`Task`] reports its panics to the root.
//!
//! A factory restarts its own workers, and a task repeats its own steps. If a factory itself ends,
//! or if a task keeps crashing, another restart inside the daemon would not help. The root then
//! starts the shutdown: the daemon drains and exits with the code 1, and the orchestrator starts
//! the daemon again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, SpawnErr, SupervisionEvent};
use tokio_util::sync::CancellationToken;

use super::Task;
use crate::telemetry::Metrics;
use crate::telemetry::labels::TaskName;

/// The supervisor of all pools and tasks. All clones are handles of the same root.
#[derive(Clone, Debug)]
pub struct Root {
    actor: ActorRef<()>,
    failed: CancellationToken,
    draining: CancellationToken,
    metrics: Arc<Metrics>,
    task_crashes: Arc<AtomicU64>,
}

struct Supervisor;

/// The cancellation tokens of the [`Root`].
struct State {
    failed: CancellationToken,
    draining: CancellationToken,
}

impl Root {
    /// Starts the root. Crashes of tasks are counted in `metrics`.
    pub async fn spawn(metrics: Arc<Metrics>) -> Result<Self, SpawnErr> {
        let (failed, draining) = (CancellationToken::new(), CancellationToken::new());
        let state = State { failed: failed.clone(), draining: draining.clone() };
        let (actor, _) = Actor::spawn(None, Supervisor, state).await?;
        Ok(Self { actor, failed, draining, metrics, task_crashes: Arc::default() })
    }

    /// The actor to which the factories of pools are linked.
    pub fn cell(&self) -> ActorCell {
        self.actor.get_cell()
    }

    /// Creates a task that ends when `stop` is cancelled.
    pub fn task(&self, name: TaskName, stop: &CancellationToken) -> Task {
        Task::new(name, self.clone(), stop.clone())
    }

    /// A token that is cancelled when a factory ends unexpectedly, or when a task keeps crashing.
    pub fn failed(&self) -> &CancellationToken {
        &self.failed
    }

    /// Marks the start of the drain. After this call the end of a pool or a task is expected, and
    /// no task is restarted.
    pub fn drain(&self) {
        self.draining.cancel();
    }

    pub fn stop(&self) {
        self.actor.stop(None);
    }

    /// The number of panics of all tasks since the start of the daemon.
    pub fn task_crashes(&self) -> u64 {
        self.task_crashes.load(Ordering::Relaxed)
    }

    pub(super) fn count_crash(&self) {
        self.task_crashes.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn draining(&self) -> &CancellationToken {
        &self.draining
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}

impl Actor for Supervisor {
    type Msg = ();
    type State = State;
    type Arguments = State;

    async fn pre_start(&self, _: ActorRef<()>, state: State) -> Result<State, ActorProcessingErr> {
        Ok(state)
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<()>,
        event: SupervisionEvent,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        let reason = match event {
            SupervisionEvent::ActorTerminated(_, _, reason) => reason.unwrap_or_default(),
            SupervisionEvent::ActorFailed(_, error) => error.to_string(),
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => {
                return Ok(());
            }
        };
        if !state.draining.is_cancelled() {
            tracing::error!(reason, "a worker pool ended unexpectedly, stopping the daemon");
            state.failed.cancel();
        }
        Ok(())
    }
}
