//! The parts that run in the stores: statements of the database and scripts of Redis.

use std::path::Path;

use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands as _, Script};
use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use uuid::Uuid;

use crate::Result;
use crate::limits::Part;

/// The number of connections to the database, which is latchkey's default.
const CONNECTIONS: u32 = 20;
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

/// The connections to the stores, and the ids of accounts.
pub struct Stored {
    stores: Stores,
    ids: Vec<(String, Uuid, Uuid, Uuid)>,
    replace: Script,
    open: Script,
    list: Script,
}

enum Stores {
    /// PostgreSQL, and Redis with one connection that all tasks share.
    Servers(PgPool, MultiplexedConnection),
    /// The daemon's own database for reads, and another one with the same durability for writes.
    Embedded { daemons: SqlitePool, read: SqlitePool, write: SqlitePool },
}

impl Stored {
    /// Connects as a superuser, to which row-level security does not apply.
    pub async fn on_servers(database: &str, redis: &str) -> Result<Self> {
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .test_before_acquire(false)
            .connect(database)
            .await?;
        sqlx::query(CREATE_COMMITS).execute(&pool).await?;
        let ids = sqlx::query_as(IDS).fetch_all(&pool).await?;
        let redis = redis::Client::open(redis)?.get_multiplexed_async_connection().await?;
        Ok(Self::new(Stores::Servers(pool, redis), ids))
    }

    /// Opens the daemon's database in `data_dir`, and creates another one in `directory`.
    pub async fn embedded(data_dir: &Path, directory: &Path) -> Result<Self> {
        let file = |path: &Path| {
            SqliteConnectOptions::new()
                .filename(path)
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
        };
        let pool = |connections| {
            SqlitePoolOptions::new().max_connections(connections).test_before_acquire(false)
        };
        let daemons = pool(CONNECTIONS).connect_with(file(&data_dir.join("latchkey.db"))).await?;
        let own = directory.join("limits.db");
        let write = pool(1).connect_with(file(&own)).await?;
        sqlx::raw_sql(CREATE_EMBEDDED).execute(&write).await?;
        let read = pool(CONNECTIONS).connect_with(file(&own)).await?;
        let ids = sqlx::query_as(IDS).fetch_all(&daemons).await?;
        Ok(Self::new(Stores::Embedded { daemons, read, write }, ids))
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
    /// The prefix of the task's keys. It has the hash tag that the keys of a user have.
    prefix: String,
    /// The two records that replace each other.
    records: [String; 2],
}

impl Repeated {
    pub fn new(part: Part, task: usize, seed: u64) -> Self {
        let records = ["a", "b"].map(|letter| letter.repeat(RECORD_BYTES));
        let prefix = format!("load:{{{seed}-{task}}}:{part:?}:");
        Self { part, task, turn: 0, prefix, records }
    }

    /// Writes the records that the task reads or replaces.
    pub async fn prepare(&mut self, stored: &Stored) -> Result<()> {
        let old = &self.records[0];
        match &stored.stores {
            Stores::Servers(_, redis) => {
                let mut redis = redis.clone();
                let _: () = redis.set(format!("{}record", self.prefix), old).await?;
                if self.part == Part::List {
                    let _: () = redis.zadd(format!("{}sessions", self.prefix), "only", 1).await?;
                    let _: () = redis.set(format!("{}only", self.prefix), old).await?;
                }
            }
            Stores::Embedded { write, .. } => {
                for turn in 0..SESSIONS {
                    let key = format!("{}{turn}", self.prefix);
                    let query = sqlx::query(WRITE_RECORD).bind(key).bind(&self.prefix);
                    query.bind(old).execute(write).await?;
                }
            }
        }
        Ok(())
    }

    pub async fn once(&mut self, stored: &Stored) -> Result<()> {
        let turn = self.turn;
        self.turn += 1;
        let number = self.task * 61 + usize::try_from(turn)?;
        let count = stored.ids.len().max(1);
        let (email, user, team, project) =
            stored.ids.get(number % count).ok_or("the database has no account with a team")?;
        match (&stored.stores, self.part) {
            (Stores::Servers(pool, _), Part::Email) => {
                sqlx::query(BY_EMAIL).bind(email).fetch_optional(pool).await.map(drop)?;
            }
            (Stores::Servers(pool, _), Part::Check) => {
                let query = sqlx::query(CHECK).bind(user).bind(team).bind(project);
                query.fetch_optional(pool).await.map(drop)?;
            }
            (Stores::Servers(pool, _), Part::TeamRead) => {
                sqlx::query(TEAMS).bind(user).fetch_all(pool).await.map(drop)?;
            }
            (Stores::Servers(pool, _), _) if self.part == Part::Commit => {
                sqlx::query(INSERT).bind(&self.records[0][..300]).execute(pool).await.map(drop)?;
            }
            (Stores::Embedded { daemons, .. }, Part::Email) => {
                sqlx::query(BY_EMAIL).bind(email).fetch_optional(daemons).await.map(drop)?;
            }
            (Stores::Embedded { daemons, .. }, Part::Check) => {
                let query = sqlx::query(CHECK).bind(user).bind(team).bind(project);
                query.fetch_optional(daemons).await.map(drop)?;
            }
            (Stores::Embedded { daemons, .. }, Part::TeamRead) => {
                sqlx::query(TEAMS).bind(user).fetch_all(daemons).await.map(drop)?;
            }
            (Stores::Embedded { write, .. }, Part::Commit) => {
                sqlx::query(INSERT).bind(&self.records[0][..300]).execute(write).await.map(drop)?;
            }
            (Stores::Embedded { read, write, .. }, _) => {
                self.in_table(read, write, turn).await?;
            }
            (Stores::Servers(_, redis), _) => self.in_redis(stored, redis.clone(), turn).await?,
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

    /// The parts of the token store in SQLite.
    async fn in_table(&self, read: &SqlitePool, write: &SqlitePool, turn: u64) -> Result<()> {
        let key = format!("{}{}", self.prefix, turn % SESSIONS);
        if matches!(self.part, Part::Rotate | Part::Open) {
            let query = sqlx::query(WRITE_RECORD).bind(&key).bind(&self.prefix);
            query.bind(&self.records[0]).execute(write).await?;
        } else if self.part == Part::Read {
            sqlx::query(READ_RECORD).bind(&key).fetch_one(read).await?;
        } else {
            sqlx::query(LIST_RECORDS).bind(&self.prefix).fetch_all(read).await?;
        }
        Ok(())
    }
}

fn check(is_as_expected: bool) -> Result<()> {
    if is_as_expected { Ok(()) } else { Err("a script of Redis did not return its result".into()) }
}
