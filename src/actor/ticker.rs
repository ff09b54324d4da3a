//! [`every`] and [`soon_and_every`]: what happens at its own pace.

use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// Runs `tick` every `period`, the first time after one period, until `stop` trips.
///
/// A tick waits for the one before, and ticks that were missed are not made up for: a sweep that is late is one sweep.
pub fn every<F>(period: Duration, stop: CancellationToken, tick: impl FnMut() -> F + Send + 'static)
where
    F: Future<Output = ()> + Send,
{
    tick_from(tokio::time::Instant::now() + period, period, stop, tick);
}

/// The same, the first time at once.
pub fn soon_and_every<F>(
    period: Duration,
    stop: CancellationToken,
    tick: impl FnMut() -> F + Send + 'static,
) where
    F: Future<Output = ()> + Send,
{
    tick_from(tokio::time::Instant::now(), period, stop, tick);
}

fn tick_from<F>(
    first: tokio::time::Instant,
    period: Duration,
    stop: CancellationToken,
    mut tick: impl FnMut() -> F + Send + 'static,
) where
    F: Future<Output = ()> + Send,
{
    let mut interval = tokio::time::interval_at(first, period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let ticking = async move {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = interval.tick() => tick().await,
            }
        }
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "actor/ may spawn: the task ends with its token"
    )]
    tokio::spawn(ticking);
}
