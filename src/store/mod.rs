//! The token store. It holds everything with a TTL: sessions, mailed tokens, used captchas, budgets
//! and login attempts.
//!
//! # Map
//!
//! - `mod.rs`: [`Store`] and its operations. Those that limit clients are in `limits.rs`.
//!   `types.rs` contains the arguments and results, and `keys.rs` the names of keys.
//! - `rules.rs`: the decisions as pure functions. `embedded.rs` runs them in a transaction.
//!   `redis.rs` has the same decisions as scripts (`*.lua`), and each script is atomic. `suite.rs`
//!   checks that both behave the same.
//!
//! State that must survive the loss of the store is not here. The end of a session is in SQL
//! (`ended_sessions`, `users.session_epoch`), and a session from this store must still pass that
//! check.
//!
//! # Outages
//!
//! Every operation returns a result or [`Unavailable`] ("token store"). With Redis, each call to
//! the server takes at most 250 ms. A key of the wrong type and an unreadable value are outages
//! too. An error is never reported as an absent entry. Connections are opened on first use and
//! reopened automatically.
//!
//! An operation that returned `Unavailable` may have been done. Every operation can be repeated,
//! and the repetition finds the first result. There are three exceptions:
//! [`spend_budgets`](Store::spend_budgets) and [`admit_attempt`](Store::admit_attempt) can count
//! twice, and [`cancel_attempt`](Store::cancel_attempt) can cancel twice.
//!
//! # Keys
//!
//! | key | Redis type | holds |
//! |---|---|---|
//! | `lk:{<user>}:s:<sid>` | hash | a session or its tombstone |
//! | `lk:{<user>}:sessions` | sorted set | the user's `sid`s by `seen_at` (Redis only) |
//! | `lk:{<user>}:t:<kind>` | hash | the user's active token of a kind |
//! | `lk:t:<digest>` | string | the user and the kind of that token: an index; the user's key decides |
//! | `lk:once:<key>` | hash | until when the entry counts as used, and by which call |
//! | `lk:budget:{<key>}<part>` | string | when the budget is full again |
//! | `lk:{probe-<n>}:hash`, `lk:{probe-<n>}:set`, `lk:{probe-<n>}:string` | hash, sorted set, string | the values of the last probe, for a minute |
//! | `lk:{<account>}:guesses` | hash | the login back-off of an account with all its clients |
//!
//! The keys of a user share a hash tag. So they are on one node of a cluster, and one script can
//! access all of them.
//!
//! `expires_at` is compared with the caller's `now`. Expired entries are deleted one hour later
//! (`PEXPIRE`, [`Store::sweep`]), so the clocks of replicas may differ and jump.

/// Runs the same operation on either store.
macro_rules! on {
    ($store:expr, $it:ident => $call:expr) => {
        match $store {
            Store::Redis($it) => $call,
            Store::Embedded($it) => $call,
        }
    };
}

#[cfg(test)]
mod agreement;
#[cfg(test)]
mod attempts_suite;
pub mod back_off;
#[cfg(test)]
mod budgets_suite;
mod embedded;
mod key_budget;
mod keys;
mod limits;
mod probe;
mod redis;
mod rules;
#[cfg(test)]
mod suite;
#[cfg(test)]
mod tests;
mod types;

use std::cmp::Reverse;
use std::error::Error;
use std::sync::Arc;

use uuid::Uuid;

pub use self::back_off::{
    AccountAttempts, AttemptCaptcha, AttemptContext, AttemptKey, AttemptVerdict, BackOff,
    ClientAttempts, ClientKind,
};
pub use self::key_budget::KeyBudget;
pub use self::probe::StoreProbeError;
pub use self::redis::{
    RedisFacts, ignored_parameters as ignored_redis_parameters, is_url as is_redis_url,
};
pub use self::types::{
    AAL1, BudgetVerdict, Charge, OneTimeToken, PutToken, Quota, RECOVERIES_MAX, Refresh, Refreshed,
    Session, Spend, TokenKind,
};
use crate::clock::UnixMillis;
use crate::database::Db;
use crate::problem::Unavailable;
use crate::secret::Secret;
#[cfg(test)]
use crate::secret::{random_id, uuid_v7};
use crate::telemetry::Metrics;

