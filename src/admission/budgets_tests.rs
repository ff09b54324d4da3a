//! Tests of `budgets.rs`.

use proptest::prelude::*;

use super::*;
use crate::telemetry::labels::BudgetPolicy;
use crate::telemetry::typed::Label as _;

fn keys() -> Keys {
    Keys::new(&MasterKey::new([7; 32]))
}

const SIZES: BudgetSizes = BudgetSizes { account_writes: 120, invitations_per_day: 100 };

fn settings(replicas: u32) -> RateLimits {
    RateLimits { enabled: true, replicas, keys_max: 10, account_writes: 120 }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn a_mailbox_gets_three_mails_an_hour_and_ten_with_a_captcha() {
    for budget in [Budget::Confirmations, Budget::Recoveries] {
        assert_eq!(budget.quota(), Quota { burst: 3, period: Duration::from_mins(20) });
        let bought = budget.quota_of_captchas().unwrap();
        assert_eq!(budget.quota().burst + bought.burst, 10);
    }
    assert_eq!(Budget::NewDevices.quota_of_captchas(), None);
}

#[test]
fn a_mailbox_is_told_of_five_new_devices_a_day() {
    let quota = Quota { burst: 5, period: Duration::from_hours(24) / 5 };
    assert_eq!(Budget::NewDevices.quota(), quota);
}

#[test]
fn the_documentation_of_the_metric_names_every_budget() {
    let told = BudgetPolicy::ATTRIBUTE.values.describe();
    for budget in Budget::ALL {
        assert!(told.contains(&format!("`{}`", budget.name())), "{budget:?}");
    }
}

#[test]
fn an_account_confirms_ten_changes_an_hour() {
    let quota = Quota { burst: 10, period: Duration::from_mins(6) };
    assert_eq!(Budget::PasswordConfirmations.quota(), quota);
}

#[test]
fn an_inviter_mails_so_many_a_day_whatever_the_number() {
    assert_eq!(per_day(100), Budget::Inviters.quota());
    for many in [1, 7, 100, 100_000] {
        let Quota { burst, period } = per_day(many);
        assert!(burst == many && !period.is_zero() && period * burst <= DAY, "{many}");
    }
}

#[test]
fn a_key_shows_no_address_and_differs_by_budget_address_and_scope() {
    let keys = keys();
    let home = Scope::Client(ip("192.0.2.1"));
    let mut all = vec![
        keys.key("password-checks", "ada@a.example", home),
        keys.key("password-checks", "ada@a.example", Scope::Client(ip("192.0.2.2"))),
        keys.key("password-checks", "ada@a.example", Scope::All),
        keys.key("password-checks", "bob@a.example", home),
        keys.key("recoveries", "ada@a.example", home),
        Keys::new(&MasterKey::new([8; 32])).key("password-checks", "ada@a.example", home),
    ];
    assert!(all.iter().all(|key| key.len() == 43 && !key.contains("ada")));
    let count = all.len();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), count);
}

#[test]
fn a_source_is_its_32_or_its_64() {
    let key = |text: &str| keys().key("password-checks", "a@a.example", Scope::Client(ip(text)));
    assert_eq!(key("192.0.2.1"), key("::ffff:192.0.2.1"));
    assert_eq!(key("2001:db8:0:1::1"), key("2001:db8:0:1:ffff::"));
    assert_ne!(key("2001:db8:0:1::1"), key("2001:db8:0:2::1"));
}

#[test]
fn a_local_budget_is_its_share_and_never_none() {
    let whole = [3, 3, 5, 6, 3, 100, 10, 300, 120, 120];
    let shares: [(u32, [usize; Budget::ALL.len()]); 4] = [
        (0, whole),
        (1, whole),
        (2, [1, 1, 2, 3, 1, 50, 5, 150, 60, 60]),
        (50, [1, 1, 1, 1, 1, 2, 1, 6, 2, 2]),
    ];
    for (replicas, shares) in shares {
        let local = Local::new(Clock::manual(0), settings(replicas), SIZES);
        for (budget, share) in Budget::ALL.into_iter().zip(shares) {
            let within = (0..400).filter(|_| local.spend(budget, "a").is_ok()).count();
            assert_eq!(within, share, "{budget:?} of {replicas}");
        }
    }
}

