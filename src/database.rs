//! The database: SQLite with one writer, or PostgreSQL, behind SeaORM.
//!
//! On SQLite every write goes through one connection ([`Db::begin`] takes its lock at once, `BEGIN IMMEDIATE`), so that
//! nobody ever waits by polling a lock; reads have connections of their own. On PostgreSQL both are one pool.
//! A read-modify-write always runs in a transaction from [`Db::begin`], a single statement on [`Db::writer`].

mod cause;
mod facts;
mod guard;
mod handle;
mod measure;
mod probe;
mod refusal;
mod release;
pub mod tenant_scope;
mod transaction;
mod url;
mod write_probe;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use latchkey_migration::{Migrator, MigratorTrait, Schema};
use sea_orm::sea_query::LikeExpr;
use sea_orm::sqlx::ConnectOptions as _;
use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{
    AccessMode, ConnectOptions, ConnectionTrait, Database, DatabaseBackend, DatabaseConnection,
    DatabaseTransaction, DbErr, IsolationLevel, Statement, TransactionOptions,
};

pub use self::facts::{Facts, Server};
use self::guard::{Guard, Shared};
pub use self::handle::Handle;
use self::measure::Measure;
pub use self::probe::{Place, is_unreachable, of_exhausted_pool};
pub use self::refusal::{Refusal, probe_reason};
pub use self::transaction::Transaction;
pub use self::url::{check as check_url, ignored as ignored_parameters};
pub use self::write_probe::ProbeError;
use crate::config;
use crate::health::StoreHealth;
pub use cause::is_unreachable_cause;
pub use sea_orm::DbErr as DatabaseError;

/// How long a statement may take on PostgreSQL before the server ends it: below every pool's deadline.
const STATEMENT_TIMEOUT: &str = "2s";
/// How long a statement may wait for a row's lock.
const LOCK_TIMEOUT: &str = "500ms";
/// How long a transaction may sit idle, so that a stalled daemon holds no locks.
const IDLE_IN_TRANSACTION_TIMEOUT: &str = "5s";
/// How long a request waits for a connection: an exhausted pool is an outage, not a queue.
const ACQUIRE_TIMEOUT: Duration = Duration::from_millis(500);
/// How long a SQLite connection waits for the file's lock: only another process can hold it.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
/// A connection that was idle for so long is asked whether it still lives before it is used.
const IDLE_BEFORE_PING: Duration = Duration::from_secs(2);
/// `pg_advisory_lock`'s key of the migrations: "latchkey" in ASCII.
const MIGRATION_LOCK: i64 = 0x6c61_7463_686b_6579;
/// What SeaORM is given in place of a PostgreSQL's URL: it puts URLs into errors and spans.
const WITHOUT_SECRETS: &str = "postgres://localhost";

/// Connections to the one database.
#[derive(Clone, Debug)]
pub struct Db {
    reader: Handle,
    writer: Handle,
    statements: Arc<AtomicU64>,
    measure: Option<Measure>,
}

