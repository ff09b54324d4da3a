//! [`Captchas`], the handle of the captcha workers, and what a worker does: it verifies a solution and marks it as used.

use std::net::IpAddr;
use std::sync::Arc;

use opentelemetry::KeyValue;
use tokio::time::Instant;

use super::Verifier;
use super::vendor::VerificationError;
use super::verifier::Verification;
use crate::actor::{Pool, Reply, Worker, WorkerError};
use crate::clock::Clock;
use crate::config::CaptchaPoint;
use crate::problem::Unavailable;
use crate::store::{Spend, Store};
use crate::telemetry::Metrics;

/// The solution that a client sent.
#[derive(Clone, Debug)]
pub struct Solution {
    /// The captcha's value.
    pub payload: String,
    /// What it is asked for: vendors that know actions tie a token to one.
    pub point: CaptchaPoint,
    /// Who sent it; vendors are told.
    pub client: IpAddr,
}

/// What the captcha workers do.
#[derive(Debug)]
pub enum CaptchaCommand {
    /// [`Captchas::verify`].
    Verify {
        /// What the client sent.
        solution: Solution,
        /// The verdict.
        reply: Reply<Result<Verdict, Unavailable>>,
    },
    /// [`Captchas::probe`].
    Probe {
        /// The vendor's state.
        reply: Reply<Result<VendorState, Unavailable>>,
    },
}

/// The handle of the captcha workers. Calls return [`Unavailable`] when the queue is full and when `deadline` passes.
#[derive(Clone, Debug)]
pub struct Captchas(Pool<CaptchaCommand>);

impl Captchas {
    /// The handle of a pool.
    pub fn new(pool: Pool<CaptchaCommand>) -> Self {
        Self(pool)
    }

    /// The pool, to be drained and measured.
    pub fn pool(&self) -> &Pool<CaptchaCommand> {
        &self.0
    }

    /// Verifies a solution, which is valid once.
    pub async fn verify(
        &self,
        deadline: Instant,
        solution: Solution,
    ) -> Result<Verdict, Unavailable> {
        self.0.ask(deadline, |reply| CaptchaCommand::Verify { solution, reply }).await?
    }

    /// Whether the vendor works; asks it where that is not known. [`Unavailable`] when it failed and is not given up yet.
    pub async fn probe(&self, deadline: Instant) -> Result<VendorState, Unavailable> {
        self.0.ask(deadline, |reply| CaptchaCommand::Probe { reply }).await?
    }
}

/// What an answer is worth.
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
    /// The present.
    pub clock: Clock,
    /// Counts.
    pub metrics: Arc<Metrics>,
}

impl CaptchaWorker {
    async fn verify(&self, solution: &Solution) -> Result<Verdict, Unavailable> {
        let (provider, judged) = self.verifier.verify(solution, self.clock.now()).await;
        let (outcome, verdict) = match judged {
            Ok(Verification::Refused) => ("refused", Ok(Verdict::Refused)),
            Ok(Verification::Good(solved)) => {
                match self
                    .store
                    .spend_once(&solved.spent_key, solved.expires_at, self.clock.now())
                    .await
                {
                    Ok(Spend::First) => ("solved", Ok(Verdict::Solved)),
                    Ok(Spend::Again) => ("refused", Ok(Verdict::Refused)),
                    Err(error) => ("unavailable", Err(error)),
                }
            }
            Err(error @ VerificationError::Misconfigured(_)) => {
                ("misconfigured", Err(unavailable(error)))
            }
            Err(error) => ("unavailable", Err(unavailable(error))),
        };
        let attributes = [KeyValue::new("provider", provider), KeyValue::new("outcome", outcome)];
        self.metrics.captcha_verifications.add(1, &attributes);
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
