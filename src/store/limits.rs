//! The operations of [`Store`] that limit clients: budgets and the login back-off.

use std::time::Duration;

use super::{
    AccountAttempts, AttemptContext, AttemptKey, AttemptVerdict, BackOff, BudgetVerdict, Charge,
    Quota, Store, rules,
};
use crate::clock::UnixMillis;
use crate::database::Transaction;
use crate::problem::Unavailable;

impl Store {
    /// Spends from the first budget that has enough, in one atomic step. A refused call spends
    /// nothing.
    pub async fn spend_budgets(
        &self,
        charges: &[Charge],
        now: UnixMillis,
    ) -> Result<BudgetVerdict, Unavailable> {
        on!(self, it => it.spend_budgets(charges, now).await)
    }

    /// Spends as part of a transaction of the database. With the embedded store, the transaction
    /// must commit to spend. Redis spends at once.
    pub async fn spend_budgets_in(
        &self,
        tx: &Transaction,
        charges: &[Charge],
        now: UnixMillis,
    ) -> Result<BudgetVerdict, Unavailable> {
        match self {
            Self::Redis(it) => it.spend_budgets(charges, now).await,
            Self::Embedded(it) => it.spend_budgets_in(tx, charges, now).await,
        }
    }

    /// How many units can be spent from the budget `key` now. If there are none, also the time
    /// until there is one.
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

    /// Makes a budget full again. Returns whether it had an entry.
    pub async fn forget_budget(&self, key: &str) -> Result<bool, Unavailable> {
        on!(self, it => it.forget_budget(key).await)
    }

    /// Admits one more attempt at a password and counts it as a failure, in one atomic step. N
    /// parallel calls are admitted no more often than N calls in a row.
    pub async fn admit_attempt(
        &self,
        rules: &BackOff,
        key: AttemptKey<'_>,
        context: AttemptContext,
        now: UnixMillis,
    ) -> Result<AttemptVerdict, Unavailable> {
        on!(self, it => it.admit_attempt(rules, key, context, now).await)
    }

    /// Removes the failures of a client after the right password, and returns how many there were.
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

    /// Marks the client as proven after a new password, so that the cap does not apply to it.
    pub async fn prove_client(
        &self,
        rules: &BackOff,
        account: &str,
        client: &str,
        now: UnixMillis,
    ) -> Result<(), Unavailable> {
        on!(self, it => it.prove_client(rules, account, client, now).await)
    }

    /// The login back-off of an account.
    pub async fn attempts(
        &self,
        account: &str,
        now: UnixMillis,
    ) -> Result<Option<AccountAttempts>, Unavailable> {
        let stored = on!(self, it => it.attempts(account).await)?;
        Ok(stored.filter(|it| it.expires_at > now))
    }

    /// Deletes the login back-off of an account. Returns whether there was one.
    pub async fn forget_attempts(&self, account: &str) -> Result<bool, Unavailable> {
        on!(self, it => it.forget_attempts(account).await)
    }
}