impl Db {
    /// Connects. A SQLite file is made, mode 0600, where it is missing.
    pub async fn connect(config: &config::Database) -> Result<Self, DbErr> {
        let url = config.url.expose();
        let shared = Shared::new();
        if !config.is_sqlite() {
            let server = self::url::postgres(url)?.disable_statement_logging();
            let server = server.application_name("latchkey").options([
                ("statement_timeout", STATEMENT_TIMEOUT),
                ("lock_timeout", LOCK_TIMEOUT),
                ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION_TIMEOUT),
            ]);
            let mut options = ConnectOptions::new(WITHOUT_SECRETS);
            let guarded = shared.clone();
            common(&mut options)
                .max_connections(config.max_connections)
                .map_sqlx_postgres_pool_opts(move |pool| guarded.postgres_hooks(pool))
                .map_sqlx_postgres_opts(move |_| server.clone());
            let mut pool = match Database::connect(options).await {
                Ok(pool) => pool,
                Err(error) => match shared.refusal() {
                    Some(refusal) => return Err(refusal.error()),
                    None => return Err(self::url::redacted(url, probe::reason(url, error).await)),
                },
            };
            let statements = counted([&mut pool]);
            return Ok(Self::guarded(&shared, pool.clone(), pool, statements));
        }
        create_private(Path::new(sqlite_path(url)))?;
        let connect = |connections: u32| {
            let guarded = shared.clone();
            let mut options = ConnectOptions::new(url.clone());
            common(&mut options)
                .max_connections(connections)
                .map_sqlx_sqlite_pool_opts(move |pool| guarded.sqlite_hooks(pool))
                .map_sqlx_sqlite_opts(|options| {
                    options
                        .journal_mode(SqliteJournalMode::Wal)
                        .synchronous(SqliteSynchronous::Full)
                        .foreign_keys(true)
                        // SQLite overwrites what it deletes: a deleted user's data does not stay in free pages.
                        .pragma("secure_delete", "ON")
                        .busy_timeout(BUSY_TIMEOUT)
                });
            Database::connect(options)
        };
        let connect = async |connections: u32| {
            connect(connections).await.map_err(|error| self::url::redacted(url, error))
        };
        let (mut writer, mut reader) = (connect(1).await?, connect(config.max_connections).await?);
        let statements = counted([&mut writer, &mut reader]);
        Ok(Self::guarded(&shared, reader, writer, statements))
    }

    fn guarded(
        shared: &Arc<Shared>,
        reader: DatabaseConnection,
        writer: DatabaseConnection,
        statements: Arc<AtomicU64>,
    ) -> Self {
        Self {
            reader: Handle::reader(Guard::new(shared, &reader), reader),
            writer: Handle::writer(Guard::new(shared, &writer), writer),
            statements,
            measure: None,
        }
    }

    /// Whether it takes writes, as the last probe or an outage since then has it.
    pub fn health(&self) -> &Arc<StoreHealth> {
        self.writer.guard.health()
    }

    /// For reading; may lag behind nothing: both are the primary.
    pub fn reader(&self) -> &Handle {
        &self.reader
    }

    /// For a single statement that writes.
    pub fn writer(&self) -> &Handle {
        &self.writer
    }

    /// Statements sent so far; the `BEGIN` and `COMMIT` around them apart. For tests of what a request costs.
    pub fn statements(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }

    /// A transaction that may write. It rolls back when dropped.
    pub async fn begin(&self) -> Result<Transaction, DbErr> {
        let guard = &self.writer.guard;
        guard.admit()?;
        let begun = guard.call().end(self.begin_writing().await)?;
        Ok(Transaction::new(begun, guard.clone()))
    }

    async fn begin_writing(&self) -> Result<DatabaseTransaction, DbErr> {
        let mut options = handle::immediate();
        if self.is_postgres() {
            options.isolation_level = Some(IsolationLevel::ReadCommitted);
            options.access_mode = Some(AccessMode::ReadWrite);
        }
        let started = Instant::now();
        let begun = transaction::begin(&self.writer.inner, options).await;
        if let Some(measure) = &self.measure {
            measure.record("BEGIN", started.elapsed(), begun.is_err());
        }
        begun
    }

    /// A transaction that reads: one moment of the database, and on PostgreSQL a place for settings of its own.
    pub async fn begin_reading(&self) -> Result<Transaction, DbErr> {
        let mut options = TransactionOptions::default();
        if self.is_postgres() {
            options.isolation_level = Some(IsolationLevel::ReadCommitted);
            options.access_mode = Some(AccessMode::ReadOnly);
        }
        self.reader.begin(options).await
    }

    /// The dialect, for a statement of our own.
    pub fn backend(&self) -> DatabaseBackend {
        self.writer.get_database_backend()
    }

    /// Whether this is PostgreSQL; else it is SQLite.
    pub fn is_postgres(&self) -> bool {
        self.backend() == DatabaseBackend::Postgres
    }

    /// Applies what is missing of the schema. Several replicas may call it at once: they take turns.
    pub async fn migrate(&self) -> Result<(), DbErr> {
        let tx = self.begin_writing().await?;
        if self.is_postgres() {
            // Waiting for another replica's migrations and long migrations themselves are no reason to give up.
            for sql in ["SET LOCAL statement_timeout = 0", "SET LOCAL lock_timeout = 0"] {
                tx.execute_unprepared(sql).await?;
            }
            tx.execute_raw(Statement::from_sql_and_values(
                DatabaseBackend::Postgres,
                "SELECT pg_advisory_xact_lock($1)",
                [MIGRATION_LOCK.into()],
            ))
            .await?;
        }
        // A later release's additions are no work of ours, and no error: its daemons stand beside this one.
        let schema = Schema::of(&tx).await?;
        if let Some(reason) = schema.beyond() {
            return Err(DbErr::Migration(reason));
        }
        if !schema.pending.is_empty() {
            Migrator::up(&tx, None).await?;
        }
        tx.commit().await
    }

    /// What the database's schema lacks, and has beyond what this binary knows. Changes nothing.
    pub async fn schema(&self) -> Result<Schema, DbErr> {
        self.reader.guard.admit()?;
        self.reader.guard.call().end(Schema::of(&self.reader.inner).await)
    }

    /// Names of migrations that are not applied yet, oldest first. Changes nothing.
    pub async fn pending_migrations(&self) -> Result<Vec<String>, DbErr> {
        Ok(self.schema().await?.pending)
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), DbErr> {
        self.reader
            .query_one_raw(Statement::from_string(self.reader.get_database_backend(), "SELECT 1"))
            .await
            .map(drop)
    }
}

/// Counts the statements of these connections.
fn counted<const N: usize>(connections: [&mut DatabaseConnection; N]) -> Arc<AtomicU64> {
    let statements = Arc::new(AtomicU64::new(0));
    for connection in connections {
        let statements = statements.clone();
        connection.set_metric_callback(move |_| {
            statements.fetch_add(1, Ordering::Relaxed);
        });
    }
    statements
}

/// What both databases share: a ping only before a connection that was idle (each query would pay a round trip for it),
/// no log of statements (they would carry addresses).
fn common(options: &mut ConnectOptions) -> &mut ConnectOptions {
    options
        .sqlx_logging(false)
        .test_before_acquire_if_idle_for(IDLE_BEFORE_PING)
        .min_connections(0)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_timeout(Duration::from_secs(3))
}

/// The file of a `sqlite://` URL.
pub fn sqlite_path(url: &str) -> &str {
    let path = url.trim_start_matches("sqlite:").trim_start_matches("//");
    path.split('?').next().unwrap_or(path)
}

/// Makes an empty file that only we can read, where there is none: SQLite would use the umask.
fn create_private(path: &Path) -> Result<(), DbErr> {
    use std::os::unix::fs::OpenOptionsExt as _;
    if path.exists() || path == Path::new(":memory:") {
        return Ok(());
    }
    std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map(drop)
        .map_err(|error| DbErr::Custom(format!("cannot create {}: {error}", path.display())))
}
/// What a LIKE over lower-case text has to say to find this part of it, in any case: a wildcard in it is meant as itself.
pub fn containing(part: &str) -> LikeExpr {
    let escaped =
        |c: char| matches!(c, '%' | '_' | '\\').then_some('\\').into_iter().chain(Some(c));
    let plain: String = part.to_lowercase().chars().flat_map(escaped).collect();
    LikeExpr::new(format!("%{plain}%")).escape('\\')
}
