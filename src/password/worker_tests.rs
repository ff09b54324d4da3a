//! Tests of `worker.rs`.

use std::time::Duration;

use super::super::Params;
use super::*;
use crate::actor::{Limits, Root};
use crate::telemetry::labels::PoolName;

/// A hash of these parameters takes longer than the first deadline of the test.
const SLOW: Params = Params { memory_kib: 128 * 1024, iterations: 8, parallelism: 1 };

#[tokio::test(flavor = "multi_thread")]
async fn without_a_verdict_the_caller_learns_whether_a_worker_had_begun() {
    let metrics = Arc::new(Metrics::new().unwrap());
    let root = Root::spawn(metrics.clone()).await.unwrap();
    let deadline = Duration::from_secs(10);
    let limits = Limits { workers: 1, queue: 4, deadline, give_up: None };
    let own = metrics.clone();
    let build =
        move || PasswordWorker::new(Setup::plain(SLOW), own.clone(), Arc::new(|_, _, _| ()));
    let pool = Pool::spawn(PoolName::Password, limits, root.cell(), metrics, build).await.unwrap();
    let passwords = Passwords::new(pool);
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
