//! The captcha pool's worker: judges an answer and spends it.

use std::sync::Arc;

use opentelemetry::KeyValue;

use super::Altcha;
use crate::actor::{Reply, WorkerError};
use crate::clock::Clock;
use crate::problem::Unavailable;
use crate::store::{Spend, Store};
use crate::telemetry::Metrics;

/// What the captcha pool does.
#[derive(Debug)]
pub enum Message {
    /// Judges an answer; a good one is good once.
    Check {
        /// What the client sent.
        payload: String,
        /// The verdict.
        reply: Reply<Result<Verdict, Unavailable>>,
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

/// The worker's needs.
#[derive(Clone)]
pub struct Worker {
    /// The built-in provider.
    pub altcha: Arc<Altcha>,
    /// Remembers what was spent.
    pub store: Store,
    /// The present.
    pub clock: Clock,
    /// Counts.
    pub metrics: Arc<Metrics>,
}

impl Worker {
    async fn check(&self, payload: &str) -> Result<Verdict, Unavailable> {
        let now = self.clock.now();
        let Ok(solved) = self.altcha.check(payload, now) else { return Ok(Verdict::Refused) };
        Ok(match self.store.spend_once(&solved.spent_key, solved.expires_at, now).await? {
            Spend::First => Verdict::Solved,
            Spend::Again => Verdict::Refused,
        })
    }
}

impl crate::actor::Worker for Worker {
    type Message = Message;

    async fn handle(&mut self, message: Message) -> Result<(), WorkerError> {
        let Message::Check { payload, reply } = message;
        let verdict = self.check(&payload).await;
        let outcome = match &verdict {
            Ok(Verdict::Solved) => "solved",
            Ok(Verdict::Refused) => "refused",
            Err(_) => "unavailable",
        };
        let attributes = [KeyValue::new("provider", "altcha"), KeyValue::new("outcome", outcome)];
        self.metrics.captcha_verifications.add(1, &attributes);
        let _ = reply.send(verdict);
        Ok(())
    }
}