#[test]
fn over_time_all_replicas_together_give_no_more_than_the_shared_budget() {
    for replicas in [1, 2, 3, 10, 50] {
        let clock = Clock::manual(0);
        let daemons: Vec<_> =
            (0..replicas).map(|_| Local::new(clock.clone(), settings(replicas), SIZES)).collect();
        let spent = || {
            let of = |local: &Local| {
                (0..10).filter(|_| local.spend(Budget::Recoveries, "a").is_ok()).count()
            };
            daemons.iter().map(of).sum::<usize>()
        };
        // With full budgets each daemon admits at least one request. After that, all daemons
        // together admit three requests an hour.
        assert_eq!(spent(), usize::try_from((3 / replicas).max(1) * replicas).unwrap());
        let mut later = 0;
        for _ in 0..100 * 60 {
            clock.advance(Duration::from_mins(1));
            later += spent();
        }
        assert!((290..=300).contains(&later), "{later} of {replicas} replicas in 100 hours");
    }
}

#[test]
fn a_local_budget_has_the_size_of_the_settings() {
    let sizes = BudgetSizes { account_writes: 7, invitations_per_day: 5 };
    let local = Local::new(Clock::manual(0), settings(1), sizes);
    for (budget, size) in [(Budget::AccountWrites, 7), (Budget::Inviters, 5)] {
        assert_eq!((0..200).filter(|_| local.spend(budget, "a").is_ok()).count(), size);
    }
}

#[test]
fn any_number_of_replicas_leaves_a_local_budget() {
    let local = Local::new(Clock::manual(0), settings(u32::MAX), SIZES);
    assert_eq!(local.spend(Budget::NewDevices, "a"), Ok(()));
    assert_ne!(local.spend(Budget::NewDevices, "a"), Ok(()));
}

#[test]
fn beyond_the_keys_of_an_outage_newcomers_share_and_memory_does_not_grow() {
    let local = Local::new(Clock::manual(0), settings(1), SIZES);
    let spend = |at: usize| local.spend(Budget::Recoveries, &at.to_string()).is_ok();
    assert!((0..LOCAL_KEYS_MAX).all(spend));
    let within = (0..10_000).filter(|at| spend(LOCAL_KEYS_MAX + at)).count();
    assert!((1..=16 * 3).contains(&within), "{within} of what newcomers share");
    let held: usize = local.limiters.iter().map(RateLimiter::len).sum();
    assert_eq!(held, LOCAL_KEYS_MAX);
    assert!(spend(0), "who was there before has their own");
}

#[test]
fn each_budget_has_the_limiter_of_its_own_size() {
    let local = Local::new(Clock::manual(0), settings(1), SIZES);
    for budget in Budget::ALL {
        let within = (0..400).filter(|_| local.spend(budget, "a").is_ok()).count();
        assert_eq!(within, budget.quota().burst as usize, "{budget:?}");
    }
}

#[test]
fn waiting_as_long_as_a_local_budget_says_succeeds() {
    let clock = Clock::manual(0);
    let local = Local::new(clock.clone(), settings(1), SIZES);
    for _ in 0..3 {
        assert_eq!(local.spend(Budget::Recoveries, "a"), Ok(()));
    }
    let spent = local.spend(Budget::Recoveries, "a");
    assert_eq!(spent, Err(Limited { retry_after_s: 1200 }));
    assert_eq!(local.spend(Budget::Recoveries, "b"), Ok(()));
    clock.advance(Duration::from_mins(20));
    assert_eq!(local.spend(Budget::Recoveries, "a"), Ok(()));
    clock.advance(Duration::from_hours(2));
    local.sweep();
    assert!(local.limiters.iter().all(RateLimiter::is_empty));
}

proptest! {
    #[test]
    fn every_key_is_43_characters(address in "\\PC{0,60}") {
        let key = keys().key("password-checks", &address, Scope::All);
        prop_assert_eq!(key.len(), 43);
    }
}
