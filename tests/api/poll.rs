//! Waiting for a condition. This is the only file of the tests that is allowed to sleep.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// The pause between two calls of a probe.
const INTERVAL: Duration = Duration::from_millis(20);

/// Calls `probe` until it returns a value. Fails the test with the text `what` if that takes longer
/// than `within`.
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
