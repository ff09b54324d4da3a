//! The admission worker. It removes expired entries and cancels attempts in the background.

use std::sync::Arc;

use super::attempts::CountedAttempt;
use super::back_off::BACK_OFF;
use super::budgets::Local;
use super::limiter::Limiter;
use crate::actor::WorkerError;
use crate::clock::Clock;
use crate::store::Store;

/// The commands for the admission worker. No caller waits for a result.
#[derive(Debug)]
pub enum AdmissionCommand {
    /// See [`Admission::cancel_attempt`](super::Admission::cancel_attempt).
    Cancel {
        /// The attempt whose password was not verified.
        attempt: CountedAttempt,
    },
    /// See [`Admission::sweep`](super::Admission::sweep).
    Sweep,
}

#[derive(Clone, Debug)]
pub struct Worker {
    pub store: Store,
    pub limiter: Arc<Limiter>,
    pub local: Arc<Local>,
    pub clock: Clock,
}

impl crate::actor::Worker for Worker {
    type Message = AdmissionCommand;

    async fn handle(&mut self, message: AdmissionCommand) -> Result<(), WorkerError> {
        let now = self.clock.now();
        match message {
            AdmissionCommand::Cancel { attempt } => {
                if let Err(error) = self.store.cancel_attempt(&BACK_OFF, attempt.key(), now).await {
                    tracing::warn!(
                        error = %error,
                        "cannot cancel a login attempt whose password was not checked: it counts \
                         as a failed login"
                    );
                }
            }
            AdmissionCommand::Sweep => {
                self.limiter.sweep();
                self.local.sweep();
                if let Err(error) = self.store.sweep(now).await {
                    tracing::warn!(
                        error = %error,
                        "cannot delete expired entries from the token store, the next run tries \
                         again"
                    );
                }
            }
        }
        Ok(())
    }
}
