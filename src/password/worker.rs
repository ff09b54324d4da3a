//! The password workers ([`PasswordWorker`]) and their handle ([`Passwords`]). A worker has one
//! hasher and uses one thread at a time.

use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tokio::time::Instant as Deadline;
use uuid::Uuid;

use super::equal_work::Checked;
use super::{HashError, Hasher, Setup, Verdict};
use crate::actor::{FlatReply, Pool, Worker, WorkerError};
use crate::clock::{Clock, OnceAMinute};
use crate::problem::Unavailable;
use crate::secret::Secret;
use crate::telemetry::Metrics;
use crate::telemetry::labels::{HashOperation, UnverifiableHash};

/// The commands for the password workers.
pub enum PasswordCommand {
    /// See [`Passwords::hash`].
    Hash {
        password: Secret<String>,
        /// The PHC string.
        reply: FlatReply<String>,
    },
    /// See [`Passwords::verify`].
    Verify {
        /// The password of the request.
        password: Secret<String>,
        /// The stored PHC string of the account. None if there is no account.
        stored: Option<Secret<String>>,
        claim: Claim,
        reply: FlatReply<Verdict>,
    },
    /// See [`Passwords::rehash`].
    Rehash(OldHash),
}

/// Decides between a worker that begins a job and a caller that gives the job up. Only the first of
/// the two gets the claim. Clones share one claim.
#[derive(Clone, Debug, Default)]
pub struct Claim(Arc<AtomicBool>);

impl Claim {
    /// Whether this call is the first one.
    fn take(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }
}

/// Why a password was not verified.
#[derive(Debug)]
pub struct NoVerdict {
    /// Whether a worker began to verify the password. If so, the response can depend on the
    /// password: a right one is sometimes verified within the deadline when a wrong one is not.
    pub has_begun: bool,
    pub error: Unavailable,
}

/// A right password whose stored hash does not have the current parameters.
pub struct OldHash {
    pub user_id: Uuid,
    /// The stored PHC string.
    pub hash: String,
    pub password: Secret<String>,
}

/// A function that stores the new PHC string of [`Passwords::rehash`]. Its arguments are the user's
/// id, the old PHC string and the new PHC string. The composition root supplies the function,
/// because the table of users belongs to a higher module.
pub type ReplaceHash = Arc<dyn Fn(Uuid, String, String) + Send + Sync>;

/// The handle of the password workers. A call returns [`Unavailable`] if the queue is full, or if
/// `deadline` passes before the work is done.
#[derive(Clone, Debug)]
pub struct Passwords(Pool<PasswordCommand>);

impl Passwords {
    pub fn new(pool: Pool<PasswordCommand>) -> Self {
        Self(pool)
    }

    /// The pool of password workers. The daemon drains and measures it.
    pub fn pool(&self) -> &Pool<PasswordCommand> {
        &self.0
    }

    /// Checks whether the queue has a permit for this client key now. If it has none, the login is
    /// refused before it counts as an attempt.
    pub fn has_permit(&self, client_key: impl Hash) -> Result<(), Unavailable> {
        self.0.room_for(client_key)
    }

    /// Hashes a new password, and returns the PHC string.
    pub async fn hash(
        &self,
        client_key: impl Hash,
        deadline: Deadline,
        password: Secret<String>,
    ) -> Result<String, Unavailable> {
        let command = |reply| PasswordCommand::Hash { password, reply };
        self.0.ask_for(client_key, deadline, command).await
    }

    /// Checks whether a password matches a stored PHC string. If `stored` is None, or if the string
    /// cannot be verified, the verdict is a mismatch of the same cost ([`Hasher::check`]).
    ///
    /// # Errors
    /// [`NoVerdict`] if no worker began, or if the worker has no result before `deadline`. If no
    /// worker had begun, none begins later.
    pub async fn verify(
        &self,
        client_key: impl Hash,
        deadline: Deadline,
        password: Secret<String>,
        stored: Option<Secret<String>>,
    ) -> Result<Verdict, NoVerdict> {
        let claim = Claim::default();
        let of_worker = claim.clone();
        let command = |reply| PasswordCommand::Verify { password, stored, claim: of_worker, reply };
        let verified = self.0.ask_for(client_key, deadline, command).await;
        verified.map_err(|error| NoVerdict { has_begun: !claim.take(), error })
    }

