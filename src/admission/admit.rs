//! [`Admission`]: all limits of the daemon behind one type. One call admits a request or refuses
//! it.

use std::net::IpAddr;
use std::sync::Arc;

use uuid::Uuid;

use super::back_off::BACK_OFF;
use super::budgets::{self, Budget, BudgetSizes, Keys, Local, Scope};
use super::client::Limited;
use super::device::Devices;
use super::limiter::{Headers, Limiter, seconds_up};
use super::policies::Action;
use super::worker::AdmissionCommand;
use crate::actor::Pool;
use crate::captcha::Verdict;
use crate::clock::{Clock, OnceAMinute};
use crate::config::RateLimits;
use crate::database::Transaction;
use crate::problem::Unavailable;
use crate::secret::MasterKey;
use crate::store::{self, Charge, KeyBudget, Store};
use crate::telemetry::Metrics;
use crate::telemetry::labels::{BudgetPolicy, BudgetScope, Decision, RateDecision};

/// A request, by the limits that apply to it.
#[derive(Clone, Copy, Debug)]
pub enum Ask<'a> {
    /// An action of a client address. The limiter of this process decides.
    Action(Action),
    /// A refresh of the session `sid`. The limiter of this process decides.
    Refresh(&'a str),
    /// A mail to a mailbox. Once the first budget is spent, a request with a solved captcha spends
    /// from a second budget.
    Mail(Budget, &'a str, Option<Verdict>),
    /// A request that spends from a budget of an account, given by the account's id.
    Account(Budget, Uuid),
}

/// The limits of addresses and sessions in this process, and the budgets and back-offs that
/// replicas share through the token store. While the store is down, smaller budgets in this process
/// replace the shared ones.
#[derive(Debug)]
pub struct Admission {
    /// The limits by address, session and device.
    pub limiter: Arc<Limiter>,
    pub devices: Devices,
    pub(super) keys: Keys,
    pub(super) store: Store,
    pub(super) clock: Clock,
    pub(super) new_accounts: KeyBudget,
    pub(super) full_store_warning: OnceAMinute,
    pub(super) enabled: bool,
    pub(super) pool: Pool<AdmissionCommand>,
    pub(super) metrics: Arc<Metrics>,
    local: Arc<Local>,
    sizes: BudgetSizes,
}

/// Why an invitation is not mailed.
#[derive(Debug)]
pub enum InvitationLimit {
    Spent(Limited),
    /// The token store does not respond.
    Unavailable(Unavailable),
}

impl Admission {
    /// Derives the keys of admission from the master keys: the current one, and the previous one if
    /// there is one.
    pub fn new(
        master: (&MasterKey, Option<&MasterKey>),
        (store, clock): (Store, Clock),
        (limiter, local): (Arc<Limiter>, Arc<Local>),
        (settings, sizes): (RateLimits, BudgetSizes),
        metrics: Arc<Metrics>,
        pool: Pool<AdmissionCommand>,
    ) -> Self {
        Self {
            limiter,
            devices: Devices::new(master.0, master.1),
            keys: Keys::new(master.0),
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
            metrics,
            local,
            sizes,
        }
    }

    /// The pool, so that the daemon can drain and measure it.
    pub fn pool(&self) -> &Pool<AdmissionCommand> {
        &self.pool
    }

    /// Removes expired entries from the limits of this daemon and from an embedded store. Does not
    /// wait.
    pub fn sweep(&self) {
        let _ = self.pool.nudge(AdmissionCommand::Sweep);
    }

    /// Admits a request of a client at `ip`, or refuses it and takes nothing. It takes at most one
    /// round trip to the token store. `rate` receives the headers of a limit of this process.
    ///
    /// # Errors
    /// [`Limited`] if a limit refuses.
    pub async fn admit(
        &self,
        ask: Ask<'_>,
        ip: IpAddr,
        rate: &mut Option<Headers>,
    ) -> Result<(), Limited> {
        if !self.enabled {
            return Ok(());
        }
        match ask {
            Ask::Action(action) => self.limiter.check(action, ip).enforce(rate, &self.metrics),
            Ask::Refresh(sid) => self.limiter.check_session(sid).enforce(rate, &self.metrics),
            Ask::Mail(budget, mailbox, captcha) => {
                self.spend(budget, &self.mail_charges(budget, mailbox, captcha, 1)).await
            }
            Ask::Account(budget, id) => {
                self.spend(budget, &[self.charge(budget, &id.to_string(), 1)]).await
            }
        }
    }

    /// Does the same work as [`Ask::Mail`] for an address without an account, and stores nothing. A
    /// client can invent any number of addresses, so storing them would use unbounded memory.
    pub async fn look_at_mailbox(&self, budget: Budget, address: &str, captcha: Option<Verdict>) {
        if self.enabled {
            let charges = self.mail_charges(budget, address, captcha, 0);
            // The result is not used: the call only has to take as long as for an account.
            let _found = self.store.spend_budgets(&charges, self.clock.now()).await;
        }
    }

    /// Takes one from the invitations that a user may mail in a day for all teams, and one from
    /// those that the mailbox may receive from all inviters. It is part of the transaction that
    /// writes the invitation. An embedded store spends both when the transaction commits. Redis
    /// spends them at once, so an invitation that fails later has still spent them.
    ///
    /// The two budgets are on different nodes of a Redis cluster, so no script can spend both. The
    /// mailbox's budget is read first, so that an invitation that it refuses takes nothing from the
    /// inviter.
    ///
    /// # Errors
    /// [`InvitationLimit`] if one of the budgets is spent, or if an embedded store fails. In the
    /// second case the transaction cannot continue.
    pub async fn admit_invitation(
        &self,
        tx: &Transaction,
        inviter: Uuid,
        mailbox: &str,
    ) -> Result<(), InvitationLimit> {
        if !self.enabled {
            return Ok(());
        }
        let received = self.charge(Budget::Invitations, mailbox, 1);
        let now = self.clock.now();
        // This check is only for Redis. An embedded store undoes what it spent when the transaction
        // rolls back.
        if !self.store.is_embedded()
            && let Ok((_, Some(wait))) =
                self.store.read_budget(&received.key, received.quota, now).await
        {
            let limited = Ok(store::BudgetVerdict::Limited { retry_after: wait });
            self.settle(Budget::Invitations, &received.key, &limited)
                .map_err(InvitationLimit::Spent)?;
        }
        let sent = self.charge(Budget::Inviters, &inviter.to_string(), 1);
        for (budget, charge) in [(Budget::Inviters, sent), (Budget::Invitations, received)] {
            let charges = std::slice::from_ref(&charge);
            let found = self.store.spend_budgets_in(tx, charges, now).await;
            if self.store.is_embedded()
                && let Err(error) = found
            {
                return Err(InvitationLimit::Unavailable(error));
            }
            self.settle(budget, &charge.key, &found).map_err(InvitationLimit::Spent)?;
        }
        Ok(())
    }

    fn mail_charges(
        &self,
        budget: Budget,
        mailbox: &str,
        captcha: Option<Verdict>,
        cost: u32,
    ) -> Vec<Charge> {
        let free = self.charge(budget, mailbox, cost);
        let bought = budget.quota_of_captchas().filter(|_| captcha == Some(Verdict::Solved));
        let bought = bought.map(|quota| Charge { key: budgets::bought(&free.key), quota, cost });
        [free].into_iter().chain(bought).collect()
    }

    fn charge(&self, budget: Budget, of: &str, cost: u32) -> Charge {
        let key = self.keys.key(budget.name(), of, Scope::All);
        Charge { key, quota: budget.quota_with(self.sizes), cost }
    }

    async fn spend(&self, budget: Budget, charges: &[Charge]) -> Result<(), Limited> {
        let found = self.store.spend_budgets(charges, self.clock.now()).await;
        self.settle(budget, &charges[0].key, &found)
    }

    /// Counts the store's decision in the metrics. While the store is down, the budget of this
    /// process decides, and a captcha adds nothing.
    fn settle(
        &self,
        budget: Budget,
        key: &str,
        found: &Result<store::BudgetVerdict, Unavailable>,
    ) -> Result<(), Limited> {
        let (decision, scope) = match found {
            Ok(store::BudgetVerdict::Allowed { .. }) => (Ok(()), BudgetScope::Shared),
            Ok(store::BudgetVerdict::Limited { retry_after }) => {
                let retry_after_s = seconds_up(*retry_after).max(1);
                (Err(Limited { retry_after_s }), BudgetScope::Shared)
            }
            Err(_) => (self.local.spend(budget, key), BudgetScope::Local),
        };
        let word = if decision.is_ok() { Decision::Allowed } else { Decision::Limited };
        let policy = BudgetPolicy::declared(budget.name());
        self.metrics.rate_limit_decisions.one(RateDecision::Budget(policy, word, scope));
        decision
    }
}
