//! What a request costs. The figures are upper bounds of counts, and no test measures a time
//! (`docs/performance.md`).
//!
//! Each request is sent several times, and the cheapest one counts, because the daemon does other
//! work in the meantime. For example it probes its stores.

mod allocations;
mod stores;

/// How often each request is sent.
const TIMES: usize = 10;

/// Compares measured figures with their bounds. The message has all figures.
#[track_caller]
fn within<T: PartialOrd + std::fmt::Debug>(figures: &[(&str, T, T)]) {
    let lines: Vec<String> = figures
        .iter()
        .map(|(name, cost, bound)| format!("{name}: {cost:?}, and the bound is {bound:?}"))
        .collect();
    assert!(figures.iter().all(|(_, cost, bound)| cost <= bound), "{lines:#?}");
}
