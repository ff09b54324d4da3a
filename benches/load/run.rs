//! The usual run: in each round, for each endpoint its parts and then the endpoint itself. Then the
//! main endpoints with other numbers of clients, on HTTP/2 and at fixed rates.

use crate::Result;
use crate::arguments::Arguments;
use crate::client::Protocol;
use crate::endpoint::Endpoint;
use crate::installation::{Installation, closed, servers};
use crate::limits::{Limits, Part};
use crate::load::{Outcome, Shape};
use crate::process::Cpu;
use crate::report::{Report, latencies, latency, median, number, number_if};

/// The number of clients in the main table.
const CLIENTS: usize = 16;
/// The other numbers of clients.
const OTHER_CLIENTS: [usize; 3] = [1, 64, 256];
/// The fixed rates, as parts of the rate of the closed loop.
const RATES: [f64; 4] = [0.5, 0.9, 2.0, 10.0];
/// The number of clients that send requests at a fixed rate.
const RATE_CLIENTS: usize = 256;

/// The windows of one endpoint or of one part, one for each round.
#[derive(Debug)]
struct Windows {
    sum: Outcome,
    rates: Vec<f64>,
    /// CPU microseconds of each request: daemon, PostgreSQL, Redis.
    cpu: [Vec<f64>; 3],
    /// CPU microseconds of the parts, measured just before the endpoint.
    limits: Vec<f64>,
}

impl Windows {
    fn new() -> Self {
        let cpu = [Vec::new(), Vec::new(), Vec::new()];
        Self { sum: Outcome::new(), rates: Vec::new(), cpu, limits: Vec::new() }
    }

    fn add(&mut self, outcome: &Outcome) {
        let Cpu { daemon, postgres, redis } = outcome.cpu;
        for (all, time) in self.cpu.iter_mut().zip([daemon, postgres, redis]) {
            all.push(outcome.each(time));
        }
        self.rates.push(outcome.rate());
        self.sum.add(outcome);
    }

    fn each(&self) -> [f64; 3] {
        [0, 1, 2].map(|it: usize| median(&self.cpu[it]))
    }
}

pub async fn run(arguments: &Arguments) -> Result<Vec<String>> {
    let installation = Installation::start(&arguments.daemon, 0, arguments).await?;
    let limits =
        Limits::start(installation.stored().await?, servers(arguments), arguments.seed).await?;
    let mut run =
        Run { arguments, installation, limits, report: Report::default(), failures: Vec::new() };
    let result = run.all().await;
    run.report.write(arguments.out.as_deref())?;
    run.installation.daemon.stop().await?;
    result.map(|()| run.failures)
}

struct Run<'a> {
    arguments: &'a Arguments,
    installation: Installation,
    limits: Limits,
    report: Report,
    failures: Vec<String>,
}

