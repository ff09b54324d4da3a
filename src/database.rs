//! The database behind SeaORM: PostgreSQL, or SQLite with one writer.
//!
//! On SQLite every write goes through one connection. [`Db::begin`] takes the write lock at once
//! (`BEGIN IMMEDIATE`), so that no request polls for the lock. Reads have their own connections. On
//! PostgreSQL, reads and writes share one pool.
//!
//! A read-modify-write always runs in a transaction from [`Db::begin`]. A single statement that
//! writes runs on [`Db::writer`].

pub mod batches;
mod cause;
mod connections;
mod facts;
mod guard;
mod handle;
mod lease;
mod measure;
mod probe;
mod refusal;
mod release;
mod rights;
mod server_error;
pub mod tenant_scope;
mod transaction;
mod url;
mod write_probe;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use latchkey_migration::{Migrator, MigratorTrait as _, Schema};
use sea_orm::sea_query::LikeExpr;
use sea_orm::sqlx::ConnectOptions as _;
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseBackend, DatabaseConnection, DbErr,
    IsolationLevel, SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait as _,
};

pub use self::facts::{Facts, Server};
use self::guard::{Guard, Shared};
pub use self::handle::Handle;
use self::lease::DbPool;
use self::measure::Meter;
pub use self::probe::{Endpoint, is_unreachable, of_exhausted_pool};
pub use self::refusal::{Refusal, lacks_table, probe_reason};
pub use self::rights::{Rights, Work};
use self::server_error::{redacted, without_line};
pub use self::transaction::Transaction;
pub use self::url::{
    Protection, check as check_url, ignored as ignored_parameters, protection, verifies,
};
pub use self::write_probe::ProbeError;
use crate::config;
use crate::health::StoreHealth;
pub use cause::{cause, is_unreachable_cause};
pub use sea_orm::DbErr as DatabaseError;

/// How long a statement may take on PostgreSQL before the server ends it. It is below the deadline
/// of every pool whose workers use the database.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a statement may wait for a row's lock.
const LOCK_TIMEOUT: Duration = Duration::from_millis(500);
/// How long a transaction is allowed to be idle, so that a stalled daemon holds no locks.
const IDLE_IN_TRANSACTION_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a request waits for a connection. An exhausted pool counts as an outage.
const ACQUIRE_TIMEOUT: Duration = Duration::from_millis(500);
/// How long a SQLite connection waits for the file's lock, which only another process can hold. A
/// probe waits up to [`ACQUIRE_TIMEOUT`] for its connection, and then this long for the lock.
/// Together this is shorter than the prober's own 2 s, so the prober learns that the file is
/// locked.
const BUSY_TIMEOUT: Duration = Duration::from_secs(1);
/// The key of the migrations' advisory lock: "latchkey" in ASCII.
const MIGRATION_LOCK: i64 = 0x6c61_7463_686b_6579;
/// SeaORM gets this URL instead of the real PostgreSQL URL, because SeaORM puts URLs into errors
/// and spans.
const WITHOUT_SECRETS: &str = "postgres://localhost";
/// How sqlx names the file of `sqlite://:memory:`.
const IN_MEMORY: &str = "file:sqlx-in-memory-";

/// Connections to the database.
#[derive(Clone, Debug)]
pub struct Db {
    reader: Handle,
    writer: Handle,
    seaorm: Arc<SeaOrm>,
}

/// SeaORM's own connections of the same pools. The migrations need them.
#[derive(Debug)]
struct SeaOrm {
    reader: DatabaseConnection,
    writer: DatabaseConnection,
}

impl Db {
    /// Connects. A missing SQLite file is created with mode 0600.
    pub async fn connect(config: &config::Database) -> Result<Self, DbErr> {
        let shared = Shared::new();
        if config.is_sqlite() {
            Self::connect_sqlite(config, &shared).await
        } else {
            Self::connect_postgres(config, &shared).await
        }
    }

