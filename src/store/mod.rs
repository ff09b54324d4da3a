//! The token store. It holds all data that has a TTL: sessions, mailed tokens, used captchas,
//! budgets and login attempts.
//!
//! # Map
//!
//! - `mod.rs`: [`Store`] and its operations. The operations that limit clients are in `limits.rs`.
//!   `types.rs` contains the arguments and results, and `keys.rs` contains the names of keys.
//! - `records.rs`: the operations on sessions and mailed tokens. `pending.rs`: the operations on
//!   short-lived records. `record_mac.rs` authenticates all of these records, so that a record
//!   which latchkey did not write counts as absent.
//! - `rules.rs`: the decisions as pure functions. `embedded.rs` calls them in a transaction, and
//!   `records.rs` before a compare-and-set. For budgets and attempts, `redis.rs` makes the same
//!   decisions in scripts (`*.lua`). Each script is atomic. `suite.rs` tests that both stores
//!   behave in the same way.
//!
//! Data that must survive a loss of the token store is in the database. There, latchkey records
//! that a session has ended (`ended_sessions`, `users.session_epoch`). A session that is in the
//! token store is valid only if the database does not say that it has ended.
//!
//! # Outages
//!
//! Every operation returns a result or [`Unavailable`] ("token store"). With Redis, each call to
//! the server takes at most 250 ms. An operation never returns "absent" because of an outage. A
//! connection is opened when it is first used, and is reopened automatically.
//!
//! A key of the wrong type and an unreadable value are no outage, because only another program
//! writes them. They count as absent like a record with a wrong MAC, they are counted and logged,
//! and they are removed or overwritten.
//!
//! If an operation returned `Unavailable`, the store has perhaps done it nevertheless. Every
//! operation can be repeated, and the repetition then returns the result of the first call. There
//! are three exceptions: [`spend_budgets`](Store::spend_budgets) and
//! [`admit_attempt`](Store::admit_attempt) perhaps count twice, and
//! [`cancel_attempt`](Store::cancel_attempt) perhaps cancels twice.
//!
//! # Keys
//!
//! | key | Redis type | holds |
//! |---|---|---|
//! | `lk:{<user>}:session:<sid>` | string | the record of a session or of its tombstone, with a MAC |
//! | `lk:{<user>}:sessions` | sorted set | the `sid`s of the user's sessions, ordered by `seen_at` (only in Redis) |
//! | `lk:{<user>}:token:<kind>` | string | the record of the user's active token of a kind, with a MAC |
//! | `lk:t:<digest>` | string | the index entry of a token: its user and its kind (the token itself is in the user's key) |
//! | `lk:challenge:<digest>` | string | the record of a login that waits for the second factor, with a MAC |
//! | `lk:{<user>}:enrolment` | string | the record of a factor that waits for its confirmation, with a MAC |
//! | `lk:once:<key>` | hash | the time until which the entry counts as used, and the call that used it |
//! | `lk:budget:{<key>}<part>` | string | the time at which the budget is full again |
//! | `lk:{probe-<n>}:hash`, `lk:{probe-<n>}:set`, `lk:{probe-<n>}:string` | hash, sorted set, string | the values of the last probe, which are kept for a minute |
//! | `lk:{<account>}:guesses` | hash | the login back-off of an account with all its clients |
//!
//! All keys of a user have the same hash tag. Therefore one node of a cluster holds all of them,
//! and one script can access all of them.
//!
//! `expires_at` is compared with the caller's `now`. An expired entry is deleted one hour after it
//! has expired (`PEXPIRE`, [`Store::sweep`]). This hour allows the clocks of replicas to differ or
//! to jump.

/// Runs an operation on Redis or on the embedded store.
macro_rules! on {
    ($store:expr, $it:ident => $call:expr) => {
        match &$store.backend {
            $crate::store::Backend::Redis($it) => $call,
            $crate::store::Backend::Embedded($it) => $call,
        }
    };
}

#[cfg(test)]
mod agreement;
mod attempt;
#[cfg(test)]
mod attempts_suite;
pub mod back_off;
#[cfg(test)]
mod budgets_suite;
mod embedded;
mod key_budget;
mod keys;
mod limits;
mod pending;
mod probe;
mod record_mac;
mod records;
#[cfg(test)]
mod recovery_suite;
mod redis;
mod rules;
#[cfg(test)]
mod suite;
#[cfg(test)]
mod tests;
mod types;

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use uuid::Uuid;

pub use self::attempt::{AttemptCaptcha, AttemptContext, AttemptKey, AttemptVerdict, ClientKind};
pub use self::back_off::{AccountAttempts, BackOff, ClientAttempts};
pub use self::key_budget::KeyBudget;
pub use self::pending::{Change, Pending, PendingKey};
pub use self::probe::StoreProbeError;
pub use self::record_mac::RecordMac;
pub use self::redis::{
    RedisFacts, ignored_parameters as ignored_redis_parameters, is_exposed as is_redis_exposed,
    is_url as is_redis_url,
};
pub use self::types::{
    AAL1, AAL2, BudgetVerdict, Charge, OneTimeToken, PutToken, Quota, RECOVERIES_MAX, Refresh,
    Refreshed, Session, Spend, TokenKind,
};
use crate::clock::UnixMillis;
use crate::database::Db;
use crate::problem::Unavailable;
use crate::secret::Secret;
#[cfg(test)]
use crate::secret::{random_id, uuid_v7};
use crate::telemetry::Metrics;

