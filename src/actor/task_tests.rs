//! Tests of `task.rs`.

use std::sync::atomic::{AtomicU32, Ordering};

use tokio::time::{advance, sleep_until};

use super::*;
use crate::telemetry::Metrics;
use crate::telemetry::labels::TaskName;

const NAME: TaskName = TaskName::KeyRotation;
const PERIOD: Duration = Duration::from_mins(1);

struct Fixture {
    root: Root,
    stop: CancellationToken,
    metrics: Arc<Metrics>,
    /// The number of ticks that have begun.
    ticks: Arc<AtomicU32>,
}

impl Fixture {
    async fn new() -> Self {
        let metrics = Arc::new(Metrics::new().unwrap());
        let root = Root::spawn(metrics.clone()).await.unwrap();
        Self { root, stop: CancellationToken::new(), metrics, ticks: Arc::default() }
    }

    /// Starts a ticker. `panics` receives the number of a tick, beginning with 1, and returns
    /// whether this tick panics.
    fn start(&self, panics: impl Fn(u32) -> bool + Send + 'static) {
        let ticks = self.ticks.clone();
        self.root.task(NAME, &self.stop).every(PERIOD, move || {
            let tick = ticks.fetch_add(1, Ordering::SeqCst) + 1;
            assert!(!panics(tick), "tick {tick} panics");
            std::future::ready(())
        });
    }

    fn ticks(&self) -> u32 {
        self.ticks.load(Ordering::SeqCst)
    }

    fn metric(&self, series: &str) -> f64 {
        let text = self.metrics.render();
        let line = text.lines().find_map(|line| line.strip_prefix(series)).expect(series);
        line.trim().parse().unwrap()
    }

    fn counted(&self) -> f64 {
        self.metric("latchkey_pool_worker_crashes_total{pool=\"key_rotation\"}")
    }

    fn overdue(&self) -> f64 {
        self.metric("latchkey_task_overdue_seconds{task=\"key_rotation\"}")
    }
}

/// Lets `time` pass on the paused clock, so that the timers that are due fire.
async fn pass(time: Duration) {
    sleep_until(Instant::now() + time).await;
}

fn is(measured: f64, expected: f64) -> bool {
    (measured - expected).abs() < 0.1
}

#[tokio::test(start_paused = true)]
async fn a_tick_that_panics_is_counted_and_repeated_after_a_pause() {
    let it = Fixture::new().await;
    it.start(|tick| tick == 2);
    pass(PERIOD * 2 + Duration::from_millis(1)).await;
    assert_eq!((it.ticks(), it.root.task_crashes()), (2, 1));
    assert!(is(it.counted(), 1.0));
    pass(PAUSE_FIRST).await;
    assert_eq!(it.ticks(), 3, "the tick is repeated at once, not after a period");
    pass(PERIOD * 3).await;
    assert_eq!((it.ticks(), it.root.task_crashes()), (6, 1));
    assert!(!it.root.failed().is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn a_task_that_keeps_crashing_trips_the_root_after_the_pauses() {
    let it = Fixture::new().await;
    it.start(|_| true);
    it.root.failed().cancelled().await;
    assert_eq!(it.ticks(), CRASHES_MAX);
    let pauses: Duration = (1..CRASHES_MAX).map(pause).sum();
    assert_eq!(pauses, Duration::from_millis(15_500));
    assert!(is(it.overdue(), pauses.as_secs_f64()), "{}", it.overdue());
    pass(PERIOD * 10).await;
    assert_eq!(it.ticks(), CRASHES_MAX, "it is not restarted any more");
}

#[tokio::test(start_paused = true)]
async fn a_completed_tick_resets_the_count_of_crashes() {
    let it = Fixture::new().await;
    it.start(|tick| tick % CRASHES_MAX != 0);
    pass(PERIOD * 20).await;
    assert!(it.root.task_crashes() > u64::from(CRASHES_MAX) * 2);
    assert!(!it.root.failed().is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn no_task_is_restarted_while_the_daemon_drains() {
    let it = Fixture::new().await;
    it.start(|_| true);
    pass(PERIOD + Duration::from_millis(1)).await;
    assert_eq!(it.ticks(), 1);
    it.root.drain();
    pass(PERIOD * 10).await;
    assert_eq!(it.ticks(), 1);
    assert!(!it.root.failed().is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn a_task_ends_with_its_token_also_within_a_pause() {
    let it = Fixture::new().await;
    let running = it.root.task(NAME, &it.stop).spawn(async |mut task: Task| {
        task.step(async { panic!("the test asks for it") }).await.unwrap_or(());
    });
    tokio::task::yield_now().await;
    assert_eq!(it.root.task_crashes(), 1);
    let began = Instant::now();
    it.stop.cancel();
    running.await.unwrap();
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_ticker_that_is_stopped_after_a_crash_begins_no_other_tick() {
    // The test repeats this, because a random choice between two ready branches could be right once
    // by chance.
    for _ in 0..32 {
        let it = Fixture::new().await;
        it.start(|_| true);
        pass(PERIOD + Duration::from_millis(1)).await;
        it.stop.cancel();
        pass(PERIOD).await;
        assert_eq!(it.ticks(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_tick_that_hangs_is_overdue() {
    let it = Fixture::new().await;
    it.root.task(NAME, &it.stop).every(PERIOD, std::future::pending);
    pass(PERIOD / 2).await;
    assert!(is(it.overdue(), 0.0), "not due yet: {}", it.overdue());
    pass(PERIOD * 2).await;
    assert!(is(it.overdue(), 90.0), "{}", it.overdue());
}

#[tokio::test(start_paused = true)]
async fn a_tick_that_runs_on_time_is_not_overdue() {
    let it = Fixture::new().await;
    it.start(|_| false);
    pass(PERIOD * 5 / 2).await;
    assert_eq!(it.ticks(), 2);
    assert!(is(it.overdue(), 0.0), "{}", it.overdue());
}

#[tokio::test(start_paused = true)]
async fn missed_ticks_are_not_made_up_for() {
    let it = Fixture::new().await;
    it.start(|_| false);
    tokio::task::yield_now().await;
    advance(PERIOD * 10).await;
    pass(PERIOD / 2).await;
    assert_eq!(it.ticks(), 1);
    pass(PERIOD).await;
    assert_eq!(it.ticks(), 2);
}

#[tokio::test]
async fn a_panic_between_two_steps_trips_the_root() {
    let it = Fixture::new().await;
    let task = it.root.task(NAME, &it.stop);
    let died = task.spawn(async |_task: Task| panic!("the test asks for it")).await;
    assert!(died.unwrap_err().is_panic());
    assert!(it.root.failed().is_cancelled());
}

#[test]
fn pauses_double_up_to_a_maximum() {
    let pauses: Vec<u128> = (1..=8).map(|crashes| pause(crashes).as_millis()).collect();
    assert_eq!(pauses, [500, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000, 8_000]);
    assert_eq!(pause(u32::MAX), PAUSE_MAX);
}

#[test]
fn the_text_of_a_panic_is_read() {
    assert_eq!(text(&"a word"), "a word");
    assert_eq!(text(&"a sentence".to_owned()), "a sentence");
    assert_eq!(text(&7), "a panic value that is not text");
}
