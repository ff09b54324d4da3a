//! [`Guard`]: keeps connections to a PostgreSQL that takes no writes out of the pool.
//!
//! After a failover a name can lead to a standby for a while, and a connection that was made then stays open. So a new
//! connection is asked once whether its server takes writes, like libpq's `target_session_attrs=read-write`: one round
//! trip for a connection, none for a request. An error that shows that the server changed closes every connection that
//! was made before it ([`Consequence`](super::refusal::Consequence)): readers too, since what a demoted server answers is
//! stale, and a revocation would be missed.
//!
//! The guard sees every error, because [`Handle`](super::Handle) and [`Transaction`](super::Transaction) are the only ways
//! to a connection: the fields of `Db` are private to `database`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sea_orm::sqlx::postgres::PgPoolOptions;
use sea_orm::sqlx::sqlite::SqlitePoolOptions;
use sea_orm::sqlx::{self, Connection as _, PgConnection, PgPool, Row as _};
use sea_orm::{DatabaseBackend, DatabaseConnection, DbErr};

use super::IDLE_BEFORE_PING;
use super::refusal::{Refusal, consequence};
use super::release;
use crate::health::{Reason, StoreHealth};
use crate::telemetry::observed;

/// After a refused connection the next one is tried when this time is over. Callers in between fail at once: without it
/// every one of them would connect, and wait for the pool's acquire time-out.
const NEXT_ATTEMPT_AFTER: Duration = Duration::from_secs(1);

/// A call that was given up after so long may have met a server that does not answer: the prober has to look.
const SUSPICIOUS_AFTER: Duration = Duration::from_secs(1);

/// Values of [`Shared::refusal`].
const NOT_REFUSED: u8 = 0;
const STANDBY: u8 = 1;
const READ_ONLY_BY_DEFAULT: u8 = 2;

/// `pg_is_in_recovery` tells a standby from a server that is read-only by its settings. Both are asked in the simple
/// protocol: poolers see no prepared statement.
const TAKES_WRITES: &str =
    "SELECT pg_is_in_recovery(), current_setting('transaction_read_only') = 'on'";

/// What the pool's hooks and the callers share.
#[derive(Debug)]
pub(super) struct Shared {
    started: Instant,
    /// Connections made before this time are closed; nanoseconds since `started`, 0 for none.
    distrusted: AtomicU64,
    /// When the next connection may be tried; nanoseconds since `started`.
    next_attempt: AtomicU64,
    /// Why the last new connection was refused.
    refusal: AtomicU8,
    health: Arc<StoreHealth>,
}

impl Shared {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            started: Instant::now(),
            distrusted: AtomicU64::new(0),
            next_attempt: AtomicU64::new(0),
            refusal: AtomicU8::new(NOT_REFUSED),
            health: StoreHealth::new(),
        })
    }

    /// Sets the pool's hooks. A pool has one of each kind: whoever needs another check puts it in here.
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
                    if meta.idle_for >= IDLE_BEFORE_PING
                        && let Err(error) = connection.ping().await
                    {
                        // Its neighbours were made at the same time, to the same server.
                        shared.distrust();
                        return Err(error);
                    }
                    Ok(true)
                })
            })
            .after_release(move |connection, meta| {
                let is_good = released.is_trusted(meta.age) && release::postgres(connection);
                Box::pin(async move { Ok(is_good) })
            })
    }

    /// The same for SQLite, whose file does not move: a connection is checked when it comes back.
    pub(super) fn sqlite_hooks(self: &Arc<Self>, options: SqlitePoolOptions) -> SqlitePoolOptions {
        let released = self.clone();
        options.after_release(move |connection, meta| {
            let is_trusted = released.is_trusted(meta.age);
            Box::pin(async move { Ok(is_trusted && release::sqlite(connection).await) })
        })
    }

    /// Whether a connection of this age may be used.
    pub(super) fn is_trusted(&self, age: Duration) -> bool {
        let made = nanos(self.started.elapsed().saturating_sub(age));
        made >= self.distrusted.load(Ordering::Acquire)
    }

    fn distrust(&self) {
        self.distrusted.fetch_max(nanos(self.started.elapsed()), Ordering::AcqRel);
    }

    /// Asks a new connection whether its server takes writes.
    async fn ask(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let row = sqlx::raw_sql(TAKES_WRITES).fetch_one(connection).await?;
        let refusal = match (row.try_get(0)?, row.try_get(1)?) {
            (true, _) => STANDBY,
            (false, true) => READ_ONLY_BY_DEFAULT,
            (false, false) => NOT_REFUSED,
        };
        self.refusal.store(refusal, Ordering::Release);
        if refusal == NOT_REFUSED {
            return Ok(());
        }
        self.put_off_the_next();
        self.health.mark_down(Reason::ReadOnly);
        // The pool would connect again and again within the caller's time, and log an error each time. Until that time
        // is over nothing is done; then the connection is dropped with this future.
        std::future::pending().await
    }

    fn put_off_the_next(&self) {
        let next = self.started.elapsed() + NEXT_ATTEMPT_AFTER;
        self.next_attempt.store(nanos(next), Ordering::Release);
    }

    /// Why the last new connection was refused; `None` when it was not.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        match self.refusal.load(Ordering::Acquire) {
            STANDBY => Some(Refusal::Standby),
            READ_ONLY_BY_DEFAULT => Some(Refusal::ReadOnlyByDefault),
            _ => None,
        }
    }

    /// Whether this caller is the one who tries the next connection.
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

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// What sees the errors of one pool's connections.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    shared: Arc<Shared>,
    /// None of SQLite: its file does not move.
    pool: Option<PgPool>,
}