impl Run<'_> {
    async fn all(&mut self) -> Result<()> {
        let effort = self.arguments.effort;
        let (idle, ready) = (self.installation.idle_mib, self.installation.daemon.ready_after);
        for endpoint in self.arguments.endpoints.clone() {
            // The first requests fill caches and prepare statements.
            self.load(endpoint, closed(CLIENTS, effort.part)).await?;
        }
        let (endpoints, parts) = self.rounds().await?;
        self.table_of_endpoints(&endpoints);
        self.table_of_parts(&parts);
        if !effort.open.is_zero() {
            self.other_clients().await?;
            self.fixed_rates(&endpoints).await?;
        }
        let loaded = self.installation.loaded_mib();
        self.report.say(&format!(
            "Resident memory of the daemon: {idle:.0} MiB after the start, {loaded:.0} MiB after \
             this load. Ready after {} ms, with the migration of an empty database. The log has \
             {} MB.",
            ready.as_millis(),
            number(f64::from(u32::try_from(self.installation.daemon.log_bytes() / 1_000_000)?)),
        ));
        Ok(())
    }

    async fn load(&mut self, endpoint: Endpoint, shape: Shape) -> Result<Outcome> {
        let outcome = self.installation.load(endpoint, shape).await?;
        if outcome.failed > 0 {
            self.failures.push(format!(
                "{} requests of {} failed, such as: {}",
                outcome.failed,
                endpoint.name(),
                outcome.failures.join(", ")
            ));
        }
        Ok(outcome)
    }

    async fn rounds(&mut self) -> Result<(Vec<(Endpoint, Windows)>, Vec<(Part, Windows)>)> {
        let effort = self.arguments.effort;
        let mut endpoints: Vec<_> =
            self.arguments.endpoints.iter().map(|it| (*it, Windows::new())).collect();
        let mut parts = Part::ALL.map(|it| (it, Windows::new()));
        for round in 0..effort.rounds {
            for index in shuffled(endpoints.len(), self.arguments.seed, round) {
                let (endpoint, windows) = &mut endpoints[index];
                let endpoint = *endpoint;
                let mut limit = 0.0;
                for part in endpoint.parts() {
                    let for_whom = (endpoint, &self.installation.world);
                    let outcome = self.limits.measure(*part, for_whom, effort.part).await?;
                    limit += outcome.each(outcome.cpu.total());
                    if let Some((_, all)) = parts.iter_mut().find(|(it, _)| it == part) {
                        all.add(&outcome);
                    }
                }
                windows.limits.push(limit);
                windows.add(&self.load(endpoint, closed(CLIENTS, effort.endpoint)).await?);
            }
        }
        Ok((endpoints, parts.into()))
    }

    fn table_of_endpoints(&mut self, endpoints: &[(Endpoint, Windows)]) {
        let Arguments { effort, seed, .. } = self.arguments;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        self.report.say(&format!(
            "{cores} cores, {CLIENTS} clients on HTTP/1.1 in a closed loop, medians of {} windows \
             of {:?}, seed {seed}. CPU times are microseconds of each request.",
            effort.rounds, effort.endpoint
        ));
        self.report.header(&[
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
        let has = servers(self.arguments);
        for (endpoint, windows) in endpoints {
            let [daemon, postgres, redis] = windows.each();
            let limit = median(&windows.limits);
            let [p50, p99, p999] = latencies(&windows.sum);
            self.report.row(&[
                endpoint.name().to_owned(),
                number(median(&windows.rates)),
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

    fn table_of_parts(&mut self, parts: &[(Part, Windows)]) {
        self.report.header(&[
            "part of a limit",
            "a second",
            "p50 ms",
            "p99 ms",
            "CPU of the caller",
            "CPU PostgreSQL",
            "CPU Redis",
        ]);
        let has = servers(self.arguments);
        for (part, windows) in parts.iter().filter(|(_, windows)| !windows.rates.is_empty()) {
            let [caller, postgres, redis] = windows.each();
            let [p50, p99, _] = latencies(&windows.sum);
            self.report.row(&[
                part.name().to_owned(),
                number(median(&windows.rates)),
                p50,
                p99,
                number(caller),
                number_if(has.postgres.is_some(), postgres),
                number_if(has.redis.is_some(), redis),
            ]);
        }
    }

    async fn other_clients(&mut self) -> Result<()> {
        self.report.header(&[
            "request",
            "clients",
            "HTTP",
            "a second",
            "p50 ms",
            "p99 ms",
            "p99.9 ms",
            "CPU daemon",
        ]);
        for endpoint in self.main() {
            let one = OTHER_CLIENTS.map(|clients| (clients, Protocol::Http1));
            for (clients, protocol) in one.into_iter().chain([(64, Protocol::Http2)]) {
                let length = self.arguments.effort.endpoint;
                let shape = Shape { clients, protocol, length, rate: None };
                let outcome = self.load(endpoint, shape).await?;
                let [p50, p99, p999] = latencies(&outcome);
                self.report.row(&[
                    endpoint.name().to_owned(),
                    clients.to_string(),
                    protocol.name().to_owned(),
                    number(outcome.rate()),
                    p50,
                    p99,
                    p999,
                    number(outcome.each(outcome.cpu.daemon)),
                ]);
            }
        }
        Ok(())
    }

    async fn fixed_rates(&mut self, endpoints: &[(Endpoint, Windows)]) -> Result<()> {
        self.report.header(&[
            "request",
            "rate",
            "sent a second",
            "answered",
            "refused",
            "p50 ms",
            "p99 ms",
            "p99.9 ms",
            "refusal p99 ms",
        ]);
        for endpoint in self.main() {
            let capacity = endpoints.iter().find(|(it, _)| *it == endpoint);
            let Some(capacity) = capacity.map(|(_, windows)| median(&windows.rates)) else {
                continue;
            };
            for part in RATES {
                let shape = Shape {
                    clients: RATE_CLIENTS,
                    protocol: Protocol::Http1,
                    length: self.arguments.effort.open,
                    rate: Some(capacity * part),
                };
                let outcome = self.load(endpoint, shape).await?;
                let [p50, p99, p999] = latencies(&outcome);
                let refused = outcome.sent() - outcome.rate();
                self.report.row(&[
                    endpoint.name().to_owned(),
                    format!("{:.0} %", part * 100.0),
                    number(outcome.sent()),
                    number(outcome.rate()),
                    number(refused),
                    p50,
                    p99,
                    p999,
                    latency(&outcome.refusals, 0.99),
                ]);
            }
        }
        Ok(())
    }

    fn main(&self) -> Vec<Endpoint> {
        let Arguments { effort, endpoints, .. } = self.arguments;
        effort.main.iter().copied().filter(|it| endpoints.contains(it)).collect()
    }
}

/// The numbers below `count` in an order that depends on the seed and the round. So no endpoint is
/// always measured after the same other one.
pub fn shuffled(count: usize, seed: u64, round: usize) -> Vec<usize> {
    let mut state = seed.wrapping_add(u64::try_from(round).unwrap_or_default()).wrapping_mul(2) | 1;
    let mut numbers: Vec<(u64, usize)> = Vec::new();
    for number in 0..count {
        // xorshift64 (Marsaglia, 2003).
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        numbers.push((state, number));
    }
    numbers.sort_unstable();
    numbers.into_iter().map(|(_, number)| number).collect()
}
