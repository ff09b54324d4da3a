//! Tests of `worker.rs`.

use std::time::Duration;

use super::super::Params;
use super::*;
use crate::actor::{Limits, Root};
use crate::telemetry::labels::PoolName;

/// A hash of these parameters takes longer than the first deadline of the test.
const SLOW: Params = Params { memory_kib: 128 * 1024, iterations: 8, parallelism: 1 };

async fn passwords(params: Params) -> (Passwords, Root, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::new().unwrap());
    let root = Root::spawn(metrics.clone()).await.unwrap();
    let deadline = Duration::from_secs(10);
    let limits = Limits { workers: 1, queue: 4, deadline, give_up: None };
    let own = metrics.clone();
    let faults = Arc::new(HashFaults::new(Clock::manual(0), metrics.clone()));
    let build = move || {
        let replace_hash: ReplaceHash = Arc::new(|_, _, _| ());
        PasswordWorker::new(Setup::plain(params), faults.clone(), own.clone(), replace_hash)
    };
    let (name, of_pool) = (PoolName::Password, metrics.clone());
    let pool = Pool::spawn(name, limits, root.cell(), of_pool, build).await.unwrap();
    (Passwords::new(pool), root, metrics)
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_verdict_the_caller_learns_whether_a_worker_had_begun() {
    let (passwords, root, _) = passwords(SLOW).await;
    let verify = async |key: u8, within| {
        let password = Secret::new("not this one".to_owned());
        passwords.verify(key, Deadline::now() + within, password, None).await.unwrap_err()
    };
    let first = verify(1, Duration::from_millis(500)).await;
    assert!(first.has_begun, "{:?}", first.error);
    let second = verify(2, Duration::from_millis(20)).await;
    assert!(!second.has_begun, "the only worker still verifies the first password");
    root.stop();
}

#[tokio::test]
async fn a_stored_hash_that_cannot_be_verified_is_counted_by_its_reason() {
    let params = Params { memory_kib: 8, iterations: 1, parallelism: 1 };
    let (passwords, root, metrics) = passwords(params).await;
    let good = Hasher::new(Setup::plain(params)).unwrap().decoy().to_owned();
    for (stored, reason) in [
        ("broken".to_owned(), "unreadable"),
        (good.replace("m=8", "m=4000000"), "too_costly"),
        (good.replace("p=1", "p=1,keyid=Nw"), "pepper_missing"),
    ] {
        let password = Secret::new("not this one".to_owned());
        let deadline = Deadline::now() + Duration::from_secs(10);
        let verdict = passwords.verify(1, deadline, password, Some(Secret::new(stored))).await;
        assert_eq!(verdict.unwrap(), Verdict::Mismatch);
        let text = metrics.render();
        let mut lines = text.lines().filter(|it| it.starts_with("latchkey_password_unverifiable_"));
        let reason = format!("reason=\"{reason}\"");
        assert!(lines.any(|it| it.contains(&reason) && it.ends_with(" 1")), "{reason}: {text}");
    }
    root.stop();
}
