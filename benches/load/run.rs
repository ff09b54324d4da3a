//! The usual run: in each round, for each endpoint its parts and then the endpoint itself. Then the
//! main endpoints with other numbers of clients, on HTTP/2 and at fixed rates.

use crate::Result;
use crate::arguments::Arguments;
use crate::endpoint::Endpoint;
use crate::installation::{Installation, closed, servers};
use crate::limits::{Limits, Part};
use crate::load::{Outcome, Shape};
use crate::report::{Report, number};
use crate::tables::{self, Windows};

/// The number of clients in the main table.
pub const CLIENTS: usize = 16;

pub async fn run(arguments: &Arguments) -> Result<Vec<String>> {
    let installation = Installation::start(&arguments.daemon, 0, arguments).await?;
    let limits = Limits::start(installation.stored().await?, servers(arguments), arguments.seed)?;
    let mut run =
        Run { arguments, installation, limits, report: Report::default(), failures: Vec::new() };
    let result = run.all().await;
    run.report.write(arguments.out.as_deref())?;
    result.map(|()| run.failures)
}

pub struct Run<'a> {
    pub arguments: &'a Arguments,
    installation: Installation,
    limits: Limits,
    pub report: Report,
    failures: Vec<String>,
}

impl Run<'_> {
    async fn all(&mut self) -> Result<()> {
        let effort = self.arguments.effort;
        let (idle, ready) = (self.installation.idle_mib, self.installation.daemon.ready_after);
        // The first requests open connections, prepare statements and fill caches.
        let mut warm: Vec<Part> = Vec::new();
        for endpoint in self.arguments.endpoints.clone() {
            self.load(endpoint, closed(CLIENTS, effort.part)).await?;
            for part in endpoint.parts() {
                if !warm.contains(part) {
                    let for_whom = (endpoint, &self.installation.world);
                    self.limits.measure(*part, for_whom, effort.part).await?;
                    warm.push(*part);
                }
            }
        }
        let (endpoints, parts) = self.rounds().await?;
        tables::of_endpoints(&mut self.report, self.arguments, &endpoints);
        tables::of_parts(&mut self.report, self.arguments, &parts);
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

    pub async fn load(&mut self, endpoint: Endpoint, shape: Shape) -> Result<Outcome> {
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
                windows.add_limit(limit);
                windows.add(&self.load(endpoint, closed(CLIENTS, effort.endpoint)).await?);
            }
        }
        Ok((endpoints, parts.into()))
    }
}

/// The numbers below `count` in an order that depends on the seed and the round. So no endpoint is
/// always measured after the same other one.
pub fn shuffled(count: usize, seed: u64, round: usize) -> Vec<usize> {
    // The constant of splitmix64 spreads small seeds over all bits.
    let number = seed.wrapping_add(u64::try_from(round).unwrap_or_default());
    let mut state = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
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
