//! The limits: the parts of which the endpoints are made, each measured alone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::task::JoinSet;

use crate::Result;
use crate::client::Protocol;
use crate::compute;
use crate::endpoint::Endpoint;
use crate::load::{self, Outcome, Shape, Target, histogram, micros};
use crate::plain::PlainServer;
use crate::process::{Processes, Window};
use crate::stores::{Repeated, Stored};
use crate::world::World;

/// The number of tasks or clients that use a part at the same time.
const TASKS: usize = 16;

/// A part of the work of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The same requests, to a hyper server that does nothing.
    Http,
    /// One argon2id hash with the default parameters, in the engine that latchkey uses by default.
    Hash,
    /// A SELECT of an account by its email address.
    Email,
    /// A SELECT of an account with its membership, team and project by primary keys, as a role to
    /// which row-level security does not apply.
    Check,
    /// A SELECT of the teams of a user by an index, as the same role.
    TeamRead,
    /// An INSERT of one row of 300 bytes, with its commit.
    Commit,
    /// The read of the record of a session.
    Read,
    /// The script `replace.lua` of latchkey, which replaces a record of a session.
    Rotate,
    /// The script `open.lua` of latchkey, which stores a new session.
    Open,
    /// The script `list.lua` of latchkey, which reads the sessions of a user.
    List,
    /// An ES256 signature.
    Sign,
    /// The verification of an ES256 signature.
    Verify,
}

impl Part {
    pub const ALL: [Self; 12] = [
        Self::Http,
        Self::Hash,
        Self::Email,
        Self::Check,
        Self::TeamRead,
        Self::Commit,
        Self::Read,
        Self::Rotate,
        Self::Open,
        Self::List,
        Self::Sign,
        Self::Verify,
    ];

    const fn is_of_stores(self) -> bool {
        !matches!(self, Self::Http | Self::Hash | Self::Sign | Self::Verify)
    }

    /// The processes that do the work of the part. Others may do work of their own meanwhile.
    const fn runs_in(self, all: Processes) -> Processes {
        match self {
            Self::Http | Self::Hash | Self::Sign | Self::Verify => {
                Processes { postgres: None, redis: None, ..all }
            }
            Self::Email | Self::Check | Self::TeamRead | Self::Commit => {
                Processes { redis: None, ..all }
            }
            Self::Read | Self::Rotate | Self::Open | Self::List => {
                Processes { postgres: None, ..all }
            }
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "plain hyper server",
            Self::Hash => "argon2id on all cores",
            Self::Email => "SELECT of an account by its address",
            Self::Check => "SELECT of account, membership, team and project",
            Self::TeamRead => "SELECT of the teams of a user",
            Self::Commit => "INSERT with its commit",
            Self::Read => "read of a session",
            Self::Rotate => "replacement of a session",
            Self::Open => "opening of a session",
            Self::List => "list of the sessions of a user",
            Self::Sign => "ES256 signature",
            Self::Verify => "ES256 verification",
        }
    }
}

/// What is needed to measure the parts.
pub struct Limits {
    plain: PlainServer,
    stored: Arc<Stored>,
    /// The servers and the generator itself, in the place of the daemon. A part runs in the
    /// generator as the client's half of the work, as it runs in the daemon.
    processes: Processes,
    seed: u64,
}

impl Limits {
    pub fn start(stored: Stored, servers: Processes, seed: u64) -> Result<Self> {
        let plain = PlainServer::start()?;
        let processes = Processes { daemon: Some(std::process::id()), ..servers };
        Ok(Self { plain, stored: Arc::new(stored), processes, seed })
    }

    /// Measures a part for the time `length`. The part [`Part::Http`] gets the requests of
    /// `endpoint`.
    pub async fn measure(
        &self,
        part: Part,
        (endpoint, world): (Endpoint, &Arc<World>),
        length: Duration,
    ) -> Result<Outcome> {
        if part == Part::Http {
            let target = Target {
                address: self.plain.address,
                processes: Processes { daemon: Some(self.plain.pid()), ..Processes::default() },
                is_daemon: false,
            };
            let shape = Shape {
                clients: TASKS,
                protocol: Protocol::Http1,
                length,
                rate: None,
                may_refuse: false,
            };
            return load::run(target, world, endpoint, shape).await;
        }
        let mut tasks = Vec::new();
        for task in (0..TASKS).filter(|_| part.is_of_stores()) {
            tasks.push(Repeated::start(&self.stored, part, task, self.seed).await?);
        }
        let window = Window::begin(part.runs_in(self.processes));
        let began = Instant::now();
        let latencies = match part {
            Part::Hash => compute::on_all_cores(compute::hash, length).await?,
            Part::Sign => compute::on_all_cores(compute::sign, length).await?,
            Part::Verify => compute::on_all_cores(compute::verify, length).await?,
            _ => self.on_stores(&mut tasks, length).await?,
        };
        let elapsed = began.elapsed();
        // The connections are still open, because the CPU time of a thread or of a process of
        // PostgreSQL is read while it runs.
        Ok(Outcome { latencies, elapsed, cpu: window.end(), ..Outcome::new() })
    }

    /// Lets all tasks repeat a part of the stores, and gives the tasks back.
    async fn on_stores(
        &self,
        tasks: &mut Vec<Repeated>,
        length: Duration,
    ) -> Result<Histogram<u64>> {
        let mut all = JoinSet::new();
        for mut repeated in tasks.drain(..) {
            let stored = self.stored.clone();
            all.spawn(async move {
                let mut latencies = histogram();
                let began = Instant::now();
                while began.elapsed() < length {
                    let one = Instant::now();
                    repeated.once(&stored).await?;
                    latencies.saturating_record(micros(one.elapsed()));
                }
                Result::Ok((latencies, repeated))
            });
        }
        let mut sum = histogram();
        for ended in all.join_all().await {
            let (latencies, repeated) = ended?;
            sum.add(latencies)?;
            tasks.push(repeated);
        }
        Ok(sum)
    }
}
