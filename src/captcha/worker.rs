//! The captcha workers and their handle ([`Captchas`]). A worker verifies a solution and marks the
//! solution as used.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Verifier;
use super::vendor::VerificationError;
use super::verifier::Verification;
use crate::actor::{FlatReply, Pool, Worker, WorkerError};
use crate::clock::Clock;
use crate::config::CaptchaPoint;
use crate::problem::Unavailable;
use crate::store::{KeyBudget, Spend, Store};
use crate::telemetry::Metrics;
use crate::telemetry::labels::CaptchaOutcome;

/// The solution that a client sent.
#[derive(Clone, Debug)]
pub struct Solution {
    /// The value that the client sent as `captcha`.
    pub payload: String,
    /// The point at which latchkey asks for the captcha. If a vendor has actions, a token is valid
    /// for one point only.
    pub point: CaptchaPoint,
    /// The client's IP address, which is sent to vendors.
    pub client: IpAddr,
    /// How many times harder the captcha must be than a usual captcha. A vendor's captcha satisfies
    /// every difficulty.
    pub difficulty: u32,
}

/// The captcha that a request needs.
#[derive(Clone, Copy, Debug)]
pub struct Demand {
    point: CaptchaPoint,
    is_needed: bool,
    difficulty: u32,
}

impl Demand {
    /// Describes a captcha of usual difficulty. `is_needed` says whether the request is refused
    /// without it.
    pub fn usual(point: CaptchaPoint, is_needed: bool) -> Self {
        Self { point, is_needed, difficulty: 1 }
    }

    /// Describes a captcha that the request needs and that must have this difficulty.
    pub fn of_difficulty(point: CaptchaPoint, difficulty: u32) -> Self {
        Self { point, is_needed: true, difficulty }
    }
}

/// The commands for the captcha workers.
#[derive(Debug)]
pub enum CaptchaCommand {
    /// See [`Captchas::verify`].
    Verify {
        solution: Solution,
        /// The result of the verification.
        reply: FlatReply<Verdict>,
    },
    /// See [`Captchas::probe`].
    Probe {
        /// The state of the vendor.
        reply: FlatReply<VendorState>,
    },
}

/// The handle of the captcha workers. A call returns [`Unavailable`] if the queue is full, or if
/// `deadline` passes before the work is done.
#[derive(Clone, Debug)]
pub struct Captchas {
    pool: Pool<CaptchaCommand>,
    verifier: Arc<Verifier>,
    points: Arc<[CaptchaPoint]>,
}

impl Captchas {
    /// Creates the handle of a pool. `points` are the points at which the settings require a
    /// captcha.
    pub fn new(
        pool: Pool<CaptchaCommand>,
        verifier: Arc<Verifier>,
        points: &[CaptchaPoint],
    ) -> Self {
        let points = if verifier.is_on() { points.into() } else { Arc::default() };
        Self { pool, verifier, points }
    }

    /// Whether captchas are switched on.
    pub fn is_on(&self) -> bool {
        self.verifier.is_on()
    }

    /// Whether the settings require a captcha at this point.
    pub fn is_needed(&self, point: CaptchaPoint) -> bool {
        self.points.contains(&point)
    }

    /// Verifies the captcha of a request at the point `point`.
    ///
    /// If no captcha is needed at this point but the client sent a solution, the solution is
    /// verified all the same, because it gives the client a larger budget of mails. If no captcha
    /// is needed and there is no valid solution, the result is `None`.
    ///
    /// # Errors
    /// [`CaptchaError`] if a captcha is needed and the request has no valid solution.
    pub async fn check(
        &self,
        client: (IpAddr, Instant),
        point: CaptchaPoint,
        payload: Option<String>,
    ) -> Result<Option<Verdict>, CaptchaError> {
        self.demand(client, Demand::usual(point, self.is_needed(point)), payload).await
    }

    /// Does the same as [`Captchas::check`] for the captcha that `demand` describes.
    ///
    /// # Errors
    /// [`CaptchaError`] if a captcha is needed and the request has no valid solution.
    pub async fn demand(
        &self,
        (client, deadline): (IpAddr, Instant),
        demand: Demand,
        payload: Option<String>,
    ) -> Result<Option<Verdict>, CaptchaError> {
        let Demand { point, is_needed: needed, difficulty } = demand;
        let payload = match payload.filter(|payload| !payload.is_empty()) {
            Some(payload) if self.verifier.is_on() => payload,
            _ if needed => return Err(CaptchaError::Invalid),
            _ => return Ok(None),
        };
        match self.verify(deadline, Solution { payload, point, client, difficulty }).await {
            Ok(Verdict::Solved) => Ok(Some(Verdict::Solved)),
            Ok(Verdict::Refused) if needed => Err(CaptchaError::Invalid),
            // If a captcha is needed but cannot be verified, the request is refused. If the captcha
            // would only give the client a larger budget, the request continues without the larger
            // budget.
            Err(unavailable) if needed => Err(CaptchaError::Unavailable(unavailable)),
            Ok(Verdict::Refused) | Err(_) => Ok(None),
        }
    }

