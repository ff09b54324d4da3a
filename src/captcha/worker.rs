//! The captcha pool's worker: judges an answer and spends it.

use std::net::IpAddr;
use std::sync::Arc;

use opentelemetry::KeyValue;

use super::Judge;
use super::judge::Judged;
use super::vendor::Doubt;
use crate::actor::{Reply, WorkerError};
use crate::clock::Clock;
use crate::config::CaptchaPoint;
use crate::problem::Unavailable;
use crate::store::{Spend, Store};
use crate::telemetry::Metrics;

/// What a client sent, and where.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The captcha's value.
    pub payload: String,
    /// What it is asked for: vendors that know actions tie a token to one.
    pub point: CaptchaPoint,
    /// Who sent it; vendors are told.
    pub client: IpAddr,
}

/// What the captcha pool does.
#[derive(Debug)]
pub enum Message {
    /// Judges an answer; a good one is good once.
    Check {
        /// What the client sent.
        answer: Answer,
        /// The verdict.
        reply: Reply<Result<Verdict, Unavailable>>,
    },
    /// Finds out whether the vendor is in doubt, asking it where that is not known.
    Probe {
        /// How it stands; [`Unavailable`] when it failed and is not given up yet.
        reply: Reply<Result<VendorState, Unavailable>>,
    },
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
pub struct Worker {
    /// The provider.
    pub judge: Arc<Judge>,
    /// Remembers what was spent.
    pub store: Store,
    /// The present.
    pub clock: Clock,
    /// Counts.
    pub metrics: Arc<Metrics>,
}

impl Worker {
    async fn check(&self, answer: &Answer) -> Result<Verdict, Unavailable> {
        let (provider, judged) = self.judge.judge(answer, self.clock.now()).await;
        let (outcome, verdict) = match judged {
            Ok(Judged::Refused) => ("refused", Ok(Verdict::Refused)),
            Ok(Judged::Good(solved)) => {
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
            Err(doubt @ Doubt::Misconfigured(_)) => ("misconfigured", Err(unavailable(doubt))),
            Err(doubt) => ("unavailable", Err(unavailable(doubt))),
        };
        let attributes = [KeyValue::new("provider", provider), KeyValue::new("outcome", outcome)];
        self.metrics.captcha_verifications.add(1, &attributes);
        verdict
    }

    async fn probe(&self) -> Result<VendorState, Unavailable> {
        let Some(vendor) = self.judge.vendor() else { return Ok(VendorState::Good) };
        let is_in_doubt = vendor.probe().await.map_err(unavailable)?;
        Ok(if is_in_doubt { VendorState::InDoubt } else { VendorState::Good })
    }
}

fn unavailable(doubt: Doubt) -> Unavailable {
    Unavailable::because("captcha", doubt)
}

impl crate::actor::Worker for Worker {
    type Message = Message;

    async fn handle(&mut self, message: Message) -> Result<(), WorkerError> {
        match message {
            Message::Check { answer, reply } if !reply.is_closed() => {
                let _ = reply.send(self.check(&answer).await);
            }
            Message::Probe { reply } if !reply.is_closed() => {
                let _ = reply.send(self.probe().await);
            }
            // The client is gone: nobody's token is spent for nobody.
            Message::Check { .. } | Message::Probe { .. } => {}
        }
        Ok(())
    }
}
