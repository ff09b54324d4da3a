//! The tables of the rounds: one row for each endpoint, and one for each part.

use crate::arguments::Arguments;
use crate::endpoint::Endpoint;
use crate::installation::servers;
use crate::limits::Part;
use crate::load::Outcome;
use crate::process::Cpu;
use crate::report::{Report, latencies, median, number, number_if};
use crate::run::CLIENTS;

/// The windows of one endpoint or of one part, one for each round.
#[derive(Debug)]
pub struct Windows {
    sum: Outcome,
    rates: Vec<f64>,
    /// CPU microseconds of each request: daemon, PostgreSQL, Redis.
    cpu: [Vec<f64>; 3],
    /// CPU microseconds of the parts, measured just before the endpoint.
    limits: Vec<f64>,
}

impl Windows {
    pub fn new() -> Self {
        let cpu = [Vec::new(), Vec::new(), Vec::new()];
        Self { sum: Outcome::new(), rates: Vec::new(), cpu, limits: Vec::new() }
    }

    pub fn add(&mut self, outcome: &Outcome) {
        let Cpu { daemon, postgres, redis } = outcome.cpu;
        for (all, time) in self.cpu.iter_mut().zip([daemon, postgres, redis]) {
            all.push(outcome.each(time));
        }
        self.rates.push(outcome.rate());
        self.sum.add(outcome);
    }

    pub fn add_limit(&mut self, micros: f64) {
        self.limits.push(micros);
    }

    /// The median of the requests in a second.
    pub fn rate(&self) -> f64 {
        median(&self.rates)
    }

    fn each(&self) -> [f64; 3] {
        [0, 1, 2].map(|it: usize| median(&self.cpu[it]))
    }
}

pub fn of_endpoints(report: &mut Report, arguments: &Arguments, endpoints: &[(Endpoint, Windows)]) {
    let Arguments { effort, seed, .. } = arguments;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    report.say(&format!(
        "{cores} cores, {CLIENTS} clients on HTTP/1.1 in a closed loop, medians of {} windows of \
         {:?}, seed {seed}. CPU times are microseconds of each request.",
        effort.rounds, effort.endpoint
    ));
    report.header(&[
        "request",
        "a second",
        "p50 ms",
        "p99 ms",
        "p99.9 ms",
        "CPU daemon",
        "CPU PostgreSQL",
        "CPU Redis",
        "limit",
        "ratio",
    ]);
    let has = servers(arguments);
    for (endpoint, windows) in endpoints {
        let [daemon, postgres, redis] = windows.each();
        let limit = median(&windows.limits);
        let [p50, p99, p999] = latencies(&windows.sum);
        report.row(&[
            endpoint.name().to_owned(),
            number(windows.rate()),
            p50,
            p99,
            p999,
            number(daemon),
            number_if(has.postgres.is_some(), postgres),
            number_if(has.redis.is_some(), redis),
            number(limit),
            format!("{:.0} %", 100.0 * limit / (daemon + postgres + redis)),
        ]);
    }
}

pub fn of_parts(report: &mut Report, arguments: &Arguments, parts: &[(Part, Windows)]) {
    report.header(&[
        "part of a limit",
        "a second",
        "p50 ms",
        "p99 ms",
        "CPU of the caller",
        "CPU PostgreSQL",
        "CPU Redis",
    ]);
    let has = servers(arguments);
    for (part, windows) in parts.iter().filter(|(_, windows)| !windows.rates.is_empty()) {
        let [caller, postgres, redis] = windows.each();
        let [p50, p99, _] = latencies(&windows.sum);
        report.row(&[
            part.name().to_owned(),
            number(windows.rate()),
            p50,
            p99,
            number(caller),
            number_if(has.postgres.is_some(), postgres),
            number_if(has.redis.is_some(), redis),
        ]);
    }
}
