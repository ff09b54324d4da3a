//! Budgets in the embedded store.

use super::{Embedded, write};
use crate::clock::UnixMillis;
use crate::database::Transaction;
use crate::problem::Unavailable;
use crate::store::rules::{self, Gcra};
use crate::store::types::{BudgetVerdict, Charge};
use crate::store::{keys, lost};

impl Embedded {
    pub(in crate::store) async fn spend_budgets(
        &self,
        charges: &[Charge],
        now: UnixMillis,
    ) -> Result<BudgetVerdict, Unavailable> {
        let tx = self.db.begin().await.map_err(lost)?;
        let found = self.spend_budgets_in(&tx, charges, now).await?;
        if matches!(found, BudgetVerdict::Allowed { .. }) && charges.iter().any(|it| it.cost > 0) {
            tx.commit().await.map_err(lost)?;
        }
        Ok(found)
    }

    /// Spends from budgets as part of a transaction of this database.
    pub(in crate::store) async fn spend_budgets_in(
        &self,
        tx: &Transaction,
        charges: &[Charge],
        now: UnixMillis,
    ) -> Result<BudgetVerdict, Unavailable> {
        let mut found = Vec::with_capacity(charges.len());
        let mut full_at = Vec::with_capacity(charges.len());
        for charge in charges {
            let (gcra, key) = (Gcra::of(charge), keys::budget(&charge.key));
            self.lock_in(tx, &key).await?;
            let after = gcra.after(self.read(tx, &key).await?, now);
            found.push(gcra.decide(after, now));
            full_at.push((key, after));
        }
        let (spent, verdict) = rules::first_that_allows(&found);
        if let Some(at) = spent.filter(|at| charges[*at].cost > 0) {
            let (key, after) = &full_at[at];
            write(tx, (key, ""), after, *after).await?;
        }
        Ok(verdict)
    }

    pub(in crate::store) async fn read_budget(
        &self,
        key: &str,
    ) -> Result<Option<UnixMillis>, Unavailable> {
        self.read(self.db.reader(), &keys::budget(key)).await
    }

    pub(in crate::store) async fn forget_budget(&self, key: &str) -> Result<bool, Unavailable> {
        let key = keys::budget(key);
        let tx = self.lock(&key).await?;
        let deleted = tx.delete(&key).await?;
        tx.commit().await?;
        Ok(deleted > 0)
    }
}
