//! The password pool's worker: one hasher, one thread at a time.

use std::sync::Arc;
use std::time::Instant;

use opentelemetry::KeyValue;

use super::{HashError, Hasher, Setup, Verdict};
use crate::actor::{Reply, WorkerError};
use crate::problem::Unavailable;
use crate::secret::Secret;
use crate::telemetry::Metrics;

/// What is done with a new hash that nobody waits for.
pub type Then = Box<dyn FnOnce(String) + Send>;

/// What the password pool does.
pub enum Message {
    /// The PHC string of a new password.
    Hash {
        /// The password, held to the policy already.
        password: Secret<String>,
        /// The PHC string.
        reply: Reply<Result<String, Unavailable>>,
    },
    /// Whether a password is the one of a stored PHC string.
    Verify {
        /// What was typed.
        password: Secret<String>,
        /// The stored PHC string; none for an unknown person, who is verified against a decoy of the same cost.
        stored: Option<Secret<String>>,
        /// The verdict; for a decoy always a mismatch. A corrupt hash is no mismatch but [`Unavailable`].
        reply: Reply<Result<Verdict, Unavailable>>,
    },
    /// The PHC string of a password that was verified under older parameters.
    Rehash {
        /// The password.
        password: Secret<String>,
        /// Takes the PHC string.
        then: Then,
    },
}

/// The worker: its memory is touched at the first hash and kept.
pub struct Worker {
    setup: Setup,
    /// Away while a hash runs on another thread, and for good when it panicked there: the pool replaces the worker.
    hasher: Option<Hasher>,
    metrics: Arc<Metrics>,
}

impl Worker {
    /// A worker of this setup, which `config/` has checked.
    pub fn new(setup: Setup, metrics: Arc<Metrics>) -> Self {
        Self { setup, hasher: None, metrics }
    }

    /// Runs `work` on a blocking thread, with the hasher.
    async fn run<T: Send + 'static>(
        &mut self,
        operation: &'static str,
        work: impl FnOnce(&mut Hasher) -> T + Send + 'static,
    ) -> Result<T, WorkerError> {
        let mut hasher = match self.hasher.take() {
            Some(hasher) => hasher,
            None => Hasher::new(self.setup.clone())?,
        };
        let started = Instant::now();
        let (hasher, done) = tokio::task::spawn_blocking(move || {
            let done = work(&mut hasher);
            (hasher, done)
        })
        .await?;
        self.hasher = Some(hasher);
        let attributes = [KeyValue::new("operation", operation)];
        self.metrics.password_hash_duration.record(started.elapsed().as_secs_f64(), &attributes);
        Ok(done)
    }
}

impl crate::actor::Worker for Worker {
    type Message = Message;

    async fn handle(&mut self, message: Message) -> Result<(), WorkerError> {
        match message {
            Message::Hash { password, reply } if !reply.is_closed() => {
                let hashed = self.run("hash", move |hasher| hasher.hash(&password)).await?;
                let _ = reply.send(hashed.map_err(unavailable));
            }
            Message::Verify { password, stored, reply } if !reply.is_closed() => {
                let verdict = self
                    .run("verify", move |hasher| {
                        if let Some(stored) = stored {
                            return hasher.verify(&password, stored.expose());
                        }
                        let decoy = hasher.decoy().to_owned();
                        hasher.verify(&password, &decoy).map(|_| Verdict::Mismatch)
                    })
                    .await?;
                let _ = reply.send(verdict.map_err(unavailable));
            }
            Message::Rehash { password, then } => {
                match self.run("rehash", move |hasher| hasher.hash(&password)).await? {
                    Ok(hash) => then(hash),
                    Err(error) => {
                        tracing::warn!(error = %error, "a hash was not brought up to date");
                    }
                }
            }
            // The client is gone: the dearest work is not done for nobody.
            Message::Hash { .. } | Message::Verify { .. } => {}
        }
        Ok(())
    }
}

fn unavailable(error: HashError) -> Unavailable {
    Unavailable::because("password", error)
}
