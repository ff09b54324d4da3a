//! The arguments of the generator. `scripts/bench` passes them.

use std::path::PathBuf;
use std::time::Duration;

use crate::Result;
use crate::endpoint::Endpoint;

/// How long and how often is measured.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// The rounds in which each part and each endpoint is measured once.
    pub rounds: usize,
    pub part: Duration,
    pub endpoint: Duration,
    /// The length of a window with a fixed rate. Zero leaves these windows out.
    pub open: Duration,
    /// The accounts. A session may refresh 60 times a minute, so they limit the refreshes of a run.
    pub accounts: usize,
    /// The endpoints that are measured with other numbers of clients and at fixed rates.
    pub main: &'static [Endpoint],
}

impl Effort {
    const QUICK: Self = Self {
        rounds: 1,
        part: Duration::from_millis(200),
        endpoint: Duration::from_millis(700),
        open: Duration::ZERO,
        accounts: 512,
        main: &[],
    };
    const USUAL: Self = Self {
        rounds: 3,
        part: Duration::from_millis(300),
        endpoint: Duration::from_millis(1_500),
        open: Duration::from_secs(3),
        accounts: 2_048,
        main: &Endpoint::MAIN,
    };
    const ALL: Self = Self {
        rounds: 7,
        part: Duration::from_millis(500),
        endpoint: Duration::from_secs(3),
        open: Duration::from_secs(10),
        accounts: 4_096,
        main: &Endpoint::ALL,
    };
}

#[derive(Debug)]
pub struct Arguments {
    pub effort: Effort,
    /// The program of the daemon.
    pub daemon: PathBuf,
    /// The program of the daemon to compare with.
    pub compare: Option<PathBuf>,
    /// PostgreSQL's port and first process. None measures SQLite.
    pub postgres: Option<(u16, u32)>,
    /// Redis' port and process. None measures the embedded token store.
    pub redis: Option<(u16, u32)>,
    /// An empty directory for the files of the run.
    pub work: PathBuf,
    /// The file that gets the tables, besides stdout.
    pub out: Option<PathBuf>,
    pub seed: u64,
    /// The endpoints to measure.
    pub endpoints: Vec<Endpoint>,
}

impl Arguments {
    pub fn read(words: &[String]) -> Result<Self> {
        let mut effort = Effort::USUAL;
        let (mut daemon, mut compare, mut work, mut out) = (None, None, None, None);
        let (mut postgres, mut redis, mut seed) = (None, None, 1);
        let mut endpoints = Vec::new();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match word.as_str() {
                "--quick" => effort = Effort::QUICK,
                "--all" => effort = Effort::ALL,
                "--daemon" => daemon = Some(PathBuf::from(value()?)),
                "--compare" => compare = Some(PathBuf::from(value()?)),
                "--work" => work = Some(PathBuf::from(value()?)),
                "--out" => out = Some(PathBuf::from(value()?)),
                "--postgres" => postgres = Some(server(value()?)?),
                "--redis" => redis = Some(server(value()?)?),
                "--seed" => seed = value()?.parse()?,
                "--seconds" => effort.endpoint = Duration::from_secs(value()?.parse()?),
                "--accounts" => effort.accounts = value()?.parse()?,
                "--only" => endpoints = chosen(value()?)?,
                other => return Err(format!("unknown argument {other}").into()),
            }
        }
        if endpoints.is_empty() {
            endpoints = Endpoint::ALL.to_vec();
        }
        let missing = |name: &str| format!("{name} is missing: use scripts/bench");
        Ok(Self {
            effort,
            daemon: daemon.ok_or_else(|| missing("--daemon"))?,
            compare,
            postgres,
            redis,
            work: work.ok_or_else(|| missing("--work"))?,
            out,
            seed,
            endpoints,
        })
    }
}

/// Reads `PORT:PID`.
fn server(text: &str) -> Result<(u16, u32)> {
    let (port, pid) = text.split_once(':').ok_or("a server is written as PORT:PID")?;
    Ok((port.parse()?, pid.parse()?))
}

fn chosen(names: &str) -> Result<Vec<Endpoint>> {
    names.split(',').map(one_of).collect()
}

fn one_of(name: &str) -> Result<Endpoint> {
    let found = Endpoint::ALL.into_iter().find(|it| it.argument() == name);
    let all = || Endpoint::ALL.map(Endpoint::argument).join(", ");
    found.ok_or_else(|| format!("no endpoint is named {name}. The names are: {}", all()).into())
}
