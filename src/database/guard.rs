//! [`Guard`]: keeps the pool free of connections to a PostgreSQL server that accepts no writes.
//!
//! After a failover, a host name can lead to a standby for a while, and a connection that is opened
//! in that time stays open. So the pool checks once whether the server of a new connection takes
//! writes, like libpq's `target_session_attrs=read-write`. The check costs one round trip for each
//! connection, and none for a request.
//!
//! If an error shows that the server has changed, the guard closes every connection that was opened
//! before the failing call ([`Consequence`](super::refusal::Consequence)). This includes readers,
//! because a demoted server returns stale data, and a request would miss a revocation.
//!
//! The guard receives every error, because [`Handle`](super::Handle) and
//! [`Transaction`](super::Transaction) are the only ways to a connection: the fields of `Db` are
//! private to `database`.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sea_orm::sqlx::postgres::PgPoolOptions;
use sea_orm::sqlx::sqlite::SqlitePoolOptions;
use sea_orm::sqlx::{self, Connection as _, PgConnection, Row as _};
use sea_orm::{DatabaseBackend, DbErr};

use super::lease::DbPool;
use super::refusal::{Refusal, consequence};
use super::release;
use super::server_error::without_line;
use super::{ACQUIRE_TIMEOUT, STATEMENT_TIMEOUT};
use crate::health::{Reason, StoreHealth};
use crate::telemetry::observed;

/// The pause between a refused connection and the next attempt. Callers fail at once during this
/// pause. Otherwise each caller would connect, and wait for the pool's acquire time-out.
const NEXT_ATTEMPT_AFTER: Duration = Duration::from_secs(1);

/// A connection that was idle for this long is pinged before it is used.
pub(super) const IDLE_BEFORE_PING: Duration = Duration::from_secs(2);

/// How long the ping of an idle connection may take: half of the time that a request waits for a
/// connection. The other half is left for a new connection.
pub(super) const PING_WITHIN: Duration = ACQUIRE_TIMEOUT.checked_div(2).unwrap();

/// How long the ping of a returned connection may take. Before the server responds, it ends the
/// statement of an abandoned request, within [`STATEMENT_TIMEOUT`], and rolls back.
pub(super) const RELEASE_WITHIN: Duration =
    STATEMENT_TIMEOUT.saturating_add(Duration::from_secs(1));

/// If a call took this long before it was abandoned, the server perhaps does not respond. So the
/// prober has to check the server.
const SUSPICIOUS_AFTER: Duration = Duration::from_secs(1);

/// Values of [`Shared::refusal`].
const NOT_REFUSED: u8 = 0;
const STANDBY: u8 = 1;
const READ_ONLY_BY_DEFAULT: u8 = 2;
const NOT_UTF8: u8 = 3;

/// Asks whether the server takes writes, and whether its database stores every character.
/// `pg_is_in_recovery` distinguishes a standby from a server that is read-only by its settings. The
/// query uses the simple protocol, so that poolers see no prepared statement.
const TAKES_WRITES: &str = "SELECT pg_is_in_recovery(), \
     current_setting('transaction_read_only') = 'on', \
     current_setting('server_encoding') = 'UTF8'";

/// State that the pool's hooks and the callers share.
#[derive(Debug)]
pub(super) struct Shared {
    started: Instant,
    /// Connections that were opened before this time are closed. The time is in nanoseconds since
    /// `started`. 0 means that no connection is closed.
    distrusted: AtomicU64,
    /// The time of the last error that closed connections, in nanoseconds since `started`. A kept
    /// connection that sqlx's pool gave before this time is closed. It is unknown when it was
    /// opened.
    kept_distrusted: AtomicU64,
    /// The time of the next attempt to connect, in nanoseconds since `started`.
    next_attempt: AtomicU64,
    /// Why the last new connection was refused.
    refusal: AtomicU8,
    /// The number of refused connections that the pool still counts, because [`Shared::ask`] holds
    /// them for a while.
    refused: AtomicU32,
    health: Arc<StoreHealth>,
}

