//! The comparison of two builds of the daemon on the same servers, in turns: old, new, old, new.

use crate::Result;
use crate::arguments::Arguments;
use crate::installation::{Installation, closed};
use crate::load::Outcome;
use crate::report::{Report, median, number};
use crate::run::shuffled;

const CLIENTS: usize = 16;
/// In each round, each build is measured so often.
const TURNS: usize = 2;

/// The windows of one endpoint on one build.
#[derive(Default)]
struct Windows {
    rates: Vec<f64>,
    cpu: Vec<f64>,
    p99: Vec<f64>,
}

impl Windows {
    fn add(&mut self, outcome: &Outcome) {
        self.rates.push(outcome.rate());
        self.cpu.push(outcome.each(outcome.cpu.total()));
        let p99 = u32::try_from(outcome.latencies.value_at_quantile(0.99)).unwrap_or(u32::MAX);
        self.p99.push(f64::from(p99) / 1e3);
    }
}

pub async fn run(arguments: &Arguments) -> Result<Vec<String>> {
    let old = arguments.compare.as_deref().ok_or("there is no build to compare with")?;
    let builds = [
        Installation::start(old, 0, arguments).await?,
        Installation::start(&arguments.daemon, 1, arguments).await?,
    ];
    let effort = arguments.effort;
    let mut all: Vec<_> = arguments
        .endpoints
        .iter()
        .map(|endpoint| (*endpoint, [Windows::default(), Windows::default()]))
        .collect();
    let mut failures = Vec::new();
    for endpoint in &arguments.endpoints {
        for build in &builds {
            build.load(*endpoint, closed(CLIENTS, effort.part)).await?;
        }
    }
    for round in 0..effort.rounds {
        for index in shuffled(all.len(), arguments.seed, round) {
            let (endpoint, windows) = &mut all[index];
            for _ in 0..TURNS {
                for (build, windows) in builds.iter().zip(windows.iter_mut()) {
                    let outcome = build.load(*endpoint, closed(CLIENTS, effort.endpoint)).await?;
                    failures.extend(outcome.failures.iter().cloned());
                    windows.add(&outcome);
                }
            }
        }
    }
    let mut report = Report::default();
    report.say(&format!(
        "{CLIENTS} clients in a closed loop, medians of {} windows of {:?} in turns, seed {}. CPU \
         is the sum of daemon, PostgreSQL and Redis in microseconds of each request.",
        effort.rounds * TURNS,
        effort.endpoint,
        arguments.seed
    ));
    report.header(&[
        "request",
        "old a second",
        "new a second",
        "ratio",
        "old CPU",
        "new CPU",
        "ratio",
        "old p99 ms",
        "new p99 ms",
    ]);
    for (endpoint, [old, new]) in &all {
        let rates = [median(&old.rates), median(&new.rates)];
        let cpu = [median(&old.cpu), median(&new.cpu)];
        report.row(&[
            endpoint.name().to_owned(),
            number(rates[0]),
            number(rates[1]),
            format!("{:.2}", rates[1] / rates[0]),
            number(cpu[0]),
            number(cpu[1]),
            format!("{:.2}", cpu[1] / cpu[0]),
            number(median(&old.p99)),
            number(median(&new.p99)),
        ]);
    }
    report.write(arguments.out.as_deref())?;
    Ok(failures)
}
