//! The operations of [`Store`] that limit clients: budgets and the login back-off.

use std::time::Duration;

use super::{
    AccountAttempts, AttemptContext, AttemptKey, AttemptVerdict, BackOff, Backend, BudgetVerdict,
    Charge, Quota, Store, rules,
};
use crate::clock::UnixMillis;
use crate::database::Transaction;
use crate::problem::Unavailable;

impl Store {
    /// Spends from the first budget that has enough units, in one atomic step. A refused call
    /// spends nothing.
    pub async fn spend_budgets(
        &self,
        charges: &[Charge],
        now: UnixMillis,
    ) -> Result<BudgetVerdict, Unavailable> {
        on!(self, it => it.spend_budgets(charges, now).await)
    }

    /// Spends from budgets while a transaction of the database is open. The embedded store spends
    /// when the transaction commits. Redis spends at once, even if the transaction does not commit.
    pub async fn spend_budgets_in(
        &self,
        tx: &Transaction,
        charges: &[Charge],
        now: UnixMillis,
    ) -> Result<BudgetVerdict, Unavailable> {
        match &self.backend {
            Backend::Redis(it) => it.spend_budgets(charges, now).await,
            Backend::Embedded(it) => it.spend_budgets_in(tx, charges, now).await,
        }
    }

    /// How many units can be spent from the budget `key` now. If the budget has no unit, also
    /// returns the time until it has one.
    pub async fn read_budget(
        &self,
        key: &str,
        quota: Quota,
        now: UnixMillis,
    ) -> Result<(u32, Option<Duration>), Unavailable> {
        let gcra = rules::Gcra::new(quota, 1);
        let full_at = on!(self, it => it.read_budget(key).await)?;
        Ok(match gcra.decide(gcra.after(full_at, now), now) {
            BudgetVerdict::Allowed { remaining } => (remaining + 1, None),
            BudgetVerdict::Limited { retry_after } => (0, Some(retry_after)),
        })
    }

    /// Makes a budget full again. Returns whether the store had an entry for the budget.
    pub async fn forget_budget(&self, key: &str) -> Result<bool, Unavailable> {
        on!(self, it => it.forget_budget(key).await)
    }

    /// Admits one more attempt at a password and counts it as a failure, in one atomic step. If N
    /// calls run in parallel, no more attempts are admitted than with N calls one after the other.
    pub async fn admit_attempt(
        &self,
        rules: &BackOff,
        key: AttemptKey<'_>,
        context: AttemptContext,
        now: UnixMillis,
    ) -> Result<AttemptVerdict, Unavailable> {
        on!(self, it => it.admit_attempt(rules, key, context, now).await)
    }

    /// Removes the failures of a client that has sent the right password. Returns the number of
    /// removed failures.
    pub async fn reset_attempts(
        &self,
        rules: &BackOff,
        key: AttemptKey<'_>,
        now: UnixMillis,
    ) -> Result<u32, Unavailable> {
        on!(self, it => it.reset_attempts(rules, key, now).await)
    }

    /// Stops counting an admitted attempt that ended without a result.
    pub async fn cancel_attempt(
        &self,
        rules: &BackOff,
        key: AttemptKey<'_>,
        now: UnixMillis,
    ) -> Result<(), Unavailable> {
        on!(self, it => it.cancel_attempt(rules, key, now).await)
    }

    /// Marks a client that has set a new password as proven, so that the cap does not apply to it.
    pub async fn prove_client(
        &self,
        rules: &BackOff,
        account: &str,
        client: &str,
        now: UnixMillis,
    ) -> Result<(), Unavailable> {
        on!(self, it => it.prove_client(rules, account, client, now).await)
    }

    /// The record of the login back-off of an account.
    pub async fn attempts(
        &self,
        account: &str,
        now: UnixMillis,
    ) -> Result<Option<AccountAttempts>, Unavailable> {
        let stored = on!(self, it => it.attempts(account).await)?;
        Ok(stored.filter(|it| it.expires_at > now))
    }

    /// Deletes the record of the login back-off of an account. Returns whether there was a record.
    pub async fn forget_attempts(&self, account: &str) -> Result<bool, Unavailable> {
        on!(self, it => it.forget_attempts(account).await)
    }
}
