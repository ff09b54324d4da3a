//! The parts that run in the stores: statements of the database and scripts of Redis.

use std::path::{Path, PathBuf};

use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands as _, Script};
use sqlx::Connection as _;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::Result;
use crate::limits::Part;

/// The TTL of a session in milliseconds.
const SESSION_TTL_MS: u64 = 14 * 24 * 3_600_000;
/// The length of the stored record of a session.
const RECORD_BYTES: usize = 700;
/// The number of sessions that a task opens in turn.
const SESSIONS: u64 = 4;

/// The accounts whose rows are read.
const IDS: &str = "SELECT u.email_normal, u.id, m.team_id, p.id FROM users u \
     JOIN memberships m ON m.user_id = u.id JOIN projects p ON p.team_id = m.team_id \
     ORDER BY u.id LIMIT 1000";
const BY_EMAIL: &str = "SELECT 1 FROM users WHERE email_normal = $1";
const CHECK: &str = "SELECT u.id, u.email, u.email_normal, u.name, u.password_hash, \
     u.password_version, u.session_epoch, u.factor_version, u.factor_count, u.status, \
     u.verified_at, u.created_at, u.created_ip, u.has_logged_in, m.role, m.epoch, t.name, \
     t.status, t.require_factor, p.name \
     FROM users u LEFT JOIN memberships m ON m.user_id = u.id AND m.team_id = $2 \
     LEFT JOIN teams t ON t.id = m.team_id LEFT JOIN projects p ON p.id = $3 \
     WHERE u.id = $1";
const TEAMS: &str = "SELECT t.id, t.name, t.slug, m.role, t.created_at FROM memberships m \
     JOIN teams t ON t.id = m.team_id WHERE m.user_id = $1 ORDER BY t.id LIMIT 51";
const CREATE_COMMITS: &str =
    "CREATE TABLE IF NOT EXISTS load_commits (id BIGSERIAL PRIMARY KEY, text TEXT NOT NULL)";
const CREATE_EMBEDDED: &str = "CREATE TABLE load_commits (id INTEGER PRIMARY KEY, text TEXT);
     CREATE TABLE load_records (key TEXT PRIMARY KEY, owner TEXT, value TEXT)";
const INSERT: &str = "INSERT INTO load_commits (text) VALUES ($1)";
const READ_RECORD: &str = "SELECT value FROM load_records WHERE key = $1";
const WRITE_RECORD: &str = "INSERT INTO load_records (key, owner, value) VALUES ($1, $2, $3) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
const LIST_RECORDS: &str = "SELECT value FROM load_records WHERE key >= $1 LIMIT 4";

/// Runs the SELECT of a part on a connection of either database.
macro_rules! select {
    ($part:expr, $connection:expr, $ids:expr, $number:expr) => {{
        let (email, user, team, project) =
            $ids.get($number % $ids.len().max(1)).ok_or("the database has no account")?;
        let query = match $part {
            Part::Email => sqlx::query(BY_EMAIL).bind(email),
            Part::Check => sqlx::query(CHECK).bind(user).bind(team).bind(project),
            _ => sqlx::query(TEAMS).bind(user),
        };
        query.fetch_all($connection).await.map(drop)?;
    }};
}

/// The stores, and the ids of accounts.
pub struct Stored {
    stores: Stores,
    ids: Vec<(String, Uuid, Uuid, Uuid)>,
    replace: Script,
    open: Script,
    list: Script,
}

enum Stores {
    /// PostgreSQL, and Redis with one connection that all tasks share.
    Servers(Box<PgConnectOptions>, MultiplexedConnection),
    Embedded(Box<Embedded>),
}

struct Embedded {
    /// The daemon's own database, for reads of accounts.
    daemons: SqliteConnectOptions,
    /// Another database with the same durability, for records.
    own: SqliteConnectOptions,
    /// The only connection that writes to this database.
    write: Mutex<SqliteConnection>,
}

