//! [`Passwords`], the handle of the password workers, and the worker: one hasher, one thread at a time.

use std::hash::Hash;
use std::sync::Arc;
use std::time::Instant;

use tokio::time::Instant as Deadline;
use uuid::Uuid;

use super::{HashError, Hasher, Setup, Verdict};
use crate::actor::{FlatReply, Pool, Worker, WorkerError};
use crate::problem::Unavailable;
use crate::secret::Secret;
use crate::telemetry::Metrics;
use crate::telemetry::labels::HashOperation;

/// What the password workers do.
pub enum PasswordCommand {
    /// [`Passwords::hash`].
    Hash {
        /// The password.
        password: Secret<String>,
        /// The PHC string.
        reply: FlatReply<String>,
    },
    /// [`Passwords::verify`].
    Verify {
        /// The password of the request.
        password: Secret<String>,
        /// The stored PHC string.
        stored: Option<Secret<String>>,
        /// The verdict.
        reply: FlatReply<Verdict>,
    },
    /// [`Passwords::rehash`].
    Rehash(OldHash),
}

/// A password that was verified under older parameters.
pub struct OldHash {
    pub user_id: Uuid,
    /// The stored PHC string.
    pub hash: String,
    /// The password.
    pub password: Secret<String>,
}

/// Stores the new PHC string of [`Passwords::rehash`]: user, old PHC string, new PHC string. The composition root gives it:
/// the table of users belongs to a higher module.
pub type ReplaceHash = Arc<dyn Fn(Uuid, String, String) + Send + Sync>;

/// The handle of the password workers. Calls return [`Unavailable`] when the queue is full and when `deadline` passes.
#[derive(Clone, Debug)]
pub struct Passwords(Pool<PasswordCommand>);

impl Passwords {
    pub fn new(pool: Pool<PasswordCommand>) -> Self {
        Self(pool)
    }

    /// The pool, to be drained and measured.
    pub fn pool(&self) -> &Pool<PasswordCommand> {
        &self.0
    }

    /// Whether the queue has a permit for this client key now: a login that would be refused is refused before it counts
    /// as an attempt.
    pub fn has_permit(&self, client_key: impl Hash) -> Result<(), Unavailable> {
        self.0.room_for(client_key)
    }

    /// The PHC string of a new password.
    pub async fn hash(
        &self,
        client_key: impl Hash,
        deadline: Deadline,
        password: Secret<String>,
    ) -> Result<String, Unavailable> {
        let command = |reply| PasswordCommand::Hash { password, reply };
        self.0.ask_for(client_key, deadline, command).await
    }

    /// Whether a password matches a stored PHC string. Without one a decoy of the same cost is verified, and the verdict is
    /// a mismatch. A corrupt PHC string is no mismatch but [`Unavailable`].
    pub async fn verify(
        &self,
        client_key: impl Hash,
        deadline: Deadline,
        password: Secret<String>,
        stored: Option<Secret<String>>,
    ) -> Result<Verdict, Unavailable> {
        let command = |reply| PasswordCommand::Verify { password, stored, reply };
        self.0.ask_for(client_key, deadline, command).await
    }

    /// Hashes a password with today's parameters and stores the result. Does not wait: the next login tries again.
    pub fn rehash(&self, old: OldHash) {
        let _ = self.0.nudge(PasswordCommand::Rehash(old));
    }
}

/// The worker: its memory is touched at the first hash and kept.
pub struct PasswordWorker {
    setup: Setup,
    /// Away while a hash runs on another thread, and for good when it panicked there: the pool replaces the worker.
    hasher: Option<Hasher>,
    metrics: Arc<Metrics>,
    replace_hash: ReplaceHash,
}

impl PasswordWorker {
    /// A worker of this setup, which `config/` has checked.
    pub fn new(setup: Setup, metrics: Arc<Metrics>, replace_hash: ReplaceHash) -> Self {
        Self { setup, hasher: None, metrics, replace_hash }
    }

    /// Runs `work` on a blocking thread, with the hasher.
    async fn run<T: Send + 'static>(
        &mut self,
        operation: HashOperation,
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
        self.metrics.password_hash_duration.record(started.elapsed(), operation);
        Ok(done)
    }
}

impl Worker for PasswordWorker {
    type Message = PasswordCommand;

    async fn handle(&mut self, command: PasswordCommand) -> Result<(), WorkerError> {
        match command {
            PasswordCommand::Hash { password, reply } if !reply.is_closed() => {
                let hashed =
                    self.run(HashOperation::Hash, move |hasher| hasher.hash(&password)).await?;
                let _ = reply.send(hashed.map_err(unavailable));
            }
            PasswordCommand::Verify { password, stored, reply } if !reply.is_closed() => {
                let verdict = self
                    .run(HashOperation::Verify, move |hasher| {
                        if let Some(stored) = stored {
                            return hasher.verify(&password, stored.expose());
                        }
                        let decoy = hasher.decoy().to_owned();
                        hasher.verify(&password, &decoy).map(|_| Verdict::Mismatch)
                    })
                    .await?;
                let _ = reply.send(verdict.map_err(unavailable));
            }
            PasswordCommand::Rehash(OldHash { user_id, hash, password }) => {
                match self.run(HashOperation::Rehash, move |hasher| hasher.hash(&password)).await? {
                    Ok(new) => (self.replace_hash)(user_id, hash, new),
                    Err(error) => {
                        tracing::warn!(error = %error, "a hash was not brought up to date");
                    }
                }
            }
            // The client is gone: the dearest work is not done for nobody.
            PasswordCommand::Hash { .. } | PasswordCommand::Verify { .. } => {}
        }
        Ok(())
    }
}

fn unavailable(error: HashError) -> Unavailable {
    Unavailable::because("password", error)
}
