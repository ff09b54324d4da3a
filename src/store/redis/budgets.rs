//! Budgets in Redis.

use super::Redis;
use super::repair::Keys;
use crate::clock::UnixMillis;
use crate::problem::Unavailable;
use crate::store::rules::{self, Gcra};
use crate::store::types::{BudgetVerdict, Charge};
use crate::store::{COLLECT_SLACK_MS, keys, lost};

impl Redis {
    pub(in crate::store) async fn spend_budgets(
        &self,
        charges: &[Charge],
        now: UnixMillis,
    ) -> Result<BudgetVerdict, Unavailable> {
        debug_assert!(
            charges.windows(2).all(|pair| keys::tag(&pair[0].key) == keys::tag(&pair[1].key)),
            "one script reaches one node of a cluster"
        );
        let costs: Vec<Gcra> = charges.iter().map(Gcra::of).collect();
        let mut call = self.scripts.spend_budgets.prepare_invoke();
        for charge in charges {
            call.key(keys::budget(&charge.key));
        }
        call.arg(now).arg(COLLECT_SLACK_MS);
        for gcra in &costs {
            call.arg(gcra.cost).arg(gcra.capacity);
        }
        let all = || Keys::plain(charges.iter().map(|it| ("GET", keys::budget(&it.key))));
        let full_at: Vec<UnixMillis> = self.invoke(&call, all).await.map_err(lost)?;
        if full_at.len() != costs.len() {
            return Err(lost("the script returned a wrong number of budgets"));
        }
        let decided = costs.iter().zip(full_at).map(|(gcra, after)| gcra.decide(after, now));
        Ok(rules::first_that_allows(&decided.collect::<Vec<_>>()).1)
    }

    pub(in crate::store) async fn read_budget(
        &self,
        key: &str,
    ) -> Result<Option<UnixMillis>, Unavailable> {
        let key = keys::budget(key);
        let mut get = redis::cmd("GET");
        get.arg(&key);
        self.query(&get, || Keys::plain([("GET", key.clone())])).await.map_err(lost)
    }

    pub(in crate::store) async fn forget_budget(&self, key: &str) -> Result<bool, Unavailable> {
        let mut delete = redis::cmd("DEL");
        delete.arg(keys::budget(key));
        self.link.query(&delete).await.map_err(lost)
    }
}
