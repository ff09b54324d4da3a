//! Budgets in Redis.

use super::Redis;
use crate::clock::UnixMillis;
use crate::problem::Unavailable;
use crate::store::rules::{self, Gcra};
use crate::store::types::{Budget, Charge, ChargeRule};
use crate::store::{COLLECT_SLACK_MS, keys, lost};

impl Redis {
    pub(in crate::store) async fn spend_budgets(
        &self,
        rule: ChargeRule,
        charges: &[Charge],
        now: UnixMillis,
    ) -> Result<Budget, Unavailable> {
        let costs: Vec<Gcra> = charges.iter().map(Gcra::of).collect();
        let mut call = self.scripts.spend_budgets.prepare_invoke();
        for charge in charges {
            call.key(keys::budget(&charge.key));
        }
        let rule_name = match rule {
            ChargeRule::All => "all",
            ChargeRule::First => "first",
        };
        call.arg(now).arg(COLLECT_SLACK_MS).arg(rule_name);
        for gcra in &costs {
            call.arg(gcra.cost).arg(gcra.capacity);
        }
        let full_at: Vec<String> = self.link.invoke(&call).await.map_err(lost)?;
        if full_at.len() != costs.len() {
            return Err(lost("a budget was not judged"));
        }
        let mut found = Vec::with_capacity(costs.len());
        for (gcra, after) in costs.iter().zip(full_at) {
            found.push(gcra.decide(after.parse().map_err(lost)?, now));
        }
        Ok(rules::verdict(rule, &found))
    }

    pub(in crate::store) async fn read_budget(
        &self,
        key: &str,
    ) -> Result<Option<UnixMillis>, Unavailable> {
        let mut get = redis::cmd("GET");
        get.arg(keys::budget(key));
        self.link.query(&get).await.map_err(lost)
    }

    pub(in crate::store) async fn forget_budget(&self, key: &str) -> Result<bool, Unavailable> {
        let mut delete = redis::cmd("DEL");
        delete.arg(keys::budget(key));
        self.link.query(&delete).await.map_err(lost)
    }
}
