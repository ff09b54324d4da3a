//! The token store in Redis or Valkey. It has one multiplexed connection. An operation that changes
//! what it has read is one script.
//!
//! A value with an unexpected type or format is removed, and the operation is repeated (see
//! `repair.rs`). If the caller of a refresh has already received an error, the server must not do
//! the refresh later. So `replace.lua` compares the server's clock with a deadline (see
//! [`Redis::deadline`]).

mod attempts;
mod budgets;
mod connection;
mod diagnosis;
mod facts;
mod probe;
mod refusal;
mod repair;
mod rights;
mod roots;
mod scripts;
mod single;
mod url;

use std::path::Path;
use std::slice::from_ref;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tokio::time::Instant;
use uuid::Uuid;

use self::connection::Link;
pub use self::facts::RedisFacts;
use self::repair::Keys;
use self::scripts::Scripts;
use super::record_mac::{MAC_CHARS, Record, RecordMac};
use super::records::Replaced;
use super::types::{OneTimeToken, Session, Spend, TokenKind};
use super::{COLLECT_SLACK_MS, SESSIONS_PER_USER_MAX, keys, lost};
use crate::clock::{UnixMillis, millis};
use crate::problem::Unavailable;
use crate::secret::{Secret, random_id};
use crate::telemetry::Metrics;

/// How many milliseconds after its start a refresh may still run on the server. The value covers
/// the 250 ms of a call and the error in latchkey's estimate of the server's clock.
const LATE_MS: i64 = 1_000;

/// The value of [`Redis::server_ahead_ms`] while the server's clock has not been read yet.
const UNKNOWN: i64 = i64::MIN;

#[derive(Clone)]
pub struct Redis {
    link: Arc<Link>,
    scripts: Arc<Scripts>,
    /// Counts the values that cannot be read.
    mac: RecordMac,
    started: Instant,
    /// The server's clock minus the milliseconds since `started`.
    server_ahead_ms: Arc<AtomicI64>,
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redis")
    }
}

/// Whether `redis.url` can be parsed.
pub fn is_url(url: &Secret<String>) -> bool {
    self::url::is_url(url.expose())
}

/// Descriptions of the parameters of `redis.url` that have no effect.
pub fn ignored_parameters(url: &Secret<String>) -> Vec<&'static str> {
    self::url::ignored(url.expose())
}

/// Whether `redis.url` leads to another machine without verified TLS.
pub fn is_exposed(url: &Secret<String>) -> bool {
    self::url::is_exposed(url.expose())
}

impl Redis {
    pub(super) fn connect(
        url: &Secret<String>,
        ca_file: Option<&Path>,
        mac: RecordMac,
    ) -> Result<Self, Unavailable> {
        Ok(Self {
            link: Arc::new(Link::open(url.expose(), ca_file).map_err(lost)?),
            scripts: Arc::default(),
            mac,
            started: Instant::now(),
            server_ahead_ms: Arc::new(AtomicI64::new(UNKNOWN)),
        })
    }

    pub(super) fn watch(&self, metrics: &Arc<Metrics>) {
        self.link.watch(metrics);
    }

    pub(super) async fn open_session(
        &self,
        session: &Session,
        record: &[u8],
        now: UnixMillis,
    ) -> Result<(), Unavailable> {
        let user = session.user_id;
        let mut call = self.scripts.open.prepare_invoke();
        call.key(keys::session(user, &session.sid)).key(keys::sessions(user));
        call.arg(now).arg(SESSIONS_PER_USER_MAX).arg(&session.sid).arg(keys::session_prefix(user));
        call.arg(keep_ms(session.expires_at, now)).arg(session.seen_at).arg(record).arg(MAC_CHARS);
        self.invoke(&call, || Keys::sessions(user, None)).await.map_err(lost)
    }

    /// The record of a session or of a mailed token.
    pub(super) async fn record(&self, key: &str) -> Result<Option<Record>, Unavailable> {
        let mut get = redis::cmd("GET");
        get.arg(key);
        self.query(&get, || Keys::record(key)).await.map_err(lost)
    }