/// The greatest number of sessions of one user. It limits how much data one account can store.
/// Users have only a few devices, so they do not reach it.
pub const SESSIONS_PER_USER_MAX: usize = 100;

/// The time between the expiry of an entry and its deletion. The clocks of two replicas differ by
/// less than this time, and a clock that is set back jumps by less than this time.
const COLLECT_SLACK_MS: i64 = 3_600_000;

/// The token store, which all replicas share. A clone costs almost nothing.
#[derive(Clone, Debug)]
pub struct Store {
    backend: Backend,
    mac: RecordMac,
}

#[derive(Clone, Debug)]
enum Backend {
    /// Redis or Valkey, one server or a cluster.
    Redis(redis::Redis),
    /// The table `token_store` of the database.
    Embedded(embedded::Embedded),
}

impl Store {
    /// Creates a store in Redis. The URL of a single server begins with `redis://` or `rediss://`
    /// (TLS). The URL of a Unix socket begins with `unix://` or `redis+unix://`. The URL of a
    /// cluster begins with `redis+cluster://` or `rediss+cluster://` and names one or more nodes
    /// (`host:port,host:port`). `ca_file` is `redis.ca_file`. This function needs a tokio runtime,
    /// but no running server, because the store connects when it is first used.
    ///
    /// # Errors
    /// Returns an error if the URL cannot be parsed, or the file cannot be used.
    pub fn connect_redis(
        url: &Secret<String>,
        ca_file: Option<&Path>,
        mac: RecordMac,
    ) -> Result<Self, Unavailable> {
        let redis = redis::Redis::connect(url, ca_file, mac.clone())?;
        Ok(Self { backend: Backend::Redis(redis), mac })
    }

    /// Creates a store in a table of the database. The database must already be migrated.
    pub fn embedded(db: Db, mac: RecordMac) -> Self {
        Self { backend: Backend::Embedded(embedded::Embedded::new(db, mac.clone())), mac }
    }

    /// Measures calls to Redis from now on, and counts refused records. Calls to the embedded store
    /// are measured as calls to the database.
    pub fn watch(&self, metrics: &Arc<Metrics>) {
        self.mac.watch(metrics);
        if let Backend::Redis(it) = &self.backend {
            it.watch(metrics);
        }
    }

    /// Ends a session, or removes its tombstone.
    pub async fn end_session(&self, user: Uuid, sid: &str) -> Result<(), Unavailable> {
        on!(self, it => it.end_session(user, sid).await)
    }

    /// Ends every session of a user except `except`. Returns the number of ended sessions,
    /// including expired sessions that were not deleted yet. Tombstones are not ended and not
    /// counted.
    pub async fn end_sessions(&self, user: Uuid, except: Option<&str>) -> Result<u64, Unavailable> {
        on!(self, it => it.end_sessions(user, except).await)
    }

    /// Marks a key as used until `expires_at`. If N calls run in parallel, exactly one of them
    /// returns [`Spend::First`]. If `expires_at` has already passed, the call returns
    /// [`Spend::Again`].
    pub async fn spend_once(
        &self,
        key: &str,
        expires_at: UnixMillis,
        now: UnixMillis,
    ) -> Result<Spend, Unavailable> {
        if expires_at <= now {
            return Ok(Spend::Again);
        }
        on!(self, it => it.spend_once(key, expires_at, now).await)
    }

    /// Removes every session, tombstone and token of a user.
    pub async fn forget_user(&self, user: Uuid) -> Result<(), Unavailable> {
        on!(self, it => it.forget_user(user).await)
    }

    /// Deletes entries that expired more than an hour ago, in batches of 1000 rows. Returns the
    /// number of deleted entries. Redis deletes its expired entries itself, so with Redis the
    /// result is 0.
    pub async fn sweep(&self, now: UnixMillis) -> Result<u64, Unavailable> {
        match &self.backend {
            Backend::Redis(_) => Ok(0),
            Backend::Embedded(it) => it.sweep(now).await,
        }
    }

    pub fn is_embedded(&self) -> bool {
        matches!(self.backend, Backend::Embedded(_))
    }

    /// Whether the store responds.
    pub async fn ping(&self) -> Result<(), Unavailable> {
        on!(self, it => it.ping().await)
    }

    /// What Redis reports about itself. `None` for the embedded store.
    pub async fn redis_facts(&self) -> Result<Option<RedisFacts>, Unavailable> {
        match &self.backend {
            Backend::Redis(it) => it.facts().await.map(Some),
            Backend::Embedded(_) => Ok(None),
        }
    }

    /// The eviction policy of Redis, which says what Redis does when its memory is full. `None` for
    /// the embedded store, and if Redis does not allow clients to read the policy.
    ///
    /// With every policy except `noeviction`, Redis can remove active sessions and used captchas.
    /// Then the daemon logs a warning.
    pub async fn eviction_policy(&self) -> Result<Option<String>, Unavailable> {
        match &self.backend {
            Backend::Redis(it) => it.eviction_policy().await,
            Backend::Embedded(_) => Ok(None),
        }
    }
}

/// Every error of the store is an outage of the token store.
fn lost(source: impl Into<Box<dyn Error + Send + Sync>>) -> Unavailable {
    Unavailable::because("token store", source)
}
