//! [`Connections`]: gives a connection to its next caller without a round trip.
//!
//! sqlx pings each connection that comes back to its pool, in a task of its own. The hooks of
//! `guard.rs` ping it again, and check that it is outside of a transaction. So with sqlx's pool
//! alone, each statement costs three round trips. A connection whose last call ended well needs no
//! check. [`Connections`] keeps such a connection and gives it to the next caller. sqlx's pool
//! opens connections and closes them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use sea_orm::sqlx::pool::PoolConnection;
use sea_orm::sqlx::{self, Database, PgConnection, Pool, Postgres, Sqlite, SqliteConnection};
use sea_orm::{ConnAcquireErr, DbErr, RuntimeErr};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::guard::{IDLE_BEFORE_PING, PING_WITHIN, RELEASE_WITHIN, Shared};
use super::{ACQUIRE_TIMEOUT, release};

/// A kept connection that is idle for this long goes back to sqlx's pool when another one is kept.
/// sqlx closes it later. This is the default of sqlx.
const IDLE_MAX: Duration = Duration::from_mins(10);
/// A connection that is kept for this long goes back to sqlx's pool, which closes it when it is
/// old. This is the default of sqlx.
const KEPT_MAX: Duration = Duration::from_mins(30);

/// What differs between the databases.
pub(super) trait Backend: Database {
    /// Whether a connection that was idle for some time still works.
    fn responds(
        shared: &Shared,
        connection: &mut Self::Connection,
    ) -> impl Future<Output = bool> + Send;

    /// Waits for the end of an abandoned call, and rolls back if a transaction is open. Returns
    /// whether the connection can be used again.
    fn clean(
        shared: &Shared,
        connection: &mut Self::Connection,
        in_transaction: bool,
    ) -> impl Future<Output = bool> + Send;
}

impl Backend for Postgres {
    async fn responds(shared: &Shared, connection: &mut PgConnection) -> bool {
        shared.ping(connection, PING_WITHIN).await.is_ok()
    }

    async fn clean(shared: &Shared, connection: &mut PgConnection, in_transaction: bool) -> bool {
        if !in_transaction {
            return shared.ping(connection, RELEASE_WITHIN).await.is_ok();
        }
        let rolled_back = async { sqlx::raw_sql("ROLLBACK").execute(connection).await.map(drop) };
        shared.within(RELEASE_WITHIN, rolled_back).await.is_ok()
    }
}

impl Backend for Sqlite {
    async fn responds(_: &Shared, _: &mut SqliteConnection) -> bool {
        true
    }

    async fn clean(_: &Shared, connection: &mut SqliteConnection, in_transaction: bool) -> bool {
        let roll_back = sqlx::raw_sql("ROLLBACK");
        if in_transaction && roll_back.execute(&mut *connection).await.is_ok() {
            return true;
        }
        // SQLite has perhaps rolled back by itself.
        release::sqlite(connection).await
    }
}

/// The connections of one pool.
#[derive(Debug)]
pub(super) struct Connections<DB: Backend> {
    pool: Pool<DB>,
    /// One permit for each connection that the pool may open.
    permits: Semaphore,
    /// The connections that are not in use. The last one was used last.
    kept: Mutex<Vec<Kept<DB>>>,
    shared: Arc<Shared>,
}

/// A connection that goes back to sqlx's pool when it is dropped. This needs a task. So the
/// connection is closed where there is no runtime, for example when the program ends.
#[derive(Debug)]
struct Pooled<DB: Database>(Option<PoolConnection<DB>>);

impl<DB: Database> Pooled<DB> {
    fn connection(&mut self) -> &mut DB::Connection {
        self.0.as_mut().expect("it is there until the drop")
    }

    fn close(mut self) {
        drop(self.0.take().map(PoolConnection::detach));
    }
}

impl<DB: Database> Drop for Pooled<DB> {
    fn drop(&mut self) {
        let Some(connection) = self.0.take() else { return };
        if tokio::runtime::Handle::try_current().is_err() {
            drop(connection.detach());
        }
    }
}

#[derive(Debug)]
struct Kept<DB: Database> {
    connection: Pooled<DB>,
    /// When the connection came from sqlx's pool.
    taken: Instant,
    /// When its last call ended.
    used: Instant,
}

impl<DB: Backend> Connections<DB> {
    pub(super) fn new(pool: Pool<DB>, shared: Arc<Shared>) -> Arc<Self> {
        let max = usize::try_from(pool.options().get_max_connections()).unwrap_or(usize::MAX);
        let permits = Semaphore::new(max.min(Semaphore::MAX_PERMITS));
        Arc::new(Self { pool, permits, kept: Mutex::default(), shared })
    }

    /// The number of open connections.
    pub(super) fn size(&self) -> u32 {
        self.pool.size()
    }

    /// The number of open connections that are not in use.
    pub(super) fn idle(&self) -> usize {
        self.kept().len() + self.pool.num_idle()
    }

    pub(super) fn max(&self) -> u32 {
        self.pool.options().get_max_connections()
    }

    /// Takes a connection.
    ///
    /// # Errors
    /// [`DbErr::ConnectionAcquire`] if no connection becomes free within [`ACQUIRE_TIMEOUT`].
    pub(super) async fn take(self: &Arc<Self>) -> Result<Held<DB>, DbErr> {
        if let Some(held) = self.take_now() {
            return Ok(held);
        }
        // The box keeps the futures of requests small.
        let in_turn: BoxFuture<'_, _> = Box::pin(self.take_in_turn());
        let taken = timeout(ACQUIRE_TIMEOUT, in_turn).await;
        taken.unwrap_or(Err(sqlx::Error::PoolTimedOut)).map_err(not_acquired)
    }