/// The greatest number of sessions of one user. Users have a few devices, and this limits how much
/// one account can store.
pub const SESSIONS_PER_USER_MAX: usize = 100;

/// How long after its expiry an entry is deleted. It is longer than the clocks of replicas differ
/// or jump back.
const COLLECT_SLACK_MS: i64 = 3_600_000;

/// The token store, which all replicas share. Cloning is cheap.
#[derive(Clone, Debug)]
pub enum Store {
    /// Redis or Valkey, one server or a cluster.
    Redis(redis::Redis),
    /// The table `token_store` of the database.
    Embedded(embedded::Embedded),
}

impl Store {
    /// Redis at `redis://` or `rediss://` (TLS), or a cluster at `redis+cluster://` or
    /// `rediss+cluster://` with one or more nodes (`host:port,host:port`). This needs a tokio
    /// runtime but no running server, because it connects on first use.
    ///
    /// # Errors
    /// When the URL cannot be parsed.
    pub fn connect_redis(url: &Secret<String>) -> Result<Self, Unavailable> {
        redis::Redis::connect(url).map(Self::Redis)
    }

    /// The table of a database that is already migrated.
    pub fn embedded(db: Db) -> Self {
        Self::Embedded(embedded::Embedded::new(db))
    }

    /// Measures calls to Redis from now on. Calls to the table are measured with the database.
    pub fn watch(&self, metrics: &Arc<Metrics>) {
        if let Self::Redis(it) = self {
            it.watch(metrics);
        }
    }

    /// Opens a session. If the user already has [`SESSIONS_PER_USER_MAX`] sessions, the least
    /// recently seen one ends in the same step.
    pub async fn open_session(
        &self,
        session: &Session,
        now: UnixMillis,
    ) -> Result<(), Unavailable> {
        on!(self, it => it.open_session(session, now).await)
    }

    /// The session, if it is active.
    pub async fn session(
        &self,
        user: Uuid,
        sid: &str,
        now: UnixMillis,
    ) -> Result<Option<Session>, Unavailable> {
        on!(self, it => it.session(user, sid, now).await)
    }

    /// The active sessions of a user, the newest first. There are at most
    /// [`SESSIONS_PER_USER_MAX`].
    pub async fn sessions(&self, user: Uuid, now: UnixMillis) -> Result<Vec<Session>, Unavailable> {
        let mut sessions = on!(self, it => it.sessions(user, now).await)?;
        sessions.sort_by_cached_key(|it| (Reverse(it.created_at), it.sid.clone()));
        Ok(sessions)
    }

    /// Rotates the token of a session in one atomic step. See [`Refreshed`].
    ///
    /// After [`Refreshed::Reused`] the caller first records the end of the session in SQL, and then
    /// calls [`end_session`](Self::end_session). So a crash between the two loses neither the
    /// record nor the mail.
    pub async fn refresh(
        &self,
        ask: &Refresh<'_>,
        now: UnixMillis,
    ) -> Result<Refreshed, Unavailable> {
        on!(self, it => it.refresh(ask, now).await)
    }

    /// Marks the current generation of a session as used, if `generation` is the current one. The
    /// previous token is a stolen one from then on.
    pub async fn mark_used(
        &self,
        user: Uuid,
        sid: &str,
        generation: u64,
    ) -> Result<(), Unavailable> {
        on!(self, it => it.mark_used(user, sid, generation).await)
    }

    /// Ends a session, or removes its tombstone.
    pub async fn end_session(&self, user: Uuid, sid: &str) -> Result<(), Unavailable> {
        on!(self, it => it.end_session(user, sid).await)
    }

    /// Ends every session of a user except `except`, and returns how many. Expired sessions that
    /// are not deleted yet count too. Tombstones do not count and stay.
    pub async fn end_sessions(&self, user: Uuid, except: Option<&str>) -> Result<u64, Unavailable> {
        on!(self, it => it.end_sessions(user, except).await)
    }

