//! The token store in Redis or Valkey. It has one multiplexed connection, and one script for each
//! operation.
//!
//! A value with an unexpected type or format is an outage. If the caller of a refresh has already
//! received an error, the server must not do the refresh later. So `refresh.lua` compares the
//! server's clock with a deadline (see [`Redis::deadline`]).

mod attempts;
mod budgets;
mod connection;
mod diagnosis;
mod facts;
mod fields;
mod probe;
mod refusal;
mod rights;
mod roots;
mod scripts;
mod single;
mod url;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tokio::time::Instant;
use uuid::Uuid;

use self::connection::Link;
pub use self::facts::RedisFacts;
use self::fields::{Fields, optional, read_session, required, session_fields};
use self::scripts::Scripts;
use super::types::{
    OneTimeToken, PutToken, RECOVERIES_MAX, Refresh, Refreshed, Session, Spend, TokenKind,
};
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
    ) -> Result<Self, Unavailable> {
        Ok(Self {
            link: Arc::new(Link::open(url.expose(), ca_file).map_err(lost)?),
            scripts: Arc::default(),
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
        now: UnixMillis,
    ) -> Result<(), Unavailable> {
        let user = session.user_id;
        let mut call = self.scripts.open.prepare_invoke();
        call.key(keys::session(user, &session.sid)).key(keys::sessions(user));
        call.arg(now).arg(SESSIONS_PER_USER_MAX).arg(&session.sid).arg(keys::session_prefix(user));
        call.arg(keep_ms(session.expires_at, now)).arg(session.seen_at);
        for (name, value) in session_fields(session)? {
            call.arg(name).arg(value);
        }
        self.link.invoke(&call).await.map_err(lost)
    }

    pub(super) async fn session(
        &self,
        user: Uuid,
        sid: &str,
        now: UnixMillis,
    ) -> Result<Option<Session>, Unavailable> {
        let mut get = redis::cmd("HGETALL");
        get.arg(keys::session(user, sid));
        let fields: Fields = self.link.query(&get).await.map_err(lost)?;
        Ok(read_session(user, sid, &fields)?.and_then(|it| it.live(now)))
    }

    pub(super) async fn sessions(
        &self,
        user: Uuid,
        now: UnixMillis,
    ) -> Result<Vec<Session>, Unavailable> {
        let mut call = self.scripts.list.key(keys::sessions(user));
        call.arg(keys::session_prefix(user));
        let all: Vec<(String, Fields)> = self.link.invoke(&call).await.map_err(lost)?;
        let all = all.iter().map(|(sid, fields)| read_session(user, sid, fields));
        let all = all.collect::<Result<Vec<_>, _>>()?;
        Ok(all.into_iter().flatten().filter_map(|it| it.live(now)).collect())
    }

    pub(super) async fn refresh(
        &self,
        ask: &Refresh<'_>,
        now: UnixMillis,
    ) -> Result<Refreshed, Unavailable> {
        let mut answer = self.ask_refresh(ask, now).await?;
        if answer.0 == "late" {
            // This caller is still waiting, so the call is not late. The server's clock must have
            // changed. The new value of the clock is now known from this response, so the call is
            // repeated.
            answer = self.ask_refresh(ask, now).await?;
        }
        let (verdict, fields) = answer;
        let session = || {
            read_session(ask.user_id, ask.sid, &fields)?
                .map(|it| it.session)
                .ok_or_else(|| lost("the script returned no fields of the session"))
        };
        match verdict.as_str() {
            "rotated" => session().map(Refreshed::Rotated),
            "current" => session().map(Refreshed::Current),
            "recovered" => session().map(Refreshed::Recovered),
            "reused" => session().map(Refreshed::Reused),
            "ahead" => Ok(Refreshed::Ahead),
            "gone" => Ok(Refreshed::Gone),
            _ => Err(lost("the script returned an unknown result for a refresh")),
        }
    }

    async fn ask_refresh(
        &self,
        ask: &Refresh<'_>,
        now: UnixMillis,
    ) -> Result<(String, Fields), Unavailable> {
        let mut call = self.scripts.refresh.prepare_invoke();
        call.key(keys::session(ask.user_id, ask.sid)).key(keys::sessions(ask.user_id));
        call.arg(now).arg(ask.sid).arg(ask.jti).arg(ask.generation).arg(ask.next_jti);
        call.arg(now.saturating_add(millis(ask.idle_ttl))).arg(millis(ask.grace));
        call.arg(ask.ip).arg(ask.user_agent).arg(COLLECT_SLACK_MS).arg(self.deadline());
        call.arg(ask.client).arg(RECOVERIES_MAX);
        let answer: (String, Fields, i64) = self.link.invoke(&call).await.map_err(lost)?;
        self.server_ahead_ms.store(answer.2 - millis(self.started.elapsed()), Ordering::Relaxed);
        Ok((answer.0, answer.1))
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

    pub(super) async fn mark_used(
        &self,
        user: Uuid,
        sid: &str,
        generation: u64,
    ) -> Result<(), Unavailable> {
        let mut call = self.scripts.mark_used.key(keys::session(user, sid));
        call.arg(generation);
        self.link.invoke(&call).await.map_err(lost)
    }

    pub(super) async fn end_session(&self, user: Uuid, sid: &str) -> Result<(), Unavailable> {
        let mut call = self.scripts.end_one.prepare_invoke();
        call.key(keys::session(user, sid)).key(keys::sessions(user)).arg(sid);
        self.link.invoke(&call).await.map_err(lost)
    }

    pub(super) async fn end_sessions(
        &self,
        user: Uuid,
        except: Option<&str>,
    ) -> Result<u64, Unavailable> {
        let mut call = self.scripts.end_all.key(keys::sessions(user));
        call.arg(keys::session_prefix(user)).arg(except.unwrap_or_default());
        self.link.invoke(&call).await.map_err(lost)
    }

    /// Changes fields of an active session. An empty value removes the field.
    pub(super) async fn amend_session(
        &self,
        (user, sid): (Uuid, &str),
        fields: &[(&str, String)],
        now: UnixMillis,
    ) -> Result<Option<Session>, Unavailable> {
        let mut call = self.scripts.amend.key(keys::session(user, sid));
        call.arg(now);
        for (name, value) in fields {
            call.arg(*name).arg(value);
        }
        let fields: Fields = self.link.invoke(&call).await.map_err(lost)?;
        Ok(read_session(user, sid, &fields)?.map(|it| it.session))
    }

    pub(super) async fn put_token(
        &self,
        token: &OneTimeToken,
        now: UnixMillis,
    ) -> Result<PutToken, Unavailable> {
        let keep = keep_ms(token.expires_at, now);
        let row = token.row_id.simple().to_string();
        let mut call = self.scripts.put_token.key(keys::token(token.user_id, token.kind));
        call.arg(now).arg(&row).arg(keep);
        call.arg("row_id").arg(&row).arg("digest").arg(&token.digest);
        call.arg("stamp").arg(token.stamp).arg("expires_at").arg(token.expires_at);
        if let Some(subject) = token.subject {
            call.arg("subject").arg(subject.to_string());
        }
        match self.link.invoke::<String>(&call).await.map_err(lost)?.as_str() {
            "superseded" => return Ok(PutToken::Superseded),
            "stored" => {}
            _ => return Err(lost("the script returned an unknown result for a one-time token")),
        }
        // In a cluster, the index entry is perhaps on another node than the token, so it is written
        // after the token. If writing the index entry fails, the token is not found, and a retry
        // writes both again.
        let mut index = redis::cmd("SET");
        index.arg(keys::token_index(&token.digest));
        index.arg(keys::token_address(token.user_id, token.kind)).arg("PX").arg(keep);
        self.link.query::<()>(&index).await.map_err(lost)?;
        Ok(PutToken::Stored)
    }

    pub(super) async fn find_token(
        &self,
        digest: &str,
    ) -> Result<Option<OneTimeToken>, Unavailable> {
        let mut index = redis::cmd("GET");
        index.arg(keys::token_index(digest));
        let address: Option<String> = self.link.query(&index).await.map_err(lost)?;
        let Some(address) = address else { return Ok(None) };
        let (user, kind) = keys::read_token_address(&address)
            .ok_or_else(|| lost("the index of a one-time token cannot be read"))?;
        let mut get = redis::cmd("HGETALL");
        get.arg(keys::token(user, kind));
        let fields: Fields = self.link.query(&get).await.map_err(lost)?;
        if fields.is_empty() {
            return Ok(None);
        }
        Ok(Some(OneTimeToken {
            kind,
            user_id: user,
            row_id: required(&fields, "row_id")?,
            digest: required(&fields, "digest")?,
            stamp: required(&fields, "stamp")?,
            subject: optional(&fields, "subject")?,
            expires_at: required(&fields, "expires_at")?,
        }))
    }

    pub(super) async fn drop_token(
        &self,
        user: Uuid,
        kind: TokenKind,
        keep_row: Option<Uuid>,
    ) -> Result<(), Unavailable> {
        let mut call = self.scripts.drop_token.key(keys::token(user, kind));
        call.arg(keep_row.map(|row| row.simple().to_string()).unwrap_or_default());
        self.link.invoke(&call).await.map_err(lost)
    }

    pub(super) async fn spend_once(
        &self,
        key: &str,
        expires_at: UnixMillis,
        now: UnixMillis,
    ) -> Result<Spend, Unavailable> {
        let mut call = self.scripts.spend_once.key(keys::once(key));
        call.arg(now).arg(expires_at).arg(keep_ms(expires_at, now)).arg(random_id());
        match self.link.invoke::<String>(&call).await.map_err(lost)?.as_str() {
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
        call.arg(keys::session_prefix(user));
        self.link.invoke(&call).await.map_err(lost)
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