    async fn connect_postgres(
        config: &config::Database,
        shared: &Arc<Shared>,
    ) -> Result<Self, DbErr> {
        let server = self::url::postgres(config)?.disable_statement_logging();
        let server = server.application_name("latchkey").options([
            ("statement_timeout", milliseconds(STATEMENT_TIMEOUT)),
            ("lock_timeout", milliseconds(LOCK_TIMEOUT)),
            ("idle_in_transaction_session_timeout", milliseconds(IDLE_IN_TRANSACTION_TIMEOUT)),
        ]);
        let mut options = ConnectOptions::new(WITHOUT_SECRETS);
        let guarded = shared.clone();
        common(&mut options)
            .max_connections(config.max_connections)
            .map_sqlx_postgres_pool_opts(move |pool| guarded.postgres_hooks(pool))
            .map_sqlx_postgres_opts(move |_| server.clone());
        let pool = match Database::connect(options).await {
            Ok(pool) => pool,
            Err(error) => {
                if let Some(refusal) = shared.refusal() {
                    return Err(refusal.error());
                }
                let error = without_line(probe::reason(config, error).await);
                return Err(redacted(config, error));
            }
        };
        let connections = DbPool::new(&pool, shared);
        let seaorm = SeaOrm { reader: pool.clone(), writer: pool };
        Ok(Self::guarded(shared, (connections.clone(), connections), seaorm))
    }