    /// The pool of captcha workers. The daemon drains and measures it.
    pub fn pool(&self) -> &Pool<CaptchaCommand> {
        &self.pool
    }

    /// Verifies a solution and marks it as used. Each solution is valid only once.
    pub async fn verify(
        &self,
        deadline: Instant,
        solution: Solution,
    ) -> Result<Verdict, Unavailable> {
        self.pool.ask(deadline, |reply| CaptchaCommand::Verify { solution, reply }).await
    }

    /// Returns whether the vendor works. If this is not known, a worker sends a probe to the
    /// vendor. Returns [`Unavailable`] if the probe failed but the vendor has not failed three
    /// times in a row yet.
    pub async fn probe(&self, deadline: Instant) -> Result<VendorState, Unavailable> {
        self.pool.ask(deadline, |reply| CaptchaCommand::Probe { reply }).await
    }
}

/// Why a request that needs a captcha is refused.
#[derive(Debug)]
pub enum CaptchaError {
    /// The captcha is missing, wrong or already used.
    Invalid,
    /// The vendor or the token store does not respond.
    Unavailable(Unavailable),
}

/// How long the token store keeps the entry of a used captcha: the 10 minutes in which the captcha
/// is valid, and up to one hour until the entry is deleted.
pub const SPENT_TTL: Duration = Duration::from_mins(70);

/// The result of verifying a solution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The solution is valid and is now used.
    Solved,
    /// The solution is wrong, expired or already used.
    Refused,
}

/// The state of the captcha provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VendorState {
    /// The vendor responds, or the active provider is not a vendor.
    Good,
    /// The vendor failed several times in a row and has not responded since then.
    InDoubt,
}

/// The dependencies of a captcha worker.
#[derive(Clone)]
pub struct CaptchaWorker {
    pub verifier: Arc<Verifier>,
    /// The token store, which remembers used solutions.
    pub store: Store,
    /// The budget that limits how many used solutions the token store remembers.
    pub spent: Arc<KeyBudget>,
    pub clock: Clock,
    pub metrics: Arc<Metrics>,
}

impl CaptchaWorker {
    async fn verify(&self, solution: &Solution) -> Result<Verdict, Unavailable> {
        let (provider, judged) = self.verifier.verify(solution, self.clock.now()).await;
        let (outcome, verdict) = match judged {
            Ok(Verification::Refused) => (CaptchaOutcome::Refused, Ok(Verdict::Refused)),
            Ok(Verification::Good(_)) if !self.spent.has_room(self.clock.now()) => {
                (CaptchaOutcome::Unavailable, Err(Unavailable::shed("captcha")))
            }
            Ok(Verification::Good(solved)) => {
                self.spent.spend(1, self.clock.now());
                match self
                    .store
                    .spend_once(&solved.spent_key, solved.expires_at, self.clock.now())
                    .await
                {
                    Ok(Spend::First) => (CaptchaOutcome::Solved, Ok(Verdict::Solved)),
                    Ok(Spend::Again) => {
                        // The solution was already used, so the store added no entry for it.
                        self.spent.refund(1, self.clock.now());
                        (CaptchaOutcome::Refused, Ok(Verdict::Refused))
                    }
                    Err(error) => (CaptchaOutcome::Unavailable, Err(error)),
                }
            }
            Err(error @ VerificationError::Misconfigured(_)) => {
                (CaptchaOutcome::Misconfigured, Err(unavailable(error)))
            }
            Err(error) => (CaptchaOutcome::Unavailable, Err(unavailable(error))),
        };
        self.metrics.captcha_verifications.one((provider, outcome));
        verdict
    }

    async fn probe(&self) -> Result<VendorState, Unavailable> {
        let Some(vendor) = self.verifier.vendor() else { return Ok(VendorState::Good) };
        let is_in_doubt = vendor.probe().await.map_err(unavailable)?;
        Ok(if is_in_doubt { VendorState::InDoubt } else { VendorState::Good })
    }
}

fn unavailable(error: VerificationError) -> Unavailable {
    Unavailable::because("captcha", error)
}

impl Worker for CaptchaWorker {
    type Message = CaptchaCommand;

    async fn handle(&mut self, command: CaptchaCommand) -> Result<(), WorkerError> {
        match command {
            CaptchaCommand::Verify { solution, reply } if !reply.is_closed() => {
                let _ = reply.send(self.verify(&solution).await);
            }
            CaptchaCommand::Probe { reply } if !reply.is_closed() => {
                let _ = reply.send(self.probe().await);
            }
            // The client no longer waits for the result, so its solution is not verified and not
            // marked as used.
            CaptchaCommand::Verify { .. } | CaptchaCommand::Probe { .. } => {}
        }
        Ok(())
    }
}
