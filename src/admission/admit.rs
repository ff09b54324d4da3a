//! [`Admission`]: every limit of the daemon. One call admits what is asked for, or refuses it.

use std::net::IpAddr;
use std::sync::Arc;

use uuid::Uuid;

use super::back_off::BACK_OFF;
use super::budgets::{self, Budget, Keys, Local, Scope};
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
use crate::store::{self, Charge, ChargeRule, KeyBudget, Store};
use crate::telemetry::Metrics;
use crate::telemetry::labels::{BudgetPolicy, BudgetScope, Decision, RateDecision};

/// What is asked for, by the limits that hold for it.
#[derive(Clone, Copy, Debug)]
pub enum Ask<'a> {
    /// An action of a client address: decided in this process.
    Action(Action),
    /// A refresh of the session `sid`: decided in this process.
    Refresh(&'a str),
    /// A mail to a mailbox. A solved captcha takes it from a second budget once the first is spent.
    Mail(Budget, &'a str, Option<Verdict>),
    /// Something that an account may do so often, by its id.
    Account(Budget, Uuid),
}

/// Limits of addresses and sessions in this process, and the budgets and back-offs that replicas share through the store. While
/// the store is down, smaller budgets of this process stand in.
#[derive(Debug)]
pub struct Admission {
    /// The limits by address, session and device.
    pub limiter: Arc<Limiter>,
    /// Known devices.
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
    account_writes: u32,
}

/// Why an invitation is not mailed.
#[derive(Debug)]
pub enum InvitationLimit {
    /// A budget is spent.
    Spent(Limited),
    /// The token store fails.
    Unavailable(Unavailable),
}

impl Admission {
    /// Admission under keys of its own.
    pub fn new(
        master: (&MasterKey, Option<&MasterKey>),
        (store, clock): (Store, Clock),
        (limiter, local): (Arc<Limiter>, Arc<Local>),
        settings: RateLimits,
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
            account_writes: settings.account_writes,
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

    /// Admits what a client at `ip` asks for, or refuses it and takes nothing. At most one round trip to the token store;
    /// `rate` gets the headers of a limit of this process.
    ///
    /// # Errors
    /// [`Limited`] where a limit refuses.
    pub async fn admit(
        &self,
        ask: Ask<'_>,
        ip: IpAddr,
        rate: &mut Option<Headers>,
    ) -> Result<(), Limited> {
        match ask {
            Ask::Action(action) => self.limiter.check(action, ip).enforce(rate, &self.metrics),
            Ask::Refresh(sid) => self.limiter.check_session(sid).enforce(rate, &self.metrics),
            Ask::Mail(budget, mailbox, captcha) => {
                self.spend(budget, self.mail_charges(budget, mailbox, captcha, 1)).await
            }
            Ask::Account(budget, id) => {
                let quota = budget.quota_with(self.account_writes);
                let key = self.keys.key(budget.name(), &id.to_string(), Scope::All);
                self.spend(budget, vec![Charge { key, quota, cost: 1 }]).await
            }
        }
    }

    /// Does the work of [`Ask::Mail`] for an address without an account, and stores nothing: a client can invent any number
    /// of addresses.
    pub async fn look_at_mailbox(&self, budget: Budget, address: &str, captcha: Option<Verdict>) {
        if self.enabled {
            let charges = self.mail_charges(budget, address, captcha, 0);
            // Only the time counts.
            let _found =
                self.store.spend_budgets(ChargeRule::First, &charges, self.clock.now()).await;
        }
    }

    /// Takes one from the invitations that a user mails in a day, `per_day` of them for all teams, and then one from what the
    /// mailbox may receive of all inviters. A part of the transaction that writes the invitation: an embedded store spends them
    /// where it commits. Redis spends them at once, each by a script of its own, since the two lie on different nodes of a
    /// cluster; an invitation that fails later has spent them.
    ///
    /// # Errors
    /// [`InvitationLimit`] where one of them is spent, or an embedded store fails: its transaction is broken then.
    pub async fn admit_invitation(
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
            let charge = [Charge { key, quota, cost: 1 }];
            let found = self.store.spend_budgets_in(tx, &charge, self.clock.now()).await;
            if self.store.is_embedded()
                && let Err(error) = found
            {
                return Err(InvitationLimit::Unavailable(error));
            }
            self.found(budget, &charge[0].key, &found).map_err(InvitationLimit::Spent)?;
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
        let key = self.keys.key(budget.name(), mailbox, Scope::All);
        let bought = budget.quota_of_captchas().filter(|_| captcha == Some(Verdict::Solved));
        let bought = bought.map(|quota| Charge { key: budgets::bought(&key), quota, cost });
        [Charge { key, quota: budget.quota(), cost }].into_iter().chain(bought).collect()
    }

    async fn spend(&self, budget: Budget, charges: Vec<Charge>) -> Result<(), Limited> {
        if !self.enabled {
            return Ok(());
        }
        let now = self.clock.now();
        let found = self.store.spend_budgets(ChargeRule::First, &charges, now).await;
        self.found(budget, &charges[0].key, &found)
    }

    /// What the store found; while it is down, what this process' own budget has. A captcha buys nothing there.
    fn found(
        &self,
        budget: Budget,
        key: &str,
        found: &Result<store::Budget, Unavailable>,
    ) -> Result<(), Limited> {
        let (decision, scope) = match found {
            Ok(store::Budget::Allowed { .. }) => (Ok(()), BudgetScope::Shared),
            Ok(store::Budget::Limited { retry_after }) => {
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