/// The connections of one task. A pool is not used, because the pool of sqlx sends a ping for each
/// statement.
enum Connections {
    Postgres(PgConnection),
    Sqlite { daemons: SqliteConnection, own: SqliteConnection },
}

impl Stored {
    /// Connects as a superuser, to which row-level security does not apply.
    pub async fn on_servers(database: &str, redis: &str) -> Result<Self> {
        let options: PgConnectOptions = database.parse()?;
        let mut connection = PgConnection::connect_with(&options).await?;
        sqlx::query(CREATE_COMMITS).execute(&mut connection).await?;
        let ids = sqlx::query_as(IDS).fetch_all(&mut connection).await?;
        let redis = redis::Client::open(redis)?.get_multiplexed_async_connection().await?;
        Ok(Self::new(Stores::Servers(Box::new(options), redis), ids))
    }

    /// Opens the daemon's database in `data_dir`, and creates another one in `directory`.
    pub async fn embedded(data_dir: &Path, directory: &Path) -> Result<Self> {
        let file = |path: PathBuf| {
            SqliteConnectOptions::new()
                .filename(path)
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
        };
        let daemons = file(data_dir.join("latchkey.db"));
        let own = file(directory.join("limits.db"));
        let mut write = SqliteConnection::connect_with(&own).await?;
        sqlx::raw_sql(CREATE_EMBEDDED).execute(&mut write).await?;
        let mut read = SqliteConnection::connect_with(&daemons).await?;
        let ids = sqlx::query_as(IDS).fetch_all(&mut read).await?;
        Ok(Self::new(
            Stores::Embedded(Box::new(Embedded { daemons, own, write: Mutex::new(write) })),
            ids,
        ))
    }

    fn new(stores: Stores, ids: Vec<(String, Uuid, Uuid, Uuid)>) -> Self {
        Self {
            stores,
            ids,
            replace: Script::new(include_str!("../../src/store/redis/replace.lua")),
            open: Script::new(include_str!("../../src/store/redis/open.lua")),
            list: Script::new(include_str!("../../src/store/redis/list.lua")),
        }
    }
}

/// A task that repeats a part.
pub struct Repeated {
    part: Part,
    task: usize,
    turn: u64,
    connections: Connections,
    /// The prefix of the task's keys. It has the hash tag that the keys of a user have.
    prefix: String,
    /// The two records that replace each other.
    records: [String; 2],
}

impl Repeated {
    /// Connects, writes the records that the task reads or replaces, and runs the part once.
    pub async fn start(stored: &Stored, part: Part, task: usize, seed: u64) -> Result<Self> {
        let records = ["a", "b"].map(|letter| letter.repeat(RECORD_BYTES));
        let prefix = format!("load:{{{seed}-{task}}}:{part:?}:");
        let old = &records[0];
        let connections = match &stored.stores {
            Stores::Servers(options, redis) => {
                let mut redis = redis.clone();
                let _: () = redis.set(format!("{prefix}record"), old).await?;
                if part == Part::List {
                    let _: () = redis.zadd(format!("{prefix}sessions"), "only", 1).await?;
                    let _: () = redis.set(format!("{prefix}only"), old).await?;
                }
                Connections::Postgres(PgConnection::connect_with(options).await?)
            }
            Stores::Embedded(embedded) => {
                let Embedded { daemons, own, write } = &**embedded;
                let mut write = write.lock().await;
                for turn in 0..SESSIONS {
                    let query = sqlx::query(WRITE_RECORD).bind(format!("{prefix}{turn}"));
                    query.bind(&prefix).bind(old).execute(&mut *write).await?;
                }
                let daemons = SqliteConnection::connect_with(daemons).await?;
                Connections::Sqlite { daemons, own: SqliteConnection::connect_with(own).await? }
            }
        };
        let mut repeated = Self { part, task, turn: 0, connections, prefix, records };
        repeated.once(stored).await?;
        repeated.once(stored).await?;
        Ok(repeated)
    }

