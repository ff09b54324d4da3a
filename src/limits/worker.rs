//! The limits pool's worker: spends shared budgets, sweeps memory. And [`Budgets`]: how an endpoint asks it to.

use std::net::IpAddr;
use std::sync::Arc;

use opentelemetry::KeyValue;
use tokio::time::Instant;

use super::budgets::{Budget, Keys, Local, Scope, Spent};
use super::limiter::{Limiter, seconds_up};
use crate::actor::{Pool, Reply, WorkerError};
use crate::clock::Clock;
use crate::problem::Unavailable;
use crate::secret::MasterKey;
use crate::store::{self, Quota, Store};
use crate::telemetry::Metrics;

/// What the limits pool does.
#[derive(Debug)]
pub enum Message {
    /// Takes one from a shared budget.
    Spend {
        /// Which, by its key.
        spend: Spend,
        /// What was found; [`Unavailable`] with the store down.
        reply: Reply<Result<Spent, Unavailable>>,
    },
    /// Forgets what is full again, and what has expired in an embedded store.
    Sweep,
}

/// One unit of a budget.
#[derive(Clone, Debug)]
pub struct Spend {
    budget: Budget,
    key: String,
    quota: Quota,
}

/// The worker's needs.
#[derive(Clone, Debug)]
pub struct Worker {
    /// Holds the budgets.
    pub store: Store,
    /// The local limits, swept here.
    pub limiter: Arc<Limiter>,
    /// The budgets of an outage, swept here.
    pub local: Arc<Local>,
    /// The present.
    pub clock: Clock,
}

impl crate::actor::Worker for Worker {
    type Message = Message;

    async fn handle(&mut self, message: Message) -> Result<(), WorkerError> {
        match message {
            Message::Spend { spend, reply } => {
                let now = self.clock.now();
                let found = self.store.spend_budget(&spend.key, spend.quota, 1, now).await;
                let _ = reply.send(found.map(|found| match found {
                    store::Budget::Allowed { .. } => Spent::Within,
                    store::Budget::Limited { retry_after } => {
                        Spent::Exhausted { retry_after_s: seconds_up(retry_after).max(1) }
                    }
                }));
            }
            Message::Sweep => {
                self.limiter.sweep();
                self.local.sweep();
                if let Err(error) = self.store.sweep(self.clock.now()).await {
                    tracing::warn!(error = %error, "token store not swept");
                }
            }
        }
        Ok(())
    }
}

/// Budgets as endpoints spend them: shared through the store, or smaller ones of our own while it is down.
#[derive(Debug)]
pub struct Budgets {
    keys: Keys,
    local: Arc<Local>,
    enabled: bool,
    metrics: Arc<Metrics>,
}

impl Budgets {
    /// Budgets under keys of their own; `enabled` is `rate_limit.enabled`.
    pub fn new(
        master: &MasterKey,
        local: Arc<Local>,
        enabled: bool,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { keys: Keys::new(master), local, enabled, metrics }
    }

    /// Takes one check of an account's password, for this source. Before the check: parallel guesses count.
    pub async fn password_check(
        &self,
        pool: &Pool<Message>,
        address: &str,
        source: IpAddr,
        deadline: Instant,
    ) -> Spent {
        let budget = Budget::PasswordChecks;
        let key = self.keys.key(budget, address, Scope::Source(source));
        self.spend(pool, Spend { budget, key, quota: budget.quota() }, deadline).await
    }

    /// Takes one mail to a mailbox; with a captcha solved also out of what captchas buy, once the rest is spent.
    pub async fn mailbox(
        &self,
        pool: &Pool<Message>,
        budget: Budget,
        address: &str,
        captcha: Option<crate::captcha::Verdict>,
        deadline: Instant,
    ) -> Spent {
        let key = self.keys.key(budget, address, Scope::All);
        let spent = self.spend(pool, Spend { budget, key, quota: budget.quota() }, deadline).await;
        let bought =
            budget.quota_of_captchas().filter(|_| captcha == Some(crate::captcha::Verdict::Solved));
        match (spent, bought) {
            (Spent::Exhausted { .. }, Some(quota)) => {
                let key = self.keys.key(budget, address, Scope::Captchas);
                self.spend(pool, Spend { budget, key, quota }, deadline).await
            }
            (spent, _) => spent,
        }
    }

    async fn spend(&self, pool: &Pool<Message>, spend: Spend, deadline: Instant) -> Spent {
        if !self.enabled {
            return Spent::Within;
        }
        let (budget, key) = (spend.budget, spend.key.clone());
        let asked = pool.ask(deadline, |reply| Message::Spend { spend, reply }).await;
        let (found, scope) = match asked.and_then(|found| found) {
            Ok(found) => (found, "shared"),
            // With the store down the budgets are smaller, never none.
            Err(_) => (self.local.spend(budget, &key), "local"),
        };
        let decision = if found == Spent::Within { "allowed" } else { "limited" };
        let attributes = [
            KeyValue::new("policy", budget.name()),
            KeyValue::new("decision", decision),
            KeyValue::new("scope", scope),
        ];
        self.metrics.rate_limit_decisions.add(1, &attributes);
        found
    }
}
