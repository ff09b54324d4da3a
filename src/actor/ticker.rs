//! [`every`]: what a pool is told at its own pace.

use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// Calls `tick` every `period`, the first time after one period, until `stop` trips.
///
/// Ticks that were missed are not made up for: a sweep that is late is one sweep.
pub fn every(period: Duration, stop: CancellationToken, mut tick: impl FnMut() + Send + 'static) {
    let mut interval = tokio::time::interval_at(tokio::time::Instant::now() + period, period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let ticking = async move {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = interval.tick() => tick(),
            }
        }
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "actor/ may spawn: the task ends with its token"
    )]
    tokio::spawn(ticking);
}
