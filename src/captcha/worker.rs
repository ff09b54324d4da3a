//! [`Captchas`], the handle of the captcha workers, and what a worker does: it verifies a solution and marks it as used.

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
    /// The captcha's value.
    pub payload: String,
    /// What it is asked for: vendors that know actions tie a token to one.
    pub point: CaptchaPoint,
    /// Who sent it; vendors are told.
    pub client: IpAddr,
    /// How many times as hard as a usual one it has to be. A vendor's counts as any.
    pub difficulty: u32,
}

/// Where a captcha is asked for, and which.
#[derive(Clone, Copy, Debug)]
pub struct Demand {
    point: CaptchaPoint,
    is_needed: bool,
    difficulty: u32,
}

impl Demand {
    /// One that is as hard as usual.
    pub fn usual(point: CaptchaPoint, is_needed: bool) -> Self {
        Self { point, is_needed, difficulty: 1 }
    }

    /// One that is needed, and has to be this hard.
    pub fn of_difficulty(point: CaptchaPoint, difficulty: u32) -> Self {
        Self { point, is_needed: true, difficulty }
    }
}

/// What the captcha workers do.
#[derive(Debug)]
pub enum CaptchaCommand {
    /// [`Captchas::verify`].
    Verify {
        /// What the client sent.
        solution: Solution,
        /// The verdict.
        reply: FlatReply<Verdict>,
    },
    /// [`Captchas::probe`].
    Probe {
        /// The vendor's state.
        reply: FlatReply<VendorState>,
    },
}

/// The handle of the captcha workers. Calls return [`Unavailable`] when the queue is full and when `deadline` passes.
#[derive(Clone, Debug)]
pub struct Captchas {
    pool: Pool<CaptchaCommand>,
    verifier: Arc<Verifier>,
    points: Arc<[CaptchaPoint]>,
}

impl Captchas {
    /// The handle of a pool; `points` are where the settings ask for a captcha.
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

    /// Checks the captcha of a request where one is needed. A solution that is sent without need is verified too, since it
    /// buys a larger budget of the mailbox; none sent is none then.
    ///
    /// # Errors
    /// [`CaptchaError`] where one is needed.
    pub async fn check(
        &self,
        client: (IpAddr, Instant),
        point: CaptchaPoint,
        payload: Option<String>,
    ) -> Result<Option<Verdict>, CaptchaError> {
        self.demand(client, Demand::usual(point, self.is_needed(point)), payload).await
    }

    /// The same where the caller decides whether one is needed.
    ///
    /// # Errors
    /// [`CaptchaError`] where one is needed.
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
            // In doubt it is refused; where it only buys a larger budget, it buys none.
            Err(unavailable) if needed => Err(CaptchaError::Unavailable(unavailable)),
            Ok(Verdict::Refused) | Err(_) => Ok(None),
        }
    }

    /// The pool, to be drained and measured.
    pub fn pool(&self) -> &Pool<CaptchaCommand> {
        &self.pool
    }

    /// Verifies a solution, which is valid once.
    pub async fn verify(
        &self,
        deadline: Instant,
        solution: Solution,
    ) -> Result<Verdict, Unavailable> {
        self.pool.ask(deadline, |reply| CaptchaCommand::Verify { solution, reply }).await
    }

    /// Whether the vendor works; asks it where that is not known. [`Unavailable`] when it failed and is not given up yet.
    pub async fn probe(&self, deadline: Instant) -> Result<VendorState, Unavailable> {
        self.pool.ask(deadline, |reply| CaptchaCommand::Probe { reply }).await
    }
}

/// Why a captcha that is needed is refused.
#[derive(Debug)]
pub enum CaptchaError {
    /// It is missing, wrong or used.
    Invalid,
    /// Nobody can tell: the vendor or the token store does not answer.
    Unavailable(Unavailable),
}

/// How long the store remembers a captcha: its own 10 minutes, and an hour until it is collected.
pub const SPENT_TTL: Duration = Duration::from_mins(70);

/// What a solution is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Good, and spent by this.
    Solved,
    /// Wrong, expired or spent before.
    Refused,
}

/// How the provider stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VendorState {
    /// It answers, or is built in.
    Good,
    /// It failed several times and has not answered since.
    InDoubt,
}

/// The worker's needs.
#[derive(Clone)]
pub struct CaptchaWorker {
    /// The provider.
    pub verifier: Arc<Verifier>,
    /// Remembers what was spent.
    pub store: Store,
    /// Bounds how much it remembers.
    pub spent: Arc<KeyBudget>,
    pub clock: Clock,
    /// Counts.
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
                        // Nothing was added.
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
            // The client is gone: nobody's token is spent for nobody.
            CaptchaCommand::Verify { .. } | CaptchaCommand::Probe { .. } => {}
        }
        Ok(())
    }
}
