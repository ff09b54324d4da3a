//! Runs the tests of `suite.rs` on SQLite, and property tests of the rules with random sequences of
//! operations.

use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use tempfile::TempDir;

use super::rules::{self, Gcra, Stored};
use super::{
    BudgetVerdict, COLLECT_SLACK_MS, Quota, RecordMac, Refresh, Refreshed, Spend, Store, agreement,
    attempts_suite, budgets_suite, suite,
};
use crate::config;
use crate::database::Db;
use crate::secret::Secret;

async fn sqlite() -> (Store, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (Store::embedded(migrated(dir.path()).await, mac()), dir)
}

fn mac() -> RecordMac {
    RecordMac::new(Secret::new([7; 32]))
}

async fn migrated(dir: &Path) -> Db {
    let url = format!("sqlite://{}/latchkey.db", dir.display());
    let config = config::Database { max_connections: 4, ..config::Database::at(&url) };
    let db = Db::connect(&config).await.unwrap();
    db.migrate().await.unwrap();
    db
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_store_holds_on_sqlite() {
    let (store, _dir) = sqlite().await;
    suite::holds(&store).await;
    attempts_suite::holds(&store).await;
    budgets_suite::holds(&store).await;
    assert_eq!(store.eviction_policy().await.unwrap(), None);
}

#[tokio::test]
async fn a_sweep_deletes_what_expired_an_hour_ago_in_batches() {
    let (store, _dir) = sqlite().await;
    for n in 0..1_003 {
        let first = store.spend_once(&n.to_string(), suite::NOW + 1, suite::NOW).await.unwrap();
        assert_eq!(first, Spend::First);
    }
    store.spend_once("later", suite::NOW + 2, suite::NOW).await.unwrap();
    assert_eq!(store.sweep(suite::NOW + COLLECT_SLACK_MS).await.unwrap(), 0);
    assert_eq!(store.sweep(suite::NOW + COLLECT_SLACK_MS + 1).await.unwrap(), 1_003);
    assert_eq!(store.sweep(suite::NOW + COLLECT_SLACK_MS + 2).await.unwrap(), 1);
}

#[tokio::test]
async fn the_same_history_gets_the_same_answers_from_two_stores() {
    let ((one, _one_dir), (other, _other_dir)) = (sqlite().await, sqlite().await);
    let seeds: Vec<u64> = (1..200_u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
    agreement::agree(&one, &other, &seeds).await;
}

#[tokio::test]
async fn a_database_without_the_table_is_an_outage() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/empty.db", dir.path().display());
    let config = config::Database { max_connections: 1, ..config::Database::at(&url) };
    let store = Store::embedded(Db::connect(&config).await.unwrap(), mac());
    let error = store.spend_once("key", suite::NOW + 1, suite::NOW).await.unwrap_err();
    assert_eq!(error.dependency, "token store");
}

#[tokio::test]
async fn a_url_that_is_none_of_redis_is_refused_and_a_dead_server_is_not() {
    for url in ["http://127.0.0.1", "redis+cluster://", "nonsense"] {
        assert!(Store::connect_redis(&Secret::new(url.to_owned()), None, mac()).is_err(), "{url}");
    }
    for url in ["redis://127.0.0.1:1", "redis+cluster://u:p@127.0.0.1:1,127.0.0.1:2"] {
        let store = Store::connect_redis(&Secret::new(url.to_owned()), None, mac()).unwrap();
        assert_eq!(store.ping().await.unwrap_err().dependency, "token store", "{url}");
        assert!(format!("{store:?}").contains("Redis(Redis)"), "{store:?}");
    }
}

proptest! {
    /// This holds for refreshes with any tokens at any times: the tokens of a session form one
    /// chain, a tombstone is never replaced, and a session is never valid after its end.
    #[test]
    fn a_chain_of_tokens_is_linear(
        steps in prop::collection::vec(
            (0..4_i64, 0..6_u64, 0..4_usize, any::<bool>(), any::<bool>()),
            1..60,
        ),
    ) {
        let session = suite::new_session();
        let mut chain = vec![session.jti.clone()];
        let base = session.generation;
        let mut stored = Stored { session, reused: false };
        let mut now = suite::NOW;
        for (step, (advance, back, fork, is_elsewhere, is_used)) in steps.into_iter().enumerate() {
            stored.session.used |= is_used;
            now += [0, 10_000, 40_000, 1_000_000][usize::try_from(advance).unwrap()];
            let generation = (stored.session.generation + 2).saturating_sub(back);
            let honest = usize::try_from(generation.wrapping_sub(base)).ok().and_then(|at| chain.get(at));
            let jti = if fork == 0 { "forged".to_owned() } else { honest.cloned().unwrap_or_default() };
            let next_jti = format!("jti-{}", step + 1);
            let ask = Refresh {
                user_id: stored.session.user_id,
                sid: "sid",
                jti: &jti,
                generation,
                next_jti: &next_jti,
                idle_ttl: Duration::from_hours(1),
                grace: Duration::from_secs(30),
                ip: "",
                client: ["192.0.2.7", "192.0.2.8"][usize::from(is_elsewhere)],
                user_agent: "",
                seen: None,
            };
            let before = stored.clone();
            let (next, result) = rules::refresh(Some(before.clone()), &ask, now);
            stored = next.unwrap_or(stored);
            match result {
                Refreshed::Rotated(session) => {
                    prop_assert!(!before.reused && before.session.expires_at > now);
                    prop_assert_eq!(&jti, &before.session.jti);
                    prop_assert_eq!(session.generation, before.session.generation + 1);
                    prop_assert_eq!(session.previous_jti.as_ref(), Some(&before.session.jti));
                    prop_assert!(session.expires_at <= session.absolute_end);
                    chain.push(session.jti.clone());
                    prop_assert_eq!(&stored, &Stored { session, reused: false });
                }
                Refreshed::Current(session) => {
                    prop_assert!(!before.reused);
                    prop_assert_eq!(ask.client, before.session.client.as_str());
                    prop_assert_eq!(Some(&jti), before.session.previous_jti.as_ref());
                    prop_assert!(now - before.session.rotated_at <= 30_000);
                    prop_assert_eq!(&session, &before.session);
                    prop_assert_eq!(&stored, &before);
                }
                Refreshed::Recovered(session) => {
                    prop_assert!(!before.reused);
                    prop_assert_eq!(Some(&jti), before.session.previous_jti.as_ref());
                    let in_grace = now - before.session.rotated_at <= 30_000;
                    prop_assert!(in_grace || !before.session.used);
                    prop_assert!(session.recovered && !session.fresh);
                    prop_assert!((1..=super::RECOVERIES_MAX).contains(&session.recoveries));
                    prop_assert_eq!(&session.jti, &before.session.jti);
                    prop_assert_eq!(&stored, &Stored { session, reused: false });
                }
                Refreshed::Reused(session) => {
                    prop_assert!(before.reused || generation < before.session.generation);
                    prop_assert_eq!(&session, &before.session);
                    prop_assert_eq!(&stored, &Stored { session, reused: true });
                }
                Refreshed::Ahead => {
                    prop_assert!(!before.reused && generation >= before.session.generation);
                    prop_assert_ne!(&jti, &before.session.jti);
                    prop_assert_eq!(&stored, &before);
                }
                Refreshed::Gone => {
                    prop_assert!(before.session.expires_at <= now);
                    prop_assert_eq!(&stored, &before);
                }
            }
        }
    }

    /// In any period, callers can spend at most the burst and the amount that is regained in this
    /// period. If a caller waits for `retry_after`, its next call is allowed.
    #[test]
    fn a_budget_holds_in_every_window(
        burst in 1..8_u32,
        period_ms in 1..500_u64,
        steps in prop::collection::vec((0..700_i64, 0..9_u32), 1..60),
    ) {
        let quota = Quota { burst, period: Duration::from_millis(period_ms) };
        let (mut now, mut full_at, mut spent) = (suite::NOW, None, Vec::new());
        for (advance, cost) in steps {
            now += advance;
            let gcra = Gcra::new(quota, cost);
            let after = gcra.after(full_at, now);
            match gcra.decide(after, now) {
                BudgetVerdict::Allowed { remaining } => {
                    prop_assert!(remaining <= burst);
                    full_at = Some(after);
                    spent.push((now, i64::from(cost)));
                }
                BudgetVerdict::Limited { retry_after } if retry_after == Duration::MAX => {
                    prop_assert!(cost > burst);
                }
                BudgetVerdict::Limited { retry_after } => {
                    let wait = i64::try_from(retry_after.as_millis()).unwrap();
                    let allowed = |at| matches!(gcra.decide(gcra.after(full_at, at), at), BudgetVerdict::Allowed { .. });
                    prop_assert!(allowed(now + wait) && !allowed(now + wait - 1));
                }
            }
        }
        let period = i64::try_from(period_ms).unwrap();
        for (at, (start, _)) in spent.iter().enumerate() {
            let mut sum = 0;
            for (end, cost) in &spent[at..] {
                sum += cost;
                prop_assert!(sum <= i64::from(burst) + (end - start) / period);
            }
        }
    }

    /// No value of a quota or a time causes an arithmetic overflow.
    #[test]
    fn any_quota_can_be_counted(burst: u32, cost: u32, nanos: u64, now: i64, full_at: Option<i64>) {
        let gcra = Gcra::new(Quota { burst, period: Duration::from_nanos(nanos) }, cost);
        gcra.decide(gcra.after(full_at, now), now);
    }
}
