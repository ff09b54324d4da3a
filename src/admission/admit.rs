//! [`Admission`]: one type that applies all limits of the daemon. A request needs one call, which
//! admits the request or refuses it.

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

/// A request for admission. Each variant names the kind of limit that applies to the request.
#[derive(Clone, Copy, Debug)]
pub enum Ask<'a> {
    /// An action of a client, limited by the client's IP address. The limiter of this process
    /// decides.
    Action(Action),
    /// A refresh of the session whose `sid` is given. The limiter of this process decides.
    Refresh(&'a str),
    /// A request that mails the given email address. When the budget of this email address is
    /// empty, a request with a solved captcha spends from an additional budget.
    Mail(Budget, &'a str, Option<Verdict>),
    /// A request that spends from a budget of an account. The `Uuid` is the account's id.
    Account(Budget, Uuid),
}

/// All limits. This process holds the limits of client IP addresses and sessions. All replicas
/// share the budgets and the back-offs through the token store. While the token store is down,
/// smaller budgets in the memory of this process replace the shared budgets.
#[derive(Debug)]
pub struct Admission {
    /// The limits by client IP address, session and known device.
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
    /// Derives the keys of admission from the master keys. `master` is the current master key and,
    /// if there is one, the previous master key.
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

    /// The pool of admission workers. The daemon drains and measures it.
    pub fn pool(&self) -> &Pool<AdmissionCommand> {
        &self.pool
    }

    /// Removes expired entries from the limits of this daemon, and from the token store if it is
    /// embedded. The work runs in the background, and this call does not wait for it.
    pub fn sweep(&self) {
        let _ = self.pool.nudge(AdmissionCommand::Sweep);
    }

    /// Admits a request of a client at `ip`, or refuses it. A refused request spends nothing. The
    /// call needs at most one round trip to the token store. If a limit of this process decided,
    /// its headers are written to `rate`.
    ///
    /// # Errors
    /// [`Limited`] if a limit refuses the request.
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

    /// Does the same work as [`Ask::Mail`], but stores nothing. It is for email addresses that have
    /// no account. A client can invent any number of them, so storing them would use unbounded
    /// memory.
    pub async fn look_at_mailbox(&self, budget: Budget, address: &str, captcha: Option<Verdict>) {
        if self.enabled {
            let charges = self.mail_charges(budget, address, captcha, 0);
            // The result is not used. The call is made only so that the response takes as long as
            // for an email address with an account.
            let _found = self.store.spend_budgets(&charges, self.clock.now()).await;
        }
    }

    /// Spends one invitation from two budgets: the invitations that the inviter may mail in a day
    /// for all teams, and the invitations that the recipient's address may receive from all
    /// inviters. The call is part of the transaction that writes the invitation. An embedded store
    /// spends from both budgets when the transaction commits. Redis spends from them at once. So
    /// with Redis, an invitation whose transaction fails has still spent from both budgets.
    ///
    /// In a Redis cluster the two budgets are perhaps on different nodes, so one script cannot
    /// spend from both. Therefore the budget of the recipient's address is read first. If that
    /// budget is empty, nothing is taken from the inviter's budget.
    ///
    /// # Errors
    /// [`InvitationLimit`] if one of the two budgets is empty, or if an embedded store fails. If
    /// the store failed, the transaction cannot continue.
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
        // Only Redis needs this check. If the transaction rolls back, an embedded store also undoes
        // what this call spent.
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

    /// Turns the token store's decision into a result, and counts the decision in the metrics.
    /// While the store is down, the budget in the memory of this process decides, and a solved
    /// captcha adds nothing to that budget.
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
