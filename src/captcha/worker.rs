//! [`Captchas`], the handle of the captcha workers, and the worker itself. A worker verifies a
//! solution and marks it as used.

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
    /// The value of the captcha.
    pub payload: String,
    /// The endpoint that asks for the captcha. Vendors with actions tie a token to one endpoint.
    pub point: CaptchaPoint,
    /// The client's address, which vendors receive.
    pub client: IpAddr,
    /// How many times harder than usual the captcha must be. A vendor's captcha satisfies any
    /// difficulty.
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
    /// A captcha of usual difficulty.
    pub fn usual(point: CaptchaPoint, is_needed: bool) -> Self {
        Self { point, is_needed, difficulty: 1 }
    }

    /// A captcha that is needed and must have this difficulty.
    pub fn of_difficulty(point: CaptchaPoint, difficulty: u32) -> Self {
        Self { point, is_needed: true, difficulty }
    }
}

/// The commands of the captcha workers.
#[derive(Debug)]
pub enum CaptchaCommand {
    /// [`Captchas::verify`].
    Verify {
        solution: Solution,
        /// The result of the verification.
        reply: FlatReply<Verdict>,
    },
    /// [`Captchas::probe`].
    Probe {
        /// The state of the vendor.
        reply: FlatReply<VendorState>,
    },
}

/// The handle of the captcha workers. Calls return [`Unavailable`] if the queue is full or
/// `deadline` passes.
#[derive(Clone, Debug)]
pub struct Captchas {
    pool: Pool<CaptchaCommand>,
    verifier: Arc<Verifier>,
    points: Arc<[CaptchaPoint]>,
}

impl Captchas {
    /// The handle of a pool. `points` are the places where the settings ask for a captcha.
    pub fn new(
        pool: Pool<CaptchaCommand>,
        verifier: Arc<Verifier>,
        points: &[CaptchaPoint],
    ) -> Self {
        let points = if verifier.is_on() { points.into() } else { Arc::default() };
        Self { pool, verifier, points }
    }

    /// Whether captchas are verified at all.
    pub fn is_on(&self) -> bool {
        self.verifier.is_on()
    }

    /// Whether the settings ask for a captcha here.
    pub fn is_needed(&self, point: CaptchaPoint) -> bool {
        self.points.contains(&point)
    }

    /// Verifies the captcha of a request if one is needed here.
    ///
    /// A solution that is sent without need is verified too, because it gives the client a larger
    /// mailbox budget. Without a solution the result is then `None`.
    ///
    /// # Errors
    /// [`CaptchaError`] if a captcha is needed.
    pub async fn check(
        &self,
        client: (IpAddr, Instant),
        point: CaptchaPoint,
        payload: Option<String>,
    ) -> Result<Option<Verdict>, CaptchaError> {
        self.demand(client, Demand::usual(point, self.is_needed(point)), payload).await
    }

    /// Verifies a captcha if `demand` says that one is needed.
    ///
    /// # Errors
    /// [`CaptchaError`] if a captcha is needed.
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
            // A needed captcha that could not be verified is refused. A captcha that only gives a
            // larger budget then gives no larger budget.
            Err(unavailable) if needed => Err(CaptchaError::Unavailable(unavailable)),
            Ok(Verdict::Refused) | Err(_) => Ok(None),
        }
    }

    /// The pool, to drain and to measure it.
    pub fn pool(&self) -> &Pool<CaptchaCommand> {
        &self.pool
    }

    /// Verifies a solution. Each solution is valid once.
    pub async fn verify(
        &self,
        deadline: Instant,
        solution: Solution,
    ) -> Result<Verdict, Unavailable> {
        self.pool.ask(deadline, |reply| CaptchaCommand::Verify { solution, reply }).await
    }

    /// Whether the vendor works. Sends a probe if that is not known. Returns [`Unavailable`] if the
    /// probe failed and the vendor is not known to fail yet.
    pub async fn probe(&self, deadline: Instant) -> Result<VendorState, Unavailable> {
        self.pool.ask(deadline, |reply| CaptchaCommand::Probe { reply }).await
    }
}

/// Why a captcha that is needed is refused.
#[derive(Debug)]
pub enum CaptchaError {
    /// It is missing, wrong or already used.
    Invalid,
    /// The vendor or the token store does not respond.
    Unavailable(Unavailable),
}

/// How long the store remembers a captcha: its own 10 minutes, and one hour until the entry is
/// deleted.
pub const SPENT_TTL: Duration = Duration::from_mins(70);

/// The result of verifying a solution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The solution is valid and is now used.
    Solved,
    /// The solution is wrong, expired or already used.
    Refused,
}

/// The state of the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VendorState {
    /// The vendor responds, or the provider is built in.
    Good,
    /// The vendor failed several times in a row and has not responded since.
    InDoubt,
}

/// The dependencies of a captcha worker.
#[derive(Clone)]
pub struct CaptchaWorker {
    pub verifier: Arc<Verifier>,
    /// Remembers used solutions.
    pub store: Store,
    /// Limits how many used solutions the store remembers.
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
                        // The store added no entry.
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
            // The client has disconnected, so its token is not used up.
            CaptchaCommand::Verify { .. } | CaptchaCommand::Probe { .. } => {}
        }
        Ok(())
    }
}