    /// Sets the `session_epoch` of an active session, and returns the session.
    pub async fn restamp_session(
        &self,
        user: Uuid,
        sid: &str,
        epoch: i32,
        now: UnixMillis,
    ) -> Result<Option<Session>, Unavailable> {
        match self {
            Self::Redis(it) => {
                it.amend_session((user, sid), &[("epoch", epoch.to_string())], now).await
            }
            Self::Embedded(it) => {
                it.amend_session((user, sid), |session| session.epoch = epoch, now).await
            }
        }
    }

    /// Sets the team and project that an active session uses, and returns the session.
    pub async fn set_session_team(
        &self,
        user: Uuid,
        sid: &str,
        team: Option<Uuid>,
        project: Option<Uuid>,
        now: UnixMillis,
    ) -> Result<Option<Session>, Unavailable> {
        let at = (user, sid);
        match self {
            Self::Redis(it) => {
                let text = |id: Option<Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
                let fields = [("team_id", text(team)), ("project_id", text(project))];
                it.amend_session(at, &fields, now).await
            }
            Self::Embedded(it) => {
                let change = |session: &mut Session| {
                    (session.team_id, session.project_id) = (team, project);
                };
                it.amend_session(at, change, now).await
            }
        }
    }

    /// Stores the user's only active token of its kind, unless there is an active token from a
    /// newer row. The same row may be put again.
    pub async fn put_token(
        &self,
        token: &OneTimeToken,
        now: UnixMillis,
    ) -> Result<PutToken, Unavailable> {
        on!(self, it => it.put_token(token, now).await)
    }

    /// The active token with this digest.
    pub async fn find_token(
        &self,
        digest: &str,
        now: UnixMillis,
    ) -> Result<Option<OneTimeToken>, Unavailable> {
        let found = on!(self, it => it.find_token(digest).await)?;
        Ok(found.filter(|it| it.digest == digest && it.expires_at > now))
    }

    /// Removes a user's active token of a kind, unless it belongs to `keep_row`.
    pub async fn drop_token(
        &self,
        user: Uuid,
        kind: TokenKind,
        keep_row: Option<Uuid>,
    ) -> Result<(), Unavailable> {
        on!(self, it => it.drop_token(user, kind, keep_row).await)
    }

    /// Marks a key as used until `expires_at`. Of N parallel calls exactly one returns
    /// [`Spend::First`]. A call with an `expires_at` that has passed returns [`Spend::Again`].
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

    /// Deletes entries that expired more than an hour ago, in batches of 1000 rows, and returns how
    /// many. Redis deletes them itself, so the result is 0.
    pub async fn sweep(&self, now: UnixMillis) -> Result<u64, Unavailable> {
        match self {
            Self::Redis(_) => Ok(0),
            Self::Embedded(it) => it.sweep(now).await,
        }
    }

    pub fn is_embedded(&self) -> bool {
        matches!(self, Self::Embedded(_))
    }

    /// Whether the store responds.
    pub async fn ping(&self) -> Result<(), Unavailable> {
        on!(self, it => it.ping().await)
    }

    /// What Redis reports about itself. `None` for the embedded store.
    pub async fn redis_facts(&self) -> Result<Option<RedisFacts>, Unavailable> {
        match self {
            Self::Redis(it) => it.facts().await.map(Some),
            Self::Embedded(_) => Ok(None),
        }
    }

    /// What Redis does when its memory is full. `None` for the embedded store, and if Redis does
    /// not allow the question.
    ///
    /// Every policy except `noeviction` can remove active sessions and used captchas, so the daemon
    /// logs a warning.
    pub async fn eviction_policy(&self) -> Result<Option<String>, Unavailable> {
        match self {
            Self::Redis(it) => it.eviction_policy().await,
            Self::Embedded(_) => Ok(None),
        }
    }
}

/// Every error of the store is an outage of the token store.
fn lost(source: impl Into<Box<dyn Error + Send + Sync>>) -> Unavailable {
    Unavailable::because("token store", source)
}