    /// Starts to hash a password with the current parameters and to store the result. The call does
    /// not wait for the hash. If the work fails, the next login starts it again.
    pub fn rehash(&self, old: OldHash) {
        let _ = self.0.nudge(PasswordCommand::Rehash(old));
    }
}

/// A password worker. It allocates memory at the first hash and reuses this memory.
pub struct PasswordWorker {
    setup: Setup,
    /// None before the first hash, and while a hash runs on another thread. If the hash panics
    /// there, the field stays None, and the pool replaces the worker.
    hasher: Option<Hasher>,
    faults: Arc<HashFaults>,
    metrics: Arc<Metrics>,
    replace_hash: ReplaceHash,
}

/// Reports stored hashes that cannot be verified. All workers share it.
pub struct HashFaults {
    clock: Clock,
    metrics: Arc<Metrics>,
    log: OnceAMinute,
}

impl HashFaults {
    pub fn new(clock: Clock, metrics: Arc<Metrics>) -> Self {
        Self { clock, metrics, log: OnceAMinute::new() }
    }

    /// Counts a hash that cannot be verified, and logs an error at most once a minute.
    fn report(&self, fault: &HashError) {
        self.metrics.password_unverifiable.one(match fault {
            HashError::ParametersRefused => UnverifiableHash::TooCostly,
            HashError::PepperMissing => UnverifiableHash::PepperMissing,
            HashError::Corrupt | HashError::Engine(_) => UnverifiableHash::Unreadable,
        });
        if self.log.is_due(self.clock.now()) {
            tracing::error!(
                error = %fault,
                "a stored password hash cannot be verified, so the login is refused like one with \
                 a wrong password. The user can reset the password. The metric \
                 latchkey.password.unverifiable counts such logins, this line appears at most once \
                 a minute"
            );
        }
    }
}

impl PasswordWorker {
    /// Creates a worker. `config/` has checked the setup.
    pub fn new(
        setup: Setup,
        faults: Arc<HashFaults>,
        metrics: Arc<Metrics>,
        replace_hash: ReplaceHash,
    ) -> Self {
        Self { setup, hasher: None, faults, metrics, replace_hash }
    }

    /// Runs `work` with the hasher on a blocking thread.
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
            PasswordCommand::Verify { password, stored, claim, reply }
                if !reply.is_closed() && claim.take() =>
            {
                let checked = self
                    .run(HashOperation::Verify, move |hasher| {
                        hasher.check(&password, stored.as_ref().map(|it| it.expose().as_str()))
                    })
                    .await?;
                if let Ok(Checked { fault: Some(fault), .. }) = &checked {
                    self.faults.report(fault);
                }
                let verdict = checked.map(|checked| checked.verdict);
                let _ = reply.send(verdict.map_err(unavailable));
            }
            PasswordCommand::Rehash(OldHash { user_id, hash, password }) => {
                match self.run(HashOperation::Rehash, move |hasher| hasher.hash(&password)).await? {
                    Ok(new) => (self.replace_hash)(user_id, hash, new),
                    Err(error) => {
                        tracing::warn!(
                            error = %error,
                            "cannot update a password hash to the current parameters, the next \
                             login tries again"
                        );
                    }
                }
            }
            // The caller no longer waits for the reply, so the expensive work is skipped.
            PasswordCommand::Hash { .. } | PasswordCommand::Verify { .. } => {}
        }
        Ok(())
    }
}

fn unavailable(error: HashError) -> Unavailable {
    Unavailable::because("password", error)
}

#[cfg(test)]
#[path = "worker_tests.rs"]
mod tests;