    pub async fn once(&mut self, stored: &Stored) -> Result<()> {
        let turn = self.turn;
        self.turn += 1;
        match (self.part, &mut self.connections, &stored.stores) {
            (Part::Email | Part::Check | Part::TeamRead, Connections::Postgres(it), _) => {
                let number = self.task * 61 + usize::try_from(turn)?;
                select!(self.part, it, stored.ids, number);
            }
            (
                Part::Email | Part::Check | Part::TeamRead,
                Connections::Sqlite { daemons: it, .. },
                _,
            ) => {
                let number = self.task * 61 + usize::try_from(turn)?;
                select!(self.part, it, stored.ids, number);
            }
            (Part::Commit, Connections::Postgres(it), _) => {
                let text = &self.records[0][..300];
                sqlx::query(INSERT).bind(text).execute(it).await.map(drop)?;
            }
            (Part::Commit, _, Stores::Embedded(embedded)) => {
                let text = &self.records[0][..300];
                let mut write = embedded.write.lock().await;
                sqlx::query(INSERT).bind(text).execute(&mut *write).await.map(drop)?;
            }
            (Part::Rotate | Part::Open, _, Stores::Embedded(embedded)) => {
                let key = format!("{}{}", self.prefix, turn % SESSIONS);
                let query = sqlx::query(WRITE_RECORD).bind(&key).bind(&self.prefix);
                let mut write = embedded.write.lock().await;
                query.bind(&self.records[0]).execute(&mut *write).await.map(drop)?;
            }
            (Part::Read, Connections::Sqlite { own, .. }, _) => {
                let key = format!("{}{}", self.prefix, turn % SESSIONS);
                sqlx::query(READ_RECORD).bind(&key).fetch_one(own).await.map(drop)?;
            }
            (_, Connections::Sqlite { own, .. }, _) => {
                sqlx::query(LIST_RECORDS).bind(&self.prefix).fetch_all(own).await.map(drop)?;
            }
            (_, _, Stores::Servers(_, redis)) => {
                self.in_redis(stored, redis.clone(), turn).await?;
            }
            (_, Connections::Postgres(_), Stores::Embedded(_)) => {
                return Err("a part of PostgreSQL runs on SQLite".into());
            }
        }
        Ok(())
    }

    /// The parts of the token store in Redis.
    async fn in_redis(
        &self,
        stored: &Stored,
        mut redis: MultiplexedConnection,
        turn: u64,
    ) -> Result<()> {
        let (key, list) = (format!("{}record", self.prefix), format!("{}sessions", self.prefix));
        let [old, new] = &self.records;
        match self.part {
            Part::Read => {
                let found: String = redis.get(&key).await?;
                return check(found.len() == RECORD_BYTES);
            }
            Part::Rotate => {
                let (old, new) = if turn.is_multiple_of(2) { (old, new) } else { (new, old) };
                let mut call = stored.replace.key(&key);
                call.key(&list).arg(old).arg(new).arg(SESSION_TTL_MS);
                call.arg(0).arg("only").arg(turn);
                let (result, _, _): (String, String, u64) = call.invoke_async(&mut redis).await?;
                return check(result == "replaced");
            }
            Part::Open => {
                let sid = format!("sid-{}", turn % SESSIONS);
                let mut call = stored.open.key(format!("{}{sid}", self.prefix));
                call.key(&list).arg(turn).arg(100).arg(&sid).arg(&self.prefix);
                call.arg(SESSION_TTL_MS).arg(turn).arg(old).arg(43);
                let opened: u64 = call.invoke_async(&mut redis).await?;
                return check(opened == 1);
            }
            _ => {}
        }
        let mut call = stored.list.key(&list);
        call.arg(&self.prefix);
        let all: Vec<(String, String)> = call.invoke_async(&mut redis).await?;
        check(all.len() == 1)
    }
}

fn check(is_as_expected: bool) -> Result<()> {
    if is_as_expected { Ok(()) } else { Err("a script of Redis did not return its result".into()) }
}
