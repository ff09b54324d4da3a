//! One installation: a daemon with its database, its token store and its accounts.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use crate::Result;
use crate::arguments::Arguments;
use crate::client::Protocol;
use crate::daemon::{Daemon, Stores};
use crate::endpoint::Endpoint;
use crate::load::{self, Outcome, Shape, Target};
use crate::process::{self, Processes};
use crate::sink::Sink;
use crate::stores::Stored;
use crate::world::World;

/// After this time without a mail, no mail is waiting.
const QUIET: Duration = Duration::from_millis(300);

pub struct Installation {
    pub daemon: Daemon,
    pub world: Arc<World>,
    pub target: Target,
    /// The resident memory of the daemon in MiB, after the start.
    pub idle_mib: f64,
    sink: Sink,
    stores: Stores,
    directory: PathBuf,
}

impl Installation {
    /// Starts the program `binary` on a new database, and prepares the accounts. `number` is the
    /// number of the installation: it chooses the database of PostgreSQL and of Redis.
    pub async fn start(binary: &Path, number: u8, arguments: &Arguments) -> Result<Self> {
        let sink = Sink::start().await?;
        let directory = arguments.work.join(format!("daemon-{number}"));
        let database = match arguments.postgres {
            Some((port, _)) => Some(create_database(port, number).await?),
            None => None,
        };
        let redis = arguments.redis.map(|(port, _)| format!("redis://127.0.0.1:{port}/{number}"));
        let stores = Stores { database, redis, smtp: sink.address };
        let daemon = Daemon::start(binary, &directory, &stores).await?;
        let idle_mib = process::resident_mib(daemon.pid());
        let world =
            World::prepare(&daemon, &directory, arguments.effort.accounts, arguments.seed).await?;
        let processes = Processes { daemon: Some(daemon.pid()), ..servers(arguments) };
        let target = Target { address: daemon.public, processes, is_daemon: true };
        let it = Self { daemon, world, target, idle_mib, sink, stores, directory };
        it.sink.is_quiet(QUIET).await;
        Ok(it)
    }

    pub fn loaded_mib(&self) -> f64 {
        process::resident_mib(self.daemon.pid())
    }

    /// The connections to the stores with which the parts are measured.
    pub async fn stored(&self) -> Result<Stored> {
        match (&self.stores.database, &self.stores.redis) {
            (Some(database), Some(redis)) => {
                let database = database.replace("latchkey@", "postgres@");
                Stored::on_servers(&database, redis).await
            }
            _ => Stored::embedded(&self.directory.join("data"), &self.directory).await,
        }
    }

    /// Sends requests of one endpoint. If they send mails, the CPU time of the mails counts too.
    pub async fn load(&self, endpoint: Endpoint, shape: Shape) -> Result<Outcome> {
        if !endpoint.sends_mail() {
            return load::run(self.target, &self.world, endpoint, shape).await;
        }
        let window = process::Window::begin(self.target.processes);
        let mut outcome = load::run(self.target, &self.world, endpoint, shape).await?;
        self.sink.is_quiet(QUIET).await;
        outcome.cpu = window.end();
        Ok(outcome)
    }
}

/// The processes of the servers that a run uses.
pub fn servers(arguments: &Arguments) -> Processes {
    Processes {
        daemon: None,
        postgres: arguments.postgres.map(|(_, pid)| pid),
        redis: arguments.redis.map(|(_, pid)| pid),
    }
}

/// A closed loop with the number of clients that the tables have.
pub const fn closed(clients: usize, length: Duration) -> Shape {
    Shape { clients, protocol: Protocol::Http1, length, rate: None, may_refuse: false }
}

async fn create_database(port: u16, number: u8) -> Result<String> {
    let server = format!("postgres://latchkey@127.0.0.1:{port}");
    let mut connection = PgConnection::connect(&format!("{server}/latchkey")).await?;
    let statement = format!("CREATE DATABASE load_{number}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await?;
    connection.close().await?;
    Ok(format!("{server}/load_{number}"))
}