    /// The records of a user's sessions with their keys.
    pub(super) async fn session_records(
        &self,
        user: Uuid,
    ) -> Result<Vec<(String, Record)>, Unavailable> {
        let mut call = self.scripts.list.key(keys::sessions(user));
        call.arg(keys::session_prefix(user));
        // Another client of the server can write a `sid` that is not UTF-8. No record is genuine
        // under it.
        let all: Vec<(Vec<u8>, Record)> =
            self.invoke(&call, || Keys::sessions(user, None)).await.map_err(lost)?;
        let key = |sid: &[u8]| keys::session(user, &String::from_utf8_lossy(sid));
        Ok(all.into_iter().map(|(sid, record)| (key(&sid), record)).collect())
    }

    /// Replaces the record of a session, if it is `expected`.
    pub(super) async fn replace_session(
        &self,
        session: &Session,
        records: (Option<&[u8]>, &[u8]),
        now: UnixMillis,
    ) -> Result<Replaced, Unavailable> {
        let user = session.user_id;
        let names = [keys::session(user, &session.sid), keys::sessions(user)];
        let place = Some((session.sid.as_str(), session.seen_at));
        let all = || Keys::sessions(user, Some(&session.sid));
        self.replace((&names, all), records, keep_ms(session.expires_at, now), place).await
    }

    async fn replace(
        &self,
        (names, all): (&[String], impl Fn() -> Keys),
        (expected, record): (Option<&[u8]>, &[u8]),
        keep_ms: i64,
        place: Option<(&str, UnixMillis)>,
    ) -> Result<Replaced, Unavailable> {
        // If the first response is `late`, this caller is still waiting, so the call was not late.
        // The server's clock must have changed. The new value of the clock is then known from the
        // response, so the call is repeated.
        for _ in 0..2 {
            let mut call = self.scripts.replace.prepare_invoke();
            for name in names {
                call.key(name);
            }
            call.arg(expected.unwrap_or_default()).arg(record).arg(keep_ms).arg(self.deadline());
            if let Some((sid, seen_at)) = place {
                call.arg(sid).arg(seen_at);
            }
            let (result, found, here): (String, Record, i64) =
                self.invoke(&call, &all).await.map_err(lost)?;
            self.server_ahead_ms.store(here - millis(self.started.elapsed()), Ordering::Relaxed);
            match result.as_str() {
                "replaced" => return Ok(Replaced::Now),
                "found" => return Ok(Replaced::Found(Some(found).filter(|it| !it.is_empty()))),
                "late" => {}
                _ => return Err(lost("the script returned an unknown result for a record")),
            }
        }
        Err(lost("the server's clock jumps"))
    }

    /// The latest time at which the server may run a call that starts now, according to the
    /// server's clock. 0 while the server's clock is unknown.
    ///
    /// A server can stall because it is stopped, is swapping or is failing over. Later it runs the
    /// calls that are still in its sockets, although their callers have already received 503. If a
    /// refresh were done then, the client would not have the new token. The client's next refresh
    /// with the old token would then look like the use of a stolen token.
    fn deadline(&self) -> i64 {
        match self.server_ahead_ms.load(Ordering::Relaxed) {
            UNKNOWN => 0,
            ahead => ahead.saturating_add(millis(self.started.elapsed())).saturating_add(LATE_MS),
        }
    }

    pub(super) async fn end_session(&self, user: Uuid, sid: &str) -> Result<(), Unavailable> {
        let mut call = self.scripts.end_one.prepare_invoke();
        call.key(keys::session(user, sid)).key(keys::sessions(user)).arg(sid);
        self.invoke(&call, || Keys::sessions(user, None)).await.map_err(lost)
    }

    pub(super) async fn end_sessions(
        &self,
        user: Uuid,
        except: Option<&str>,
    ) -> Result<u64, Unavailable> {
        let mut call = self.scripts.end_all.key(keys::sessions(user));
        call.arg(keys::session_prefix(user)).arg(except.unwrap_or_default()).arg(MAC_CHARS);
        self.invoke(&call, || Keys::sessions(user, None)).await.map_err(lost)
    }