    async fn connect_sqlite(
        config: &config::Database,
        shared: &Arc<Shared>,
    ) -> Result<Self, DbErr> {
        let url = config.url.expose();
        create_private(&sqlite_path(url))?;
        let connect = async |connections: u32| {
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
                        // SQLite overwrites deleted data, so that the data of a deleted user does
                        // not stay in free pages.
                        .pragma("secure_delete", "ON")
                        .busy_timeout(BUSY_TIMEOUT)
                });
            Database::connect(options).await.map_err(|error| redacted(config, error))
        };
        let (writer, reader) = (connect(1).await?, connect(config.max_connections).await?);
        let pools = (DbPool::new(&reader, shared), DbPool::new(&writer, shared));
        Ok(Self::guarded(shared, pools, SeaOrm { reader, writer }))
    }

    fn guarded(
        shared: &Arc<Shared>,
        (read_pool, write_pool): (DbPool, DbPool),
        seaorm: SeaOrm,
    ) -> Self {
        let meter = Meter::default();
        let guards = (Guard::new(shared, &read_pool), Guard::new(shared, &write_pool));
        Self {
            reader: Handle::reader(guards.0, read_pool, meter.clone()),
            writer: Handle::writer(guards.1, write_pool, meter),
            seaorm: Arc::new(seaorm),
        }
    }

    /// Whether the database takes writes. The last probe decides this, and so does an outage after
    /// that probe.
    pub fn health(&self) -> &Arc<StoreHealth> {
        self.writer.guard.health()
    }

    /// The connections for reading. They read the same database as the writer, so they never lag
    /// behind.
    pub fn reader(&self) -> &Handle {
        &self.reader
    }

    /// The connection for a single statement that writes.
    pub fn writer(&self) -> &Handle {
        &self.writer
    }

    /// How many statements were sent, without `BEGIN` and `COMMIT`. Tests use it to check the cost
    /// of a request.
    pub fn statements(&self) -> u64 {
        self.writer.meter.statements.load(Ordering::Relaxed)
    }

    /// Begins a transaction that may write. The transaction rolls back when it is dropped.
    pub async fn begin(&self) -> Result<Transaction, DbErr> {
        self.begin_with("").await
    }

    /// Begins a transaction that may write. On PostgreSQL, `then` is sent in the same message.
    async fn begin_with(&self, then: &str) -> Result<Transaction, DbErr> {
        self.writer.begin_writing(then).await
    }

    /// Begins a transaction that reads. On PostgreSQL, settings such as the tenant scope apply to
    /// this transaction alone.
    pub async fn begin_reading(&self) -> Result<Transaction, DbErr> {
        self.begin_reading_with("").await
    }

    /// Begins a transaction that reads. On PostgreSQL, `then` is sent in the same message.
    async fn begin_reading_with(&self, then: &str) -> Result<Transaction, DbErr> {
        self.reader.begin_reading(IsolationLevel::ReadCommitted, then).await
    }

    /// The SQL dialect of the database.
    pub fn backend(&self) -> DatabaseBackend {
        self.writer.get_database_backend()
    }

    /// Whether this is PostgreSQL. Otherwise it is SQLite.
    pub fn is_postgres(&self) -> bool {
        self.backend() == DatabaseBackend::Postgres
    }

    /// Applies the missing migrations. Several replicas may call this at the same time: each
    /// replica waits until the replica before it is done.
    pub async fn migrate(&self) -> Result<(), DbErr> {
        match self.migrate_in_turn().await {
            Err(error) => Err(self.explained(error, Work::Migrate).await),
            done => done,
        }
    }

    async fn migrate_in_turn(&self) -> Result<(), DbErr> {
        self.writer.guard.admit()?;
        let _lent = self.writer.pool.lend().await?;
        let call = self.writer.guard.call();
        call.end(migrate(&self.seaorm.writer).await)
    }

    /// What the schema lacks, and what it has that this binary does not know. Changes nothing.
    pub async fn schema(&self) -> Result<Schema, DbErr> {
        self.schema_for(Work::Serve).await
    }

    /// Like [`Db::schema`]. If the schema is not complete, and the role lacks a right for this
    /// work, the error says which right.
    pub async fn schema_for(&self, work: Work) -> Result<Schema, DbErr> {
        let read = async || {
            let _lent = self.reader.pool.lend().await?;
            Schema::of(&self.seaorm.reader).await
        };
        let mut schema = self.reader.call(read()).await;
        if schema.as_ref().is_ok_and(|schema| !schema.pending.is_empty()) {
            // For a role that may not use the schema, it has no tables.
            if let Some(error) = self.closed_schema(work).await {
                return Err(error);
            }
            // Perhaps the role has got its rights in the meantime, and now sees the tables.
            schema = self.reader.call(read()).await;
        }
        match schema {
            Ok(schema) => Ok(schema),
            Err(error) => Err(self.explained(error, work).await),
        }
    }

    /// Names of migrations that are not applied yet, the oldest first. Changes nothing.
    pub async fn pending_migrations(&self) -> Result<Vec<String>, DbErr> {
        Ok(self.schema().await?.pending)
    }

    /// Whether the database responds.
    pub async fn ping(&self) -> Result<(), DbErr> {
        self.reader
            .query_one_raw(Statement::from_string(self.reader.get_database_backend(), "SELECT 1"))
            .await
            .map(drop)
    }
}

/// Applies the missing migrations in one transaction. Migrations of a later release that only add
/// to the schema are ignored. They are no error, because daemons of that release may run beside
/// this daemon.
async fn migrate(connection: &DatabaseConnection) -> Result<(), DbErr> {
    let immediate = Some(SqliteTransactionMode::Immediate);
    let options = TransactionOptions { sqlite_transaction_mode: immediate, ..Default::default() };
    let tx = connection.begin_with_options(options).await?;
    if tx.get_database_backend() == DatabaseBackend::Postgres {
        // Some migrations take longer than these limits, and so does the wait for another replica's
        // migrations.
        for sql in ["SET LOCAL statement_timeout = 0", "SET LOCAL lock_timeout = 0"] {
            tx.execute_unprepared(sql).await?;
        }
        let lock = "SELECT pg_advisory_xact_lock($1)";
        let values = [MIGRATION_LOCK.into()];
        tx.execute_raw(Statement::from_sql_and_values(DatabaseBackend::Postgres, lock, values))
            .await?;
    }
    let schema = Schema::of(&tx).await?;
    match schema.beyond() {
        Some(outside) => return Err(DbErr::Migration(outside.to_string())),
        None if schema.pending.is_empty() => {}
        None => Migrator::up(&tx, None).await?,
    }
    tx.commit().await
}

