//! Functions that the benchmarks share: they measure two functions in alternating rounds, compute
//! medians and print a table.

use std::fmt;
use std::time::{Duration, Instant};

/// How many rounds are measured, and how long each round lasts.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// The number of rounds. The median of the rounds is the result.
    pub rounds: usize,
    /// The minimum duration of a round.
    pub round: Duration,
}

impl Effort {
    /// The effort for figures that are published.
    pub const FULL: Self = Self { rounds: 9, round: Duration::from_millis(100) };
    /// The effort for `--quick`. The figures are less precise.
    pub const QUICK: Self = Self { rounds: 3, round: Duration::from_millis(10) };
    /// A round of HTTP requests lasts this many times longer than another round, because the 99th
    /// percentile needs many requests.
    const REQUESTS: u32 = 20;

    /// The duration of a round of HTTP requests.
    pub fn round_of_requests(self) -> Duration {
        self.round * Self::REQUESTS
    }
}

impl fmt::Display for Effort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "medians of {} rounds of {:?} or more", self.rounds, self.round)
    }
}

/// A table that compares parts of latchkey with their lower bounds.
#[derive(Debug)]
pub struct Table {
    effort: Effort,
}

impl Table {
    /// Prints the header of a table. [`Table::row`] and [`measured`] print lines below it.
    pub fn new(title: &str, effort: Effort) -> Self {
        println!("\n{title:<44} {:>10}   {:<40} {:>10} {:>7}", "ours", "limit", "", "ratio");
        Self { effort }
    }

    /// Measures latchkey's part and its lower bound in alternating rounds, and prints a line of the
    /// table.
    pub fn row(
        &self,
        name: &str,
        mut ours: impl FnMut(),
        limit_name: &str,
        mut limit: impl FnMut(),
    ) {
        let ours_count = calls_per_round(self.effort.round, &mut ours);
        let limit_count = calls_per_round(self.effort.round, &mut limit);
        let mut times = (Vec::new(), Vec::new());
        for _ in 0..self.effort.rounds {
            times.0.push(each(limit_count, &mut limit));
            times.1.push(each(ours_count, &mut ours));
        }
        line(name, median(&mut times.1), limit_name, median(&mut times.0));
    }
}

/// Prints a line of the table with times that the caller has measured, in nanoseconds.
pub fn measured(name: &str, ours: &mut [f64], limit_name: &str, limit: &mut [f64]) {
    line(name, median(ours), limit_name, median(limit));
}

fn line(name: &str, ours: f64, limit_name: &str, limit: f64) {
    println!(
        "{name:<44} {:>10}   {limit_name:<40} {:>10} {:>6.2}x",
        nanos(ours),
        nanos(limit),
        ours / limit
    );
}

/// Returns how many calls fit into a round. It makes calls to find this out, so it also warms up
/// the caches.
fn calls_per_round(round: Duration, call: &mut impl FnMut()) -> u32 {
    let mut count = 1_u32;
    loop {
        let started = Instant::now();
        for _ in 0..count {
            call();
        }
        if started.elapsed() >= round || count >= 1 << 28 {
            return count;
        }
        count *= 2;
    }
}

/// Makes `count` calls, and returns the average time of a call in nanoseconds.
fn each(count: u32, call: &mut impl FnMut()) -> f64 {
    let started = Instant::now();
    for _ in 0..count {
        call();
    }
    as_nanos(started.elapsed()) / f64::from(count)
}

pub fn as_nanos(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e9
}

pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Formats a time in nanoseconds with a unit that makes it easy to read.
pub fn nanos(value: f64) -> String {
    match value {
        v if v < 1e3 => format!("{v:.1} ns"),
        v if v < 1e6 => format!("{:.2} µs", v / 1e3),
        v if v < 1e9 => format!("{:.2} ms", v / 1e6),
        v => format!("{:.2} s", v / 1e9),
    }
}
