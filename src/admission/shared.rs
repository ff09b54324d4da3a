//! [`Budgets`]: the budgets that replicas share, as use cases spend them.

use std::sync::Arc;

use opentelemetry::KeyValue;
use uuid::Uuid;

use super::back_off::BACK_OFF;
use super::budgets::{self, Budget, Keys, Local, Scope, Spent};
use super::client::Limited;
use super::limiter::seconds_up;
use super::worker::AdmissionCommand;
use crate::actor::Pool;
use crate::captcha::Verdict;
use crate::clock::{Clock, OnceAMinute};
use crate::config::RateLimits;
use crate::database::Transaction;
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
    pub(super) full_store_warning: OnceAMinute,
    pub(super) enabled: bool,
    pub(super) pool: Pool<AdmissionCommand>,
    local: Arc<Local>,
    account_writes: u32,
    metrics: Arc<Metrics>,
}

/// Why an invitation is not mailed.
#[derive(Debug)]
pub enum InvitationLimit {
    /// A budget is spent.
    Spent(Limited),
    /// The token store fails.
    Unavailable(Unavailable),
}

impl Budgets {
    /// Budgets under keys of their own.
    pub fn new(
        master: &MasterKey,
        (store, local, clock): (Store, Arc<Local>, Clock),
        settings: RateLimits,
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
            full_store_warning: OnceAMinute::new(),
            enabled: settings.enabled,
            pool,
            local,
            account_writes: settings.account_writes,
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
        let quota = budget.quota_with(self.account_writes);
        self.spend(budget, (&id.to_string(), Scope::All), quota).await
    }

    /// Takes one from the invitations that a user mails in a day, `per_day` of them for all teams, and then one from what the
    /// mailbox may receive of all inviters. A part of the transaction that writes the invitation: an embedded store spends them
    /// where it commits. Redis spends them at once, so that an invitation that fails later has spent them.
    ///
    /// # Errors
    /// [`InvitationLimit`] where one of them is spent, or an embedded store fails: its transaction is broken then.
    pub async fn invitation(
        &self,
        tx: &Transaction,
        (inviter, per_day): (Uuid, u32),
        mailbox: &str,
    ) -> Result<(), InvitationLimit> {
        if !self.enabled {
            return Ok(());
        }
        let inviter = inviter.to_string();
        let quota = budgets::per_day(per_day);
        for (budget, of, quota) in [
            (Budget::Inviters, inviter.as_str(), quota),
            (Budget::Invitations, mailbox, Budget::Invitations.quota()),
        ] {
            let key = self.keys.key(budget.name(), of, Scope::All);
            let found = self.store.spend_budget_in(tx, &key, quota, self.clock.now()).await;
            if self.store.is_embedded()
                && let Err(error) = found
            {
                return Err(InvitationLimit::Unavailable(error));
            }
            self.found(budget, &key, &found).within().map_err(InvitationLimit::Spent)?;
        }
        Ok(())
    }

    async fn spend(&self, budget: Budget, (of, scope): (&str, Scope), quota: Quota) -> Spent {
        if !self.enabled {
            return Spent::Within;
        }
        let key = self.keys.key(budget.name(), of, scope);
        let found = self.store.spend_budget(&key, quota, 1, self.clock.now()).await;
        if found.is_err() && scope == Scope::Captchas {
            // A captcha buys nothing while the store is down.
            return Spent::Exhausted { retry_after_s: 1 };
        }
        self.found(budget, &key, &found)
    }

    /// What the store found; while it is down, what this process' own budget has.
    fn found(
        &self,
        budget: Budget,
        key: &str,
        found: &Result<store::Budget, Unavailable>,
    ) -> Spent {
        let (found, place) = match found {
            Ok(store::Budget::Allowed { .. }) => (Spent::Within, "shared"),
            Ok(store::Budget::Limited { retry_after }) => {
                (Spent::Exhausted { retry_after_s: seconds_up(*retry_after).max(1) }, "shared")
            }
            Err(_) => (self.local.spend(budget, key), "local"),
        };
        let word = if found == Spent::Within { "allowed" } else { "limited" };
        self.decided(budget.name(), word, place);
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
