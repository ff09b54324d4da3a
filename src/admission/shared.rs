//! [`Budgets`]: the budgets that replicas share, as use cases spend them.

use std::sync::Arc;

use opentelemetry::KeyValue;
use uuid::Uuid;

use super::back_off::BACK_OFF;
use super::budgets::{self, Budget, Keys, Local, Scope, Spent};
use super::limiter::seconds_up;
use super::worker::AdmissionCommand;
use crate::actor::Pool;
use crate::captcha::Verdict;
use crate::clock::Clock;
use crate::problem::Unavailable;
use crate::secret::MasterKey;
use crate::store::{self, KeyBudget, Quota, Store};
use crate::telemetry::Metrics;

/// Budgets and login back-offs: shared through the store. While it is down, smaller budgets of this process stand in.
#[derive(Debug)]
pub struct Budgets {
    pub(super) keys: Keys,
    pub(super) store: Store,
    pub(super) clock: Clock,
    pub(super) new_accounts: KeyBudget,
    pub(super) enabled: bool,
    pub(super) pool: Pool<AdmissionCommand>,
    local: Arc<Local>,
    account_writes: Quota,
    metrics: Arc<Metrics>,
}

/// The settings of budgets: `rate_limit.*`.
#[derive(Clone, Copy, Debug)]
pub struct BudgetSettings {
    pub enabled: bool,
    pub replicas: u32,
    pub keys_max: u32,
    pub account_writes: u32,
}

impl Budgets {
    /// Budgets under keys of their own.
    pub fn new(
        master: &MasterKey,
        (store, local, clock): (Store, Arc<Local>, Clock),
        settings: BudgetSettings,
        metrics: Arc<Metrics>,
        pool: Pool<AdmissionCommand>,
    ) -> Self {
        Self {
            keys: Keys::new(master),
            store,
            clock,
            new_accounts: KeyBudget::new(
                settings.keys_max,
                settings.replicas,
                BACK_OFF.failure_ttl,
            ),
            enabled: settings.enabled,
            pool,
            local,
            account_writes: budgets::per_hour(settings.account_writes),
            metrics,
        }
    }

    /// The pool, to be drained and measured.
    pub fn pool(&self) -> &Pool<AdmissionCommand> {
        &self.pool
    }

    /// Sweeps the limits of this daemon and an embedded store. Does not wait.
    pub fn sweep(&self) {
        let _ = self.pool.nudge(AdmissionCommand::Sweep);
    }

    /// Takes one mail to a mailbox. A solved captcha takes it from a second budget once the first is spent.
    pub async fn mailbox(&self, budget: Budget, address: &str, captcha: Option<Verdict>) -> Spent {
        let found = self.spend(budget, (address, Scope::All), budget.quota()).await;
        match budget.quota_of_captchas() {
            Some(quota) if captcha == Some(Verdict::Solved) && found != Spent::Within => {
                self.spend(budget, (address, Scope::Captchas), quota).await
            }
            _ => found,
        }
    }

    /// Does the work of [`Budgets::mailbox`] for an address without an account, and stores nothing: a client can invent
    /// any number of addresses.
    pub async fn read_mailbox(&self, budget: Budget, address: &str) {
        if self.enabled {
            let key = self.keys.key(budget.name(), address, Scope::All);
            let now = self.clock.now();
            // Only the time counts.
            let _found = self.store.spend_budget(&key, budget.quota(), 0, now).await;
        }
    }

    /// Takes one from a budget of an account, by its id, whatever its address.
    pub async fn account(&self, budget: Budget, id: Uuid) -> Spent {
        let quota = match budget {
            Budget::AccountWrites => self.account_writes,
            _ => budget.quota(),
        };
        self.spend(budget, (&id.to_string(), Scope::All), quota).await
    }

    /// Takes one from the invitations that a user mails in a day, `per_day` of them.
    pub async fn inviter(&self, user_id: Uuid, per_day: u32) -> Spent {
        let quota = budgets::per_day(per_day);
        self.spend(Budget::Inviters, (&user_id.to_string(), Scope::All), quota).await
    }

    async fn spend(&self, budget: Budget, (of, scope): (&str, Scope), quota: Quota) -> Spent {
        if !self.enabled {
            return Spent::Within;
        }
        let key = self.keys.key(budget.name(), of, scope);
        let (found, place) = match self.spend_shared(&key, quota).await {
            Ok(found) => (found, "shared"),
            // A captcha buys nothing while the store is down.
            Err(_) if scope == Scope::Captchas => (Spent::Exhausted { retry_after_s: 1 }, "local"),
            Err(_) => (self.local.spend(budget, &key), "local"),
        };
        let word = if found == Spent::Within { "allowed" } else { "limited" };
        self.decided(budget.name(), word, place);
        found
    }

    async fn spend_shared(&self, key: &str, quota: Quota) -> Result<Spent, Unavailable> {
        let found = self.store.spend_budget(key, quota, 1, self.clock.now()).await?;
        Ok(match found {
            store::Budget::Allowed { .. } => Spent::Within,
            store::Budget::Limited { retry_after } => {
                Spent::Exhausted { retry_after_s: seconds_up(retry_after).max(1) }
            }
        })
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