impl Guard {
    pub(super) fn new(shared: &Arc<Shared>, connection: &DatabaseConnection) -> Self {
        let is_postgres = connection.get_database_backend() == DatabaseBackend::Postgres;
        let pool = is_postgres.then(|| connection.get_postgres_connection_pool().clone());
        Self { shared: shared.clone(), pool }
    }

    pub(super) fn health(&self) -> &Arc<StoreHealth> {
        &self.shared.health
    }

    /// Before a connection is taken: fails at once while the server is known to take no writes.
    pub(super) fn admit(&self) -> Result<(), DbErr> {
        let Some(refusal) = self.shared.refusal() else { return Ok(()) };
        let has_idle = self.pool.as_ref().is_none_or(|pool| pool.num_idle() > 0);
        if has_idle || self.shared.may_try() { Ok(()) } else { Err(refusal.error()) }
    }

    /// A call begins; [`Call::end`] takes what came of it.
    pub(super) fn call(&self) -> Call<'_> {
        Call { guard: self, began: Instant::now(), has_ended: false }
    }

    /// Draws the consequences of an error.
    pub(super) fn note(&self, error: &DbErr) {
        let consequence = consequence(error);
        if consequence.closes_older {
            self.close_older();
        }
        if let Some(reason) = consequence.reason {
            self.shared.health.mark_down(reason);
        } else if consequence.is_suspect {
            self.shared.health.suspect();
        }
    }

    /// Closes what is idle now; what is in use is closed when it comes back.
    fn close_older(&self) {
        self.shared.distrust();
        let Some(pool) = &self.pool else { return };
        while let Some(mut connection) = pool.try_acquire() {
            connection.close_on_drop();
        }
    }
}

/// A call that is under way. One that is dropped before its end was given up by its caller.
pub(super) struct Call<'a> {
    guard: &'a Guard,
    began: Instant,
    has_ended: bool,
}

impl Call<'_> {
    /// What came of it.
    pub(super) fn end<T>(mut self, came: Result<T, DbErr>) -> Result<T, DbErr> {
        self.has_ended = true;
        let Err(mut error) = came else { return came };
        if matches!(error, DbErr::ConnectionAcquire(_)) {
            match self.guard.shared.refusal() {
                // A connection that was refused looks like a pool that has none.
                Some(refusal) => error = refusal.error(),
                None => observed::connection_timed_out(),
            }
        }
        self.guard.note(&error);
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
mod tests {
    use super::*;

    #[test]
    fn connections_of_before_a_change_are_not_used_and_later_ones_are() {
        let shared = Shared::new();
        let age = Duration::ZERO;
        assert!(shared.is_trusted(age) && shared.is_trusted(Duration::from_mins(1)));
        shared.distrust();
        assert!(!shared.is_trusted(shared.started.elapsed()));
        assert!(shared.is_trusted(Duration::ZERO));
    }

    #[test]
    fn of_many_callers_one_tries_the_next_connection() {
        let shared = Shared::new();
        assert!(shared.may_try());
        assert!(!shared.may_try(), "not within the same second");
        shared.put_off_the_next();
        assert!(!shared.may_try());
    }

    #[test]
    fn a_call_that_is_given_up_late_is_suspicious_and_an_early_one_is_not() {
        let guard = Guard { shared: Shared::new(), pool: None };
        drop(guard.call());
        assert!(!guard.health().take_suspicion());
        let began = Instant::now().checked_sub(SUSPICIOUS_AFTER).unwrap();
        drop(Call { guard: &guard, began, has_ended: false });
        assert!(guard.health().take_suspicion());
        let ended = Call { guard: &guard, began, has_ended: false };
        ended.end(Ok(())).unwrap();
        assert!(!guard.health().take_suspicion());
    }
}
