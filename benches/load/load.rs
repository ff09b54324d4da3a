//! The load: closed loop, in which each client waits for its response, and open loop, in which the
//! requests begin at fixed times.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use hyper::StatusCode;
use tokio::task::JoinSet;

use crate::Result;
use crate::client::{self, Client, Protocol};
use crate::endpoint::Endpoint;
use crate::process::{Cpu, Processes, Window};
use crate::world::World;

/// The number of failures of which the text is kept.
const FAILURES_MAX: usize = 5;

/// The server that gets the load.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    pub address: SocketAddr,
    pub processes: Processes,
    /// Whether the responses are latchkey's. Those of the plain server are not checked.
    pub is_daemon: bool,
}

/// How the requests are sent.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub clients: usize,
    pub protocol: Protocol,
    pub length: Duration,
    /// The number of requests that are started per second. None for a closed loop.
    pub rate: Option<f64>,
    /// Whether the daemon may refuse requests with 429 or 503, because this is more than it can
    /// serve.
    pub may_refuse: bool,
}

/// The result of a window.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The latencies in microseconds. In an open loop they begin at the intended start, if the
    /// client was still waiting for an earlier response at that time.
    pub latencies: Histogram<u64>,
    /// The time from the send of a request to a response 429 or 503, in microseconds.
    pub refusals: Histogram<u64>,
    pub failures: Vec<String>,
    pub failed: u64,
    pub elapsed: Duration,
    pub cpu: Cpu,
}

impl Outcome {
    pub fn new() -> Self {
        Self {
            latencies: histogram(),
            refusals: histogram(),
            failures: Vec::new(),
            failed: 0,
            elapsed: Duration::ZERO,
            cpu: Cpu::default(),
        }
    }

    /// The successful requests in a second.
    pub fn rate(&self) -> f64 {
        count(self.latencies.len()) / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// All requests that were sent in a second.
    pub fn sent(&self) -> f64 {
        let sent = self.latencies.len() + self.refusals.len() + self.failed;
        count(sent) / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// A CPU time divided by the successful requests, in microseconds.
    pub fn each(&self, time: Duration) -> f64 {
        time.as_secs_f64() * 1e6 / count(self.latencies.len()).max(1.0)
    }

    pub fn add(&mut self, other: &Self) {
        // Two histograms with the same number of digits can always be added.
        let _ = self.latencies.add(&other.latencies);
        let _ = self.refusals.add(&other.refusals);
        self.failures.extend(other.failures.iter().cloned());
        self.failures.truncate(FAILURES_MAX);
        self.failed += other.failed;
        self.elapsed += other.elapsed;
        self.cpu = self.cpu.plus(other.cpu);
    }

    fn fail(&mut self, failure: String) {
        self.failed += 1;
        if self.failures.len() < FAILURES_MAX {
            self.failures.push(failure);
        }
    }
}

/// A histogram of latencies in microseconds, up to ten minutes, with an error of less than 1 %.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 600_000_000, 2).expect("these bounds are allowed")
}

pub fn count(number: u64) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

/// Microseconds for a histogram.
pub fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1)
}

/// Sends requests of one endpoint for the length of a window.
pub async fn run(
    target: Target,
    world: &Arc<World>,
    endpoint: Endpoint,
    shape: Shape,
) -> Result<Outcome> {
    let clients = client::connect(target.address, shape.protocol, shape.clients).await?;
    let window = Window::begin(target.processes);
    let began = Instant::now();
    let mut all = JoinSet::new();
    for (number, client) in clients.into_iter().enumerate() {
        let sender = Sender { target, world: world.clone(), endpoint, shape, number, client };
        all.spawn(sender.run(began));
    }
    let mut sum = Outcome::new();
    for outcome in all.join_all().await {
        sum.add(&outcome);
    }
    sum.elapsed = began.elapsed();
    sum.cpu = window.end();
    Ok(sum)
}

/// One client of a window, which has its own part of the accounts.
struct Sender {
    target: Target,
    world: Arc<World>,
    endpoint: Endpoint,
    shape: Shape,
    number: usize,
    client: Client,
}

impl Sender {
    async fn run(mut self, began: Instant) -> Outcome {
        let mut outcome = Outcome::new();
        let mut account = self.number;
        for turn in 0_u32.. {
            let intended = self.intended(turn);
            if intended.unwrap_or(began.elapsed()) >= self.shape.length
                || began.elapsed() >= self.shape.length
            {
                break;
            }
            // The timer fires up to a millisecond late. This lateness is the generator's own, so it
            // does not count. The time for which the client waits for an earlier response counts.
            let mut late = None;
            if let Some(intended) = intended.map(|it| began + it) {
                if intended > Instant::now() {
                    tokio::time::sleep_until(intended.into()).await;
                } else {
                    late = Some(intended);
                }
            }
            let sent = Instant::now();
            match self.once(account).await {
                Ok(status) if status == self.endpoint.expected() || !self.target.is_daemon => {
                    outcome.latencies.saturating_record(micros(late.unwrap_or(sent).elapsed()));
                }
                Ok(StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
                    if self.shape.may_refuse =>
                {
                    outcome.refusals.saturating_record(micros(sent.elapsed()));
                }
                Ok(status) => outcome.fail(format!("{}: {status}", self.endpoint.name())),
                Err(error) => {
                    outcome.fail(format!("{}: {error}", self.endpoint.name()));
                    match self.again().await {
                        Some(client) => self.client = client,
                        None => break,
                    }
                }
            }
            account += self.shape.clients;
            if account >= self.world.accounts.len() {
                account = self.number;
            }
        }
        outcome
    }

    /// When the request with this number begins in an open loop, after the begin of the window. The
    /// clients take turns.
    fn intended(&self, turn: u32) -> Option<Duration> {
        let rate = self.shape.rate?;
        let before = f64::from(turn) * small(self.shape.clients) + small(self.number);
        Some(Duration::from_secs_f64(before / rate))
    }

    async fn once(&mut self, account: usize) -> Result<StatusCode> {
        let accounts = &self.world.accounts;
        let account = accounts.get(account % accounts.len()).ok_or("there is no account")?;
        let request = self.endpoint.request(&self.world, account)?;
        let response = self.client.send(request).await?;
        if self.target.is_daemon && response.status == self.endpoint.expected() {
            self.endpoint.learn(account, &response)?;
        }
        Ok(response.status)
    }

    async fn again(&self) -> Option<Client> {
        client::connect(self.target.address, self.shape.protocol, 1).await.ok()?.pop()
    }
}

fn small(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}