impl Shared {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            started: Instant::now(),
            distrusted: AtomicU64::new(0),
            kept_distrusted: AtomicU64::new(0),
            next_attempt: AtomicU64::new(0),
            refusal: AtomicU8::new(NOT_REFUSED),
            refused: AtomicU32::new(0),
            health: StoreHealth::new(),
        })
    }

    /// Sets the pool's hooks. A pool has one hook of each kind, so every check is here.
    pub(super) fn postgres_hooks(self: &Arc<Self>, options: PgPoolOptions) -> PgPoolOptions {
        let (new, idle, released) = (self.clone(), self.clone(), self.clone());
        options
            .after_connect(move |connection, _| {
                let shared = new.clone();
                Box::pin(async move { shared.ask(connection).await })
            })
            .before_acquire(move |connection, meta| {
                let shared = idle.clone();
                Box::pin(async move {
                    if !shared.is_trusted(meta.age) {
                        return Ok(false);
                    }
                    if meta.idle_for >= IDLE_BEFORE_PING {
                        shared.ping(connection, PING_WITHIN).await?;
                    }
                    Ok(true)
                })
            })
            .after_release(move |connection, meta| {
                let shared = released.clone();
                Box::pin(async move {
                    if !shared.is_trusted(meta.age) {
                        return Ok(false);
                    }
                    shared.ping(connection, RELEASE_WITHIN).await?;
                    Ok(release::postgres(connection))
                })
            })
    }

    /// Pings the server, and fails after the time `within`. After a failed ping no older connection
    /// is used, because older connections lead to the same server. The error also makes the pool
    /// drop the connection without a message to the server.
    ///
    /// sqlx also pings each returned connection, but without a time limit. A server that vanished
    /// never responds, so the connection would hold its permit of the pool until TCP gives up,
    /// about 15 minutes later.
    pub(super) async fn ping(
        &self,
        connection: &mut PgConnection,
        within: Duration,
    ) -> sqlx::Result<()> {
        self.within(within, connection.ping()).await
    }

    /// Waits for a response of the server, with the consequences of [`Shared::ping`].
    pub(super) async fn within(
        &self,
        within: Duration,
        call: impl Future<Output = sqlx::Result<()>>,
    ) -> sqlx::Result<()> {
        let began = Instant::now();
        let done = tokio::time::timeout(within, call).await;
        let done = done.unwrap_or_else(|_| {
            let text = format!("no response within {} ms", within.as_millis());
            Err(sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, text)))
        });
        if done.is_err() {
            self.distrust(began);
            self.health.suspect();
        }
        done
    }

    /// Sets the hooks for SQLite. A returned connection is checked. An idle connection is not used
    /// after an error that made older connections unusable.
    pub(super) fn sqlite_hooks(self: &Arc<Self>, options: SqlitePoolOptions) -> SqlitePoolOptions {
        let (idle, released) = (self.clone(), self.clone());
        options
            .before_acquire(move |_, meta| {
                let is_trusted = idle.is_trusted(meta.age);
                Box::pin(async move { Ok(is_trusted) })
            })
            .after_release(move |connection, meta| {
                let is_trusted = released.is_trusted(meta.age);
                Box::pin(async move { Ok(is_trusted && release::sqlite(connection).await) })
            })
    }

    /// Whether a connection of this age is still used.
    pub(super) fn is_trusted(&self, age: Duration) -> bool {
        let made = nanos(self.started.elapsed().saturating_sub(age));
        made >= self.distrusted.load(Ordering::Acquire)
    }

    /// Whether a kept connection is still used that sqlx's pool gave at the time `taken`.
    pub(super) fn is_kept_trusted(&self, taken: Instant) -> bool {
        let taken = nanos(taken.saturating_duration_since(self.started));
        taken >= self.kept_distrusted.load(Ordering::Acquire)
    }

    /// Forbids the use of connections that were opened before this time.
    fn distrust(&self, before: Instant) {
        let before = nanos(before.saturating_duration_since(self.started));
        if self.distrusted.fetch_max(before, Ordering::AcqRel) < before {
            self.kept_distrusted.fetch_max(nanos(self.started.elapsed()), Ordering::AcqRel);
        }
    }

    /// Checks whether the server of a new connection takes writes.
    async fn ask(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let row = sqlx::raw_sql(TAKES_WRITES).fetch_one(connection).await?;
        let refusal = match (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?) {
            (_, _, false) => NOT_UTF8,
            (true, ..) => STANDBY,
            (false, true, _) => READ_ONLY_BY_DEFAULT,
            (false, false, true) => NOT_REFUSED,
        };
        self.refusal.store(refusal, Ordering::Release);
        if refusal == NOT_REFUSED {
            return Ok(());
        }
        self.put_off_the_next();
        self.health.mark_down(self.refusal().map_or(Reason::Refused, Refusal::reason));
        // After an error the pool would connect again and again within the caller's time, and log
        // an error each time. So this function waits until the caller's time is over and the pool
        // drops this future.
        let _counted = Refused::count(&self.refused);
        std::future::pending().await
    }

    fn put_off_the_next(&self) {
        let next = self.started.elapsed() + NEXT_ATTEMPT_AFTER;
        self.next_attempt.store(nanos(next), Ordering::Release);
    }

    /// Why the last new connection was refused. `None` if it was not refused.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        match self.refusal.load(Ordering::Acquire) {
            STANDBY => Some(Refusal::Standby),
            READ_ONLY_BY_DEFAULT => Some(Refusal::ReadOnlyByDefault),
            NOT_UTF8 => Some(Refusal::NotUtf8),
            _ => None,
        }
    }

    /// Whether this caller is the one that tries the next connection.
    fn may_try(&self) -> bool {
        let now = self.started.elapsed();
        let next = self.next_attempt.load(Ordering::Acquire);
        let after = nanos(now + NEXT_ATTEMPT_AFTER);
        nanos(now) >= next
            && self
                .next_attempt
                .compare_exchange(next, after, Ordering::AcqRel, Ordering::Acquire)
                .is_ok()
    }
}