/// The time in PostgreSQL's notation.
fn milliseconds(time: Duration) -> String {
    format!("{}ms", time.as_millis())
}

/// The options that both databases share. The guard's hooks ping only idle connections, while sqlx
/// would ping before every use. Statements are not logged, because they contain email addresses.
fn common(options: &mut ConnectOptions) -> &mut ConnectOptions {
    options
        .sqlx_logging(false)
        .test_before_acquire(false)
        .min_connections(0)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_timeout(Duration::from_secs(3))
}

/// The file of a `sqlite://` URL, as sqlx reads it. Empty if sqlx refuses the URL.
pub fn sqlite_path(url: &str) -> PathBuf {
    let options = url.parse::<SqliteConnectOptions>();
    options.map(|it| it.get_filename().to_owned()).unwrap_or_default()
}

/// Creates an empty file that only its owner can read, if there is no file yet. SQLite itself would
/// use the umask for the mode of the file.
fn create_private(path: &Path) -> Result<(), DbErr> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let is_in_memory = path.to_string_lossy().starts_with(IN_MEMORY);
    if path.exists() || is_in_memory {
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

/// Returns a LIKE pattern that finds `part` anywhere in a text. The text must be in lower case.
/// `part` can be in upper or lower case, because this function converts it. A wildcard in `part`
/// matches only itself.
pub fn containing(part: &str) -> LikeExpr {
    let escaped =
        |c: char| matches!(c, '%' | '_' | '\\').then_some('\\').into_iter().chain(Some(c));
    let plain: String = part.to_lowercase().chars().flat_map(escaped).collect();
    LikeExpr::new(format!("%{plain}%")).escape('\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_a_url_is_the_one_that_sqlx_opens() {
        for (url, file) in [
            ("sqlite:///var/lib/x.db", "/var/lib/x.db"),
            ("sqlite://./data/x.db?mode=rwc", "./data/x.db"),
            ("sqlite:x.db", "x.db"),
            ("sqlite:///srv/my%20data/a%3Fb.db", "/srv/my data/a?b.db"),
        ] {
            assert_eq!(sqlite_path(url), Path::new(file), "{url}");
        }
        assert!(sqlite_path("sqlite://:memory:").to_string_lossy().starts_with(IN_MEMORY));
    }

    #[tokio::test]
    async fn after_an_error_of_the_file_an_idle_reader_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", dir.path().join("t.db").display());
        let config = config::Database { max_connections: 1, ..config::Database::at(&url) };
        let db = Db::connect(&config).await.unwrap();
        // Only this connection sees the table.
        db.reader().execute_unprepared("CREATE TEMP TABLE mark (id INTEGER)").await.unwrap();
        let marked = async || db.reader().execute_unprepared("SELECT id FROM mark").await.is_ok();
        assert!(marked().await);
        db.writer().execute_unprepared("PRAGMA query_only = ON").await.unwrap();
        db.writer().execute_unprepared("CREATE TABLE t (id INTEGER)").await.unwrap_err();
        assert_eq!(db.health().reason(), Some(crate::health::Reason::ReadOnly));
        assert!(!marked().await, "another connection reads");
        db.writer().execute_unprepared("CREATE TABLE t (id INTEGER)").await.unwrap();
    }

    #[tokio::test]
    async fn a_file_with_a_space_in_its_name_is_created_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/my%20data.db", dir.path().display());
        let config = config::Database { max_connections: 1, ..config::Database::at(&url) };
        Db::connect(&config).await.unwrap().migrate().await.unwrap();
        let mode = std::fs::metadata(dir.path().join("my data.db")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!dir.path().join("my%20data.db").exists());
    }
}