    /// Takes a connection that was in use a moment ago.
    fn take_now(self: &Arc<Self>) -> Option<Held<DB>> {
        self.permits.try_acquire().ok()?.forget();
        let permit = Permit(self.clone());
        let mut kept = self.kept();
        let is_good = |it: &Kept<DB>| {
            it.used.elapsed() < IDLE_BEFORE_PING && self.shared.is_kept_trusted(it.taken)
        };
        let found = if kept.last().is_some_and(is_good) { kept.pop() } else { None };
        drop(kept);
        found.map(|kept| Held::new(kept.connection, kept.taken, permit))
    }

    async fn take_in_turn(self: &Arc<Self>) -> sqlx::Result<Held<DB>> {
        self.permits.acquire().await.map_err(|_| sqlx::Error::PoolClosed)?.forget();
        let permit = Permit(self.clone());
        while let Some(Kept { mut connection, taken, .. }) = self.pop() {
            let is_trusted = self.shared.is_kept_trusted(taken);
            if is_trusted && DB::responds(&self.shared, connection.connection()).await {
                return Ok(Held::new(connection, taken, permit));
            }
            connection.close();
        }
        // The time before the ping of the pool. If the server is distrusted during the ping, the
        // connection is not kept.
        let taken = Instant::now();
        let connection = self.pool.acquire().await?;
        Ok(Held::new(Pooled(Some(connection)), taken, permit))
    }

    /// Leaves one connection to a caller that uses sqlx's pool directly, until the permit is
    /// dropped.
    pub(super) async fn lend(self: &Arc<Self>) -> Result<Permit<DB>, DbErr> {
        let permit = timeout(ACQUIRE_TIMEOUT, self.permits.acquire()).await;
        let permit = permit.map_err(|_| sqlx::Error::PoolTimedOut).map_err(not_acquired)?;
        permit.map_err(|_| sqlx::Error::PoolClosed).map_err(not_acquired)?.forget();
        drop(self.pop());
        Ok(Permit(self.clone()))
    }

    /// Closes the connections that are not in use. sqlx's pool keeps those of its own that are
    /// still trusted.
    pub(super) fn close_idle(&self) {
        let kept = std::mem::take(&mut *self.kept());
        for Kept { connection, .. } in kept {
            connection.close();
        }
        // The hook of sqlx's pool closes the connections that are too old.
        let idle: Vec<_> = std::iter::from_fn(|| self.pool.try_acquire()).collect();
        drop(idle);
    }

    fn keep(&self, connection: Pooled<DB>, taken: Instant) {
        let used = Instant::now();
        if used.duration_since(taken) >= KEPT_MAX || !self.shared.is_kept_trusted(taken) {
            return;
        }
        let mut kept = self.kept();
        kept.push(Kept { connection, taken, used });
        let is_idle = kept.first().is_some_and(|it| it.used.elapsed() >= IDLE_MAX);
        let oldest = is_idle.then(|| kept.remove(0));
        drop(kept);
        drop(oldest);
    }

    fn pop(&self) -> Option<Kept<DB>> {
        self.kept().pop()
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Kept<DB>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to use one connection.
#[derive(Debug)]
pub(super) struct Permit<DB: Backend>(Arc<Connections<DB>>);

impl<DB: Backend> Drop for Permit<DB> {
    fn drop(&mut self) {
        self.0.permits.add_permits(1);
    }
}

/// A connection in use. When it is dropped, it becomes free for the next caller. If its last call
/// did not end well, or a transaction is open, a task cleans it first.
#[derive(Debug)]
pub(super) struct Held<DB: Backend> {
    /// None after the drop.
    connection: Option<(Pooled<DB>, Permit<DB>)>,
    taken: Instant,
    /// Whether a transaction is perhaps open. It is true until a `COMMIT` or `ROLLBACK` has ended
    /// well.
    pub(super) in_transaction: bool,
    /// False while a call runs, and after a call that failed.
    pub(super) is_settled: bool,
}

impl<DB: Backend> Held<DB> {
    fn new(connection: Pooled<DB>, taken: Instant, permit: Permit<DB>) -> Self {
        let connection = Some((connection, permit));
        Self { connection, taken, in_transaction: false, is_settled: true }
    }

    pub(super) fn connection(&mut self) -> &mut DB::Connection {
        let (connection, _) = self.connection.as_mut().expect("it is there until the drop");
        connection.connection()
    }
}

impl<DB: Backend> Drop for Held<DB> {
    fn drop(&mut self) {
        let Some((mut connection, permit)) = self.connection.take() else { return };
        let (taken, in_transaction) = (self.taken, self.in_transaction);
        if self.is_settled && !in_transaction {
            permit.0.keep(connection, taken);
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        // The task ends within the time limits of a statement and of a ping.
        runtime.spawn(async move {
            let owner = &permit.0;
            if DB::clean(&owner.shared, connection.connection(), in_transaction).await {
                owner.keep(connection, taken);
            } else {
                connection.close();
            }
        });
    }
}

fn not_acquired(error: sqlx::Error) -> DbErr {
    match error {
        sqlx::Error::PoolTimedOut => DbErr::ConnectionAcquire(ConnAcquireErr::Timeout),
        sqlx::Error::PoolClosed => DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed),
        error => DbErr::Conn(RuntimeErr::SqlxError(error.into())),
    }
}
