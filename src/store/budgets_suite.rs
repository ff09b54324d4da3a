//! Tests of budgets that every store must pass. This file is compiled twice, in the same way as
//! `suite.rs`.

use std::time::Duration;

use futures_util::future::join_all;

use super::suite::{HOUR_MS, NOW};
use super::{BudgetVerdict, Charge, Quota, Store, UnixMillis, random_id};

/// Runs all tests in order. Each test has its own keys.
pub async fn holds(store: &Store) {
    a_budget_never_allows_more_than_its_quota(store).await;
    a_budget_says_honestly_when_to_come_back(store).await;
    of_several_budgets_the_first_that_holds_enough_is_spent(store).await;
}

/// A budget of five units at once. One unit is regained every 100 ms.
const QUOTA: Quota = Quota { burst: 5, period: Duration::from_millis(100) };

async fn spend(store: &Store, key: &str, cost: u32, now: UnixMillis) -> BudgetVerdict {
    let charge = Charge { key: key.to_owned(), quota: QUOTA, cost };
    store.spend_budgets(&[charge], now).await.unwrap()
}

async fn of_several_budgets_the_first_that_holds_enough_is_spent(store: &Store) {
    let near = random_id();
    let far = format!("{near}:far");
    let charge =
        |key: &String, burst| Charge { key: key.clone(), quota: Quota { burst, ..QUOTA }, cost: 1 };
    let charges = [charge(&near, 2), charge(&far, 1)];
    let spend = async |now| store.spend_budgets(&charges, now).await.unwrap();
    let limited = |ms| BudgetVerdict::Limited { retry_after: Duration::from_millis(ms) };
    assert_eq!(spend(NOW).await, BudgetVerdict::Allowed { remaining: 1 });
    assert_eq!(spend(NOW).await, BudgetVerdict::Allowed { remaining: 0 });
    assert_eq!(spend(NOW).await, BudgetVerdict::Allowed { remaining: 0 }, "the second");
    assert_eq!(spend(NOW + 50).await, limited(50), "until the first of them allows");
    assert_eq!(spend(NOW + 100).await, BudgetVerdict::Allowed { remaining: 0 });
    assert_eq!(spend(NOW + 100).await, BudgetVerdict::Allowed { remaining: 0 });
    assert_eq!(spend(NOW + 100).await, limited(100));
    let parallel = join_all((0..16).map(|_| spend(NOW + 1_000))).await;
    let allowed = parallel.iter().filter(|it| matches!(it, BudgetVerdict::Allowed { .. })).count();
    assert_eq!(allowed, 3);
}

async fn a_budget_never_allows_more_than_its_quota(store: &Store) {
    let key = random_id();
    let spends = join_all((0..16).map(|_| spend(store, &key, 1, NOW))).await;
    let mut remaining = Vec::new();
    for spend in spends {
        if let BudgetVerdict::Allowed { remaining: left } = spend {
            remaining.push(left);
        }
    }
    remaining.sort_unstable();
    assert_eq!(remaining, [0, 1, 2, 3, 4]);
    let later = join_all((0..16).map(|_| spend(store, &key, 1, NOW + 250))).await;
    let allowed = later.iter().filter(|it| matches!(it, BudgetVerdict::Allowed { .. })).count();
    assert_eq!(allowed, 2);
}

async fn a_budget_says_honestly_when_to_come_back(store: &Store) {
    let key = random_id();
    let spend = async |cost, now| spend(store, &key, cost, now).await;
    let limited = |ms| BudgetVerdict::Limited { retry_after: Duration::from_millis(ms) };
    assert_eq!(spend(0, NOW).await, BudgetVerdict::Allowed { remaining: 5 });
    assert_eq!(spend(4, NOW).await, BudgetVerdict::Allowed { remaining: 1 });
    assert_eq!(spend(3, NOW + 50).await, limited(150));
    assert_eq!(spend(3, NOW + 199).await, limited(1));
    assert_eq!(spend(3, NOW + 200).await, BudgetVerdict::Allowed { remaining: 0 });
    assert_eq!(spend(0, NOW + 200).await, BudgetVerdict::Allowed { remaining: 0 });
    assert_eq!(spend(1, NOW - 1_000).await, limited(1_300), "a clock behind waits longer");
    assert_eq!(spend(6, NOW).await, BudgetVerdict::Limited { retry_after: Duration::MAX });
    assert_eq!(spend(5, NOW + HOUR_MS).await, BudgetVerdict::Allowed { remaining: 0 });
}
