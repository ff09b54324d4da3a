//! The limits pool's worker: spends shared budgets, sweeps memory. And [`Budgets`]: how an endpoint asks it to.

use std::sync::Arc;

use opentelemetry::KeyValue;
use tokio::time::Instant;
use uuid::Uuid;

use super::back_off::BACK_OFF;
use super::budgets::{self, Budget, Keys, Local, Scope, Spent};
use super::limiter::{Limiter, seconds_up};
use crate::actor::{Pool, Reply, WorkerError};
use crate::clock::{Clock, UnixMillis};
use crate::problem::Unavailable;
use crate::secret::MasterKey;
use crate::store::{self, Admission, Captcha, Guess, Quota, Store};
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
    /// Counts a try of a password, or forgets some.
    Count {
        /// What.
        count: Count,
        /// What was found: [`Admission::Admitted`] where something was forgotten; [`Unavailable`] with the store down.
        reply: Reply<Result<Admission, Unavailable>>,
    },
    /// Takes a try back that was counted and never judged. Nobody waits: whoever tried has their answer.
    Cancel {
        /// Of the account.
        account: String,
        /// Of the source.
        source: String,
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

/// A step of the [ladder](super::back_off), by the keys of who is meant.
#[derive(Clone, Debug)]
pub enum Count {
    /// Admits a try and counts it.
    Admit {
        /// Of the account.
        account: String,
        /// Of the source.
        source: String,
        /// What is known of a captcha.
        captcha: Captcha,
    },
    /// The password was right.
    Reset {
        /// Of the account.
        account: String,
        /// Of the source, where the account counted it.
        source: Option<String>,
    },
    /// There is another password.
    ResetAll {
        /// Of the account.
        account: String,
    },
}

impl Count {
    async fn run(&self, store: &Store, now: UnixMillis) -> Result<Admission, Unavailable> {
        match self {
            Self::Admit { account, source, captcha } => {
                let guess = Guess { account, source, captcha: *captcha };
                store.admit(&BACK_OFF, guess, now).await
            }
            Self::Reset { account, source } => {
                store.reset_attempts(&BACK_OFF, account, source.as_deref(), now).await?;
                Ok(Admission::Admitted)
            }
            Self::ResetAll { account } => {
                store.reset_all_attempts(&BACK_OFF, account, now).await?;
                Ok(Admission::Admitted)
            }
        }
    }
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
            Message::Count { count, reply } => {
                let _ = reply.send(count.run(&self.store, self.clock.now()).await);
            }
            Message::Cancel { account, source } => {
                let now = self.clock.now();
                if let Err(error) =
                    self.store.cancel_attempt(&BACK_OFF, &account, &source, now).await
                {
                    tracing::warn!(error = %error, "a try that nobody judged counts as a failure");
                }
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
    pub(super) keys: Keys,
    local: Arc<Local>,
    pub(super) enabled: bool,
    metrics: Arc<Metrics>,
    pub(super) pool: Pool<Message>,
}

impl Budgets {
    /// Budgets under keys of their own; `enabled` is `rate_limit.enabled`.
    pub fn new(
        master: &MasterKey,
        local: Arc<Local>,
        enabled: bool,
        metrics: Arc<Metrics>,
        pool: Pool<Message>,
    ) -> Self {
        Self { keys: Keys::new(master), local, enabled, metrics, pool }
    }

    /// The pool, to be drained and measured.
    pub fn pool(&self) -> &Pool<Message> {
        &self.pool
    }

    /// Sweeps the limits of this daemon and an embedded store. Does not wait.
    pub fn sweep(&self) {
        let _ = self.pool.nudge(Message::Sweep);
    }

    /// Takes one mail to a mailbox; with a captcha solved also out of what captchas buy, once the rest is spent.
    pub async fn mailbox(
        &self,
        budget: Budget,
        address: &str,
        captcha: Option<crate::captcha::Verdict>,
        deadline: Instant,
    ) -> Spent {
        let key = self.keys.key(budget.name(), address, Scope::All);
        let one = Spend { budget, key: key.clone(), quota: budget.quota() };
        let Ok(found) = self.spend(one, deadline).await else {
            // With the store down the budgets are smaller, never none; a captcha buys nothing then.
            return self.spend_here(budget, &key);
        };
        let bought =
            budget.quota_of_captchas().filter(|_| captcha == Some(crate::captcha::Verdict::Solved));
        match (found, bought) {
            (Spent::Exhausted { .. }, Some(quota)) => {
                let key = self.keys.key(budget.name(), address, Scope::Captchas);
                self.spend(Spend { budget, key, quota }, deadline).await.unwrap_or(found)
            }
            (found, _) => found,
        }
    }

    /// Takes one from what an account has, by its id, wherever it moves.
    pub async fn account(&self, budget: Budget, id: Uuid, deadline: Instant) -> Spent {
        self.mailbox(budget, &id.to_string(), None, deadline).await
    }

    /// Takes one from the invitations that a person mails in a day, `per_day` of them.
    pub async fn inviter(&self, person: Uuid, per_day: u32, deadline: Instant) -> Spent {
        let budget = Budget::Inviters;
        let key = self.keys.key(budget.name(), &person.to_string(), Scope::All);
        let quota = budgets::per_day(per_day);
        let spend = Spend { budget, key: key.clone(), quota };
        self.spend(spend, deadline).await.unwrap_or_else(|_| self.spend_here(budget, &key))
    }

    /// Takes one from a budget that the store has.
    async fn spend(&self, spend: Spend, deadline: Instant) -> Result<Spent, Unavailable> {
        if !self.enabled {
            return Ok(Spent::Within);
        }
        let budget = spend.budget;
        let found = self.pool.ask(deadline, |reply| Message::Spend { spend, reply }).await??;
        self.decided(budget.name(), decision(found), "shared");
        Ok(found)
    }

    fn spend_here(&self, budget: Budget, key: &str) -> Spent {
        let found = self.local.spend(budget, key);
        self.decided(budget.name(), decision(found), "local");
        found
    }

    pub(super) fn decided(
        &self,
        policy: &'static str,
        decision: &'static str,
        scope: &'static str,
    ) {
        let attributes = [
            KeyValue::new("policy", policy),
            KeyValue::new("decision", decision),
            KeyValue::new("scope", scope),
        ];
        self.metrics.rate_limit_decisions.add(1, &attributes);
    }
}

/// A budget's finding, as metrics have it.
fn decision(found: Spent) -> &'static str {
    if found == Spent::Within { "allowed" } else { "limited" }
}
