//! The token store: everything with a time to live. Sessions, mailed tokens, spent captchas, budgets.
//!
//! # Map
//!
//! - `mod.rs`: [`Store`] and its operations; those that limit clients are in `limits.rs`. `types.rs`: what goes in and out. `keys.rs`: the names of keys.
//! - `rules.rs`: the decisions, pure. `embedded.rs` runs them in a transaction; `redis.rs` has the same decisions as
//!   scripts (`*.lua`), each atomic. `suite.rs` holds both to one behaviour.
//!
//! What must outlive a lost store does not live here: endings are in SQL (`ended_sessions`, `users.session_epoch`), and a
//! session found here still has to pass that check.
//!
//! # An outage
//!
//! Every operation answers or is [`Unavailable`] ("token store"), with Redis within 250 ms; a key of the wrong type and a
//! value that cannot be read are outages too. Nothing is ever taken for absent in doubt. Connections are made on first
//! use and again by themselves. An operation that was Unavailable may have happened: each may be repeated, and a
//! repeated one finds its own work ([`spend_budgets`](Store::spend_budgets) and [`admit_attempt`](Store::admit_attempt) may count twice,
//! [`cancel_attempt`](Store::cancel_attempt) take back twice).
//!
//! # Keys
//!
//! | key | Redis type | holds |
//! |---|---|---|
//! | `lk:{<user>}:s:<sid>` | hash | a session or its tombstone |
//! | `lk:{<user>}:sessions` | sorted set | the user's `sid`s by `seen_at` (Redis only) |
//! | `lk:{<user>}:t:<kind>` | hash | the user's live token of a kind |
//! | `lk:t:<digest>` | string | whose and of which kind that token is: an index, the user's key decides |
//! | `lk:once:<key>` | hash | spent until when |
//! | `lk:budget:{<key>}<part>` | string | when the budget is full again |
//! | `lk:{probe-<n>}:hash`, `lk:{probe-<n>}:set`, `lk:{probe-<n>}:string` | hash, sorted set, string | what the last probe wrote, for a minute |
//! | `lk:{<account>}:guesses` | hash | the login back-off of an account, all clients included |
//!
//! A user's keys share a hash tag, so that they lie on one node of a cluster and one script reaches them all.
//! `expires_at` is judged against the caller's `now`; collecting what has expired (`PEXPIRE`, [`Store::sweep`]) is
//! housekeeping and comes an hour later, so that replicas' clocks may differ and jump.

/// Runs the same operation on whichever store it is.
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
    BudgetVerdict, Charge, OneTimeToken, PutToken, Quota, Refresh, Refreshed, Session, Spend,
    TokenKind,
};
use crate::clock::UnixMillis;
use crate::database::Db;
use crate::problem::Unavailable;
use crate::secret::Secret;
#[cfg(test)]
use crate::secret::{random_id, uuid_v7};
use crate::telemetry::Metrics;

/// Sessions of one user at once. A person has a handful of devices; a hundred bounds what one account can fill.
pub const SESSIONS_PER_USER_MAX: usize = 100;

/// How long after its expiry an entry is collected: more than replicas' clocks differ, or jump back.
const COLLECT_SLACK_MS: i64 = 3_600_000;

/// The token store, shared by all replicas. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Store {
    /// Redis or Valkey, one server or a cluster.
    Redis(redis::Redis),
    /// The table `token_store` of the database.
    Embedded(embedded::Embedded),
}

impl Store {
    /// Redis at `redis://`, `rediss://` (TLS), or a cluster at `redis+cluster://`, `rediss+cluster://`, there with one or
    /// more nodes (`host:port,host:port`). Needs a tokio runtime and no server: it connects on first use.
    ///
    /// # Errors
    /// When the URL cannot be read.
    pub fn connect_redis(url: &Secret<String>) -> Result<Self, Unavailable> {
        redis::Redis::connect(url).map(Self::Redis)
    }

    /// The table of a database that is migrated.
    pub fn embedded(db: Db) -> Self {
        Self::Embedded(embedded::Embedded::new(db))
    }

    /// Measures what is asked of Redis from now on; the table is measured with its database.
    pub fn watch(&self, metrics: &Arc<Metrics>) {
        if let Self::Redis(it) = self {
            it.watch(metrics);
        }
    }

    /// Opens a session. Where the user has [`SESSIONS_PER_USER_MAX`], the one least recently seen ends in the same step.
    pub async fn open_session(
        &self,
        session: &Session,
        now: UnixMillis,
    ) -> Result<(), Unavailable> {
        on!(self, it => it.open_session(session, now).await)
    }

