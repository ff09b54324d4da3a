//! The windows with other numbers of clients, on HTTP/2, and at fixed rates.

use crate::Result;
use crate::arguments::Arguments;
use crate::client::Protocol;
use crate::endpoint::Endpoint;
use crate::load::Shape;
use crate::report::{latencies, latency, number};
use crate::run::Run;
use crate::tables::Windows;

/// The other numbers of clients.
const OTHER_CLIENTS: [usize; 3] = [1, 64, 256];
/// The fixed rates, as parts of the rate of the closed loop.
const RATES: [f64; 4] = [0.5, 0.9, 2.0, 10.0];
/// The number of clients that send requests at a fixed rate.
const RATE_CLIENTS: usize = 256;

impl Run<'_> {
    pub async fn other_clients(&mut self) -> Result<()> {
        self.report.header(&[
            "request",
            "clients",
            "HTTP",
            "a second",
            "refused",
            "p50 ms",
            "p99 ms",
            "p99.9 ms",
            "CPU daemon",
        ]);
        for endpoint in self.main() {
            let one = OTHER_CLIENTS.map(|clients| (clients, Protocol::Http1));
            for (clients, protocol) in one.into_iter().chain([(64, Protocol::Http2)]) {
                let length = self.arguments.effort.endpoint;
                let shape = Shape { clients, protocol, length, rate: None, may_refuse: true };
                let outcome = self.load(endpoint, shape).await?;
                let [p50, p99, p999] = latencies(&outcome);
                self.report.row(&[
                    endpoint.name().to_owned(),
                    clients.to_string(),
                    protocol.name().to_owned(),
                    number(outcome.rate()),
                    number(outcome.sent() - outcome.rate()),
                    p50,
                    p99,
                    p999,
                    number(outcome.each(outcome.cpu.daemon)),
                ]);
            }
        }
        Ok(())
    }

    pub async fn fixed_rates(&mut self, endpoints: &[(Endpoint, Windows)]) -> Result<()> {
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
            let Some(capacity) = capacity.map(|(_, windows)| windows.rate()) else {
                continue;
            };
            for part in RATES {
                let shape = Shape {
                    clients: RATE_CLIENTS,
                    protocol: Protocol::Http1,
                    length: self.arguments.effort.open,
                    rate: Some(capacity * part),
                    may_refuse: true,
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