    /// Replaces the record of a token, if it is `expected`, and writes the index entry.
    pub(super) async fn replace_token(
        &self,
        token: &OneTimeToken,
        records: (Option<&[u8]>, &[u8]),
        now: UnixMillis,
    ) -> Result<Replaced, Unavailable> {
        let keep = keep_ms(token.expires_at, now);
        let key = keys::token(token.user_id, token.kind);
        let all = || Keys::record(&key);
        let replaced = self.replace((from_ref(&key), all), records, keep, None).await?;
        if replaced == Replaced::Now {
            // In a cluster, the index entry is perhaps on another node than the token, so it is
            // written after the token. If writing the index entry fails, the token is not found,
            // and a retry writes both again.
            let mut index = redis::cmd("SET");
            index.arg(keys::token_index(&token.digest));
            index.arg(keys::token_address(token.user_id, token.kind)).arg("PX").arg(keep);
            self.link.query::<()>(&index).await.map_err(lost)?;
        }
        Ok(replaced)
    }

    /// Replaces a short-lived record, if it is `expected`.
    pub(super) async fn replace_pending(
        &self,
        (key, _owner): (&str, &str),
        records: (Option<&[u8]>, &[u8]),
        expires_at: UnixMillis,
        now: UnixMillis,
    ) -> Result<Replaced, Unavailable> {
        let names = [key.to_owned()];
        self.replace((&names, || Keys::record(key)), records, keep_ms(expires_at, now), None).await
    }

    /// The index entry of a token.
    pub(super) async fn token_address(&self, digest: &str) -> Result<Option<Record>, Unavailable> {
        let key = keys::token_index(digest);
        let mut get = redis::cmd("GET");
        get.arg(&key);
        self.query(&get, || Keys::record(&key)).await.map_err(lost)
    }

    pub(super) async fn drop_token(
        &self,
        user: Uuid,
        kind: TokenKind,
        keep_row: Option<Uuid>,
    ) -> Result<(), Unavailable> {
        let key = keys::token(user, kind);
        let mut call = self.scripts.drop_token.key(&key);
        call.arg(keep_row.map(|row| row.to_string()).unwrap_or_default()).arg(MAC_CHARS);
        self.invoke(&call, || Keys::record(&key)).await.map_err(lost)
    }

    pub(super) async fn spend_once(
        &self,
        key: &str,
        expires_at: UnixMillis,
        now: UnixMillis,
    ) -> Result<Spend, Unavailable> {
        let key = keys::once(key);
        let mut call = self.scripts.spend_once.key(&key);
        call.arg(now).arg(expires_at).arg(keep_ms(expires_at, now)).arg(random_id());
        let all = || Keys::plain([("HLEN", key.clone())]);
        match self.invoke::<String>(&call, all).await.map_err(lost)?.as_str() {
            "first" => Ok(Spend::First),
            "again" => Ok(Spend::Again),
            _ => Err(lost("the script returned an unknown result for a one-time key")),
        }
    }

    pub(super) async fn forget_user(&self, user: Uuid) -> Result<(), Unavailable> {
        let mut call = self.scripts.forget.key(keys::sessions(user));
        for kind in TokenKind::ALL {
            call.key(keys::token(user, kind));
        }
        call.key(keys::enrolment(user)).arg(keys::session_prefix(user));
        self.invoke(&call, || Keys::sessions(user, None)).await.map_err(lost)
    }

    pub(super) async fn ping(&self) -> Result<(), Unavailable> {
        self.link.query(&redis::cmd("PING")).await.map_err(lost)
    }

    pub(super) async fn eviction_policy(&self) -> Result<Option<String>, Unavailable> {
        self.link.eviction_policy().await.map_err(lost)
    }
}

/// How many milliseconds the server keeps an entry. The value is a duration and not a point in
/// time, because the server's clock can differ from the daemon's clock. The duration is never
/// shorter than the lifetime of the entry.
fn keep_ms(expires_at: UnixMillis, now: UnixMillis) -> i64 {
    expires_at.saturating_sub(now).clamp(0, i64::MAX / 4) + COLLECT_SLACK_MS
}