    /// A live session.
    pub async fn session(
        &self,
        user: Uuid,
        sid: &str,
        now: UnixMillis,
    ) -> Result<Option<Session>, Unavailable> {
        on!(self, it => it.session(user, sid, now).await)
    }

    /// A user's live sessions, the newest first; at most [`SESSIONS_PER_USER_MAX`].
    pub async fn sessions(&self, user: Uuid, now: UnixMillis) -> Result<Vec<Session>, Unavailable> {
        let mut sessions = on!(self, it => it.sessions(user, now).await)?;
        sessions.sort_by_cached_key(|it| (Reverse(it.created_at), it.sid.clone()));
        Ok(sessions)
    }

    /// Rotates a session's token, in one atomic step. See [`Refreshed`].
    ///
    /// After [`Refreshed::Reused`] the caller writes the ending into SQL and only then calls
    /// [`end_session`](Self::end_session), so that a crash in between loses neither the ending nor the mail.
    pub async fn refresh(
        &self,
        ask: &Refresh<'_>,
        now: UnixMillis,
    ) -> Result<Refreshed, Unavailable> {
        on!(self, it => it.refresh(ask, now).await)
    }

    /// Ends a session, or removes its tombstone.
    pub async fn end_session(&self, user: Uuid, sid: &str) -> Result<(), Unavailable> {
        on!(self, it => it.end_session(user, sid).await)
    }

    /// Ends every session of a user but `except`; how many. Those not yet collected count, tombstones do not and stay.
    pub async fn end_sessions(&self, user: Uuid, except: Option<&str>) -> Result<u64, Unavailable> {
        on!(self, it => it.end_sessions(user, except).await)
    }

    /// Puts a live session under another `session_epoch`, and returns it.
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

    /// Sets the team and project that a live session uses, and returns it.
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

    /// Makes a token the user's one live token of its kind, unless one of a newer row lives. The same row may come again.
    pub async fn put_token(
        &self,
        token: &OneTimeToken,
        now: UnixMillis,
    ) -> Result<PutToken, Unavailable> {
        on!(self, it => it.put_token(token, now).await)
    }

    /// The live token with this digest.
    pub async fn find_token(
        &self,
        digest: &str,
        now: UnixMillis,
    ) -> Result<Option<OneTimeToken>, Unavailable> {
        let found = on!(self, it => it.find_token(digest).await)?;
        Ok(found.filter(|it| it.digest == digest && it.expires_at > now))
    }

    /// Removes a user's live token of a kind, unless it belongs to `keep_row`.
    pub async fn drop_token(
        &self,
        user: Uuid,
        kind: TokenKind,
        keep_row: Option<Uuid>,
    ) -> Result<(), Unavailable> {
        on!(self, it => it.drop_token(user, kind, keep_row).await)
    }

    /// Spends what can be spent once until `expires_at`: of N parallel calls exactly one is [`Spend::First`]. What has
    /// expired by `now` cannot be spent any more: [`Spend::Again`].
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

    /// Deletes what expired more than an hour ago, in batches of 1000 rows; how many. Redis does it by itself: 0.
    pub async fn sweep(&self, now: UnixMillis) -> Result<u64, Unavailable> {
        match self {
            Self::Redis(_) => Ok(0),
            Self::Embedded(it) => it.sweep(now).await,
        }
    }

    /// Whether it is a table of the database.
    pub fn is_embedded(&self) -> bool {
        matches!(self, Self::Embedded(_))
    }

    /// Whether the store answers.
    pub async fn ping(&self) -> Result<(), Unavailable> {
        on!(self, it => it.ping().await)
    }

    /// What Redis says of itself; none for the embedded store.
    pub async fn redis_facts(&self) -> Result<Option<RedisFacts>, Unavailable> {
        match self {
            Self::Redis(it) => it.facts().await.map(Some),
            Self::Embedded(_) => Ok(None),
        }
    }

    /// What Redis does when it is full, where it lets us ask. Anything but `noeviction` may forget live sessions and spent
    /// captchas: the daemon warns. None for the embedded store.
    pub async fn eviction_policy(&self) -> Result<Option<String>, Unavailable> {
        match self {
            Self::Redis(it) => it.eviction_policy().await,
            Self::Embedded(_) => Ok(None),
        }
    }
}

/// Whatever goes wrong here is an outage of the token store.
fn lost(source: impl Into<Box<dyn Error + Send + Sync>>) -> Unavailable {
    Unavailable::because("token store", source)
}
