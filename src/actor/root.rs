//! The root actor: every pool's factory is linked to it.
//!
//! Factories restart their own workers. A factory that dies itself means that something is broken beyond mending in
//! place: the root trips the shutdown, the daemon drains and exits with 1, and the orchestrator starts it afresh.

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, SpawnErr, SupervisionEvent};
use tokio_util::sync::CancellationToken;

/// The supervisor of all pools.
#[derive(Clone, Debug)]
pub struct Root {
    actor: ActorRef<Message>,
    failed: CancellationToken,
}

/// What the root is told.
#[derive(Debug)]
pub enum Message {
    /// From here on pools end because they were asked to.
    Drain,
}

struct Supervisor;

struct State {
    failed: CancellationToken,
    draining: Draining,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Draining {
    No,
    Yes,
}

impl Root {
    /// Starts the root.
    pub async fn spawn() -> Result<Self, SpawnErr> {
        let failed = CancellationToken::new();
        let (actor, _) = Actor::spawn(None, Supervisor, failed.clone()).await?;
        Ok(Self { actor, failed })
    }

    /// What pools are linked to.
    pub fn cell(&self) -> ActorCell {
        self.actor.get_cell()
    }

    /// Trips when a factory dies without having been asked to.
    pub fn failed(&self) -> &CancellationToken {
        &self.failed
    }

    /// Tells that pools are about to be drained.
    pub fn drain(&self) {
        let _ = self.actor.cast(Message::Drain);
    }

    /// Ends the root.
    pub fn stop(&self) {
        self.actor.stop(None);
    }
}

impl Actor for Supervisor {
    type Msg = Message;
    type State = State;
    type Arguments = CancellationToken;

    async fn pre_start(
        &self,
        _: ActorRef<Message>,
        failed: CancellationToken,
    ) -> Result<State, ActorProcessingErr> {
        Ok(State { failed, draining: Draining::No })
    }

    async fn handle(
        &self,
        _: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::Drain => state.draining = Draining::Yes,
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<Message>,
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
        if state.draining == Draining::No {
            tracing::error!(reason, "a pool died, stopping the daemon");
            state.failed.cancel();
        }
        Ok(())
    }
}
