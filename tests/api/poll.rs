//! Waiting for what happens elsewhere: the only place of the tests that pauses.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How often a probe is asked.
const INTERVAL: Duration = Duration::from_millis(20);

/// Asks `probe` until it answers; fails the test with `what` when it does not within the time.
pub async fn eventually<T>(
    what: &str,
    within: Duration,
    mut probe: impl AsyncFnMut() -> Option<T>,
) -> T {
    let end = Instant::now() + within;
    loop {
        if let Some(answer) = probe().await {
            return answer;
        }
        assert!(Instant::now() < end, "waited {within:?} in vain for {what}");
        sleep(INTERVAL).await;
    }
}