/// Counts a refused connection until it is dropped.
struct Refused<'a>(&'a AtomicU32);

impl<'a> Refused<'a> {
    fn count(refused: &'a AtomicU32) -> Self {
        refused.fetch_add(1, Ordering::AcqRel);
        Self(refused)
    }
}

impl Drop for Refused<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Examines the errors of one pool's connections.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    shared: Arc<Shared>,
    /// `None` for SQLite, whose file does not move to another server.
    pool: Option<DbPool>,
}

impl Guard {
    pub(super) fn new(shared: &Arc<Shared>, pool: &DbPool) -> Self {
        let is_postgres = pool.backend() == DatabaseBackend::Postgres;
        Self { shared: shared.clone(), pool: is_postgres.then(|| pool.clone()) }
    }

    pub(super) fn health(&self) -> &Arc<StoreHealth> {
        &self.shared.health
    }

    /// Runs before a connection is taken. Fails at once while the server is known to take no writes
    /// and the pool has no connection. If a connection is in use, the caller waits until it comes
    /// back.
    pub(super) fn admit(&self) -> Result<(), DbErr> {
        let Some(refusal) = self.shared.refusal() else { return Ok(()) };
        let refused = self.shared.refused.load(Ordering::Acquire);
        let has_some = self.pool.as_ref().is_none_or(|pool| pool.size() > refused);
        if has_some || self.shared.may_try() { Ok(()) } else { Err(refusal.error()) }
    }

    /// Runs after a successful write, because the reason for refusing a connection is then over.
    pub(super) fn forget_refusal(&self) {
        self.shared.refusal.store(NOT_REFUSED, Ordering::Release);
    }

    /// Begins a call. [`Call::end`] takes its result.
    pub(super) fn call(&self) -> Call<'_> {
        Call { guard: self, began: Instant::now(), has_ended: false }
    }

    /// Applies the consequences of an error, for a call that began at this time.
    fn note(&self, error: &DbErr, began: Instant) {
        let consequence = consequence(error);
        if consequence.closes_older {
            self.close_older(began);
        }
        if let Some(reason) = consequence.reason {
            self.shared.health.mark_down(reason);
        } else if consequence.is_suspect {
            self.shared.health.suspect();
        }
    }

    /// Closes connections that were opened before the time `than`. Idle connections are closed now,
    /// connections in use when they come back. The error of an old connection may come late. Then
    /// the connections of sqlx's pool that are newer stay open.
    fn close_older(&self, than: Instant) {
        self.shared.distrust(than);
        if let Some(pool) = &self.pool {
            pool.close_idle();
        }
    }
}

/// A call in progress. If it is dropped before its end, its caller has abandoned it.
pub(super) struct Call<'a> {
    guard: &'a Guard,
    began: Instant,
    has_ended: bool,
}

impl Call<'_> {
    /// Ends the call and returns its result.
    pub(super) fn end<T>(mut self, result: Result<T, DbErr>) -> Result<T, DbErr> {
        self.has_ended = true;
        let Err(mut error) = result else { return result };
        if matches!(error, DbErr::ConnectionAcquire(_)) {
            match self.guard.shared.refusal() {
                // If a new connection was refused, the pool reports only that it has no connection.
                Some(refusal) => error = refusal.error(),
                None => observed::connection_timed_out(),
            }
        }
        error = without_line(error);
        self.guard.note(&error, self.began);
        Err(error)
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if !self.has_ended && self.began.elapsed() >= SUSPICIOUS_AFTER {
            self.guard.shared.health.suspect();
        }
    }
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
