//! The connection to one server. All calls share this connection. It is replaced when it breaks or
//! when it leads to the wrong server.
//!
//! The connection manager of the Redis client is not used. If the server refuses `AUTH` or
//! `SELECT`, the manager keeps the failed attempt forever and hides the server's error. This module
//! tries to connect again. It sends `AUTH` and `SELECT` as calls, which return the server's error.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use futures_util::future::{BoxFuture, FutureExt as _, Shared};
use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ErrorKind, FromRedisValue, IntoConnectionInfo,
    RedisConnectionInfo, RedisError, RedisResult,
};

use super::connection::{CALL_TIMEOUT, Call, Connection, Failure};
use super::refusal::{may_lead_elsewhere, server_error};
use super::roots;
use crate::config::escape_hint;

/// How long connecting may take, including TLS. A call that waits for the connection has its own
/// time limit. If the call's own limit passes, later calls still wait for the same attempt to
/// connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// The shortest time between two attempts to connect to a server that refuses the connection.
/// Without this limit, every failing call would connect again.
const REFUSED_EVERY: Duration = Duration::from_millis(500);

/// The number of calls that fit in the queue of the connection. If the queue is full, callers wait.
/// The number is the greatest number of requests that run at the same time (`http.max_in_flight`).
const QUEUE_CALLS_MAX: usize = 512;

/// A server, with the data that is needed to connect to it.
pub(super) struct Server {
    client: Client,
    settings: RedisConnectionInfo,
    /// What to do if the server refuses the password.
    escape_hint: Option<&'static str>,
}

impl Server {
    pub(super) fn open(url: &str, ca_file: Option<&Path>, tcp: TcpSettings) -> RedisResult<Self> {
        let info = url.into_connection_info()?.set_tcp_settings(tcp);
        let settings = info.redis_settings().clone();
        // `connect` sends `AUTH` and `SELECT` itself. The name of the library is not sent, because
        // an ACL can refuse that command.
        let info = info.set_redis_settings(RedisConnectionInfo::default().set_skip_set_lib_name());
        let client = if url.starts_with("rediss") {
            Client::build_with_tls(info, roots::trusted(ca_file)?)?
        } else {
            Client::open(info)?
        };
        Ok(Self { client, settings, escape_hint: escape_hint(url) })
    }

    pub(super) fn address(&self) -> &ConnectionAddr {
        self.client.get_connection_info().addr()
    }

    /// Connects, authenticates and selects the database. If the server refuses one of these steps,
    /// returns the server's own error.
    pub(super) async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(CALL_TIMEOUT))
            .set_pipeline_buffer_size(QUEUE_CALLS_MAX);
        let mut connection =
            self.client.get_multiplexed_async_connection_with_config(&config).await?;
        if let Some(password) = self.settings.password() {
            let mut auth = redis::cmd("AUTH");
            auth.arg(self.settings.username()).arg(password);
            let accepted = auth.exec_async(&mut connection).await;
            accepted.map_err(|error| with_hint(self.escape_hint, error))?;
        }
        let number = self.settings.db();
        if number != 0 {
            let selected = redis::cmd("SELECT").arg(number).exec_async(&mut connection).await;
            selected.map_err(|error| name_the_number(number, error))?;
        }
        Ok(connection)
    }
}

/// Adds what to do to the error of a server that refuses the password.
fn with_hint(hint: Option<&str>, error: RedisError) -> RedisError {
    match (hint, error.code(), error.detail()) {
        (Some(hint), Some(code @ "WRONGPASS"), Some(said)) => {
            server_error(code, &format!("{said} ({hint})"))
        }
        _ => error,
    }
}

/// If the server's error is `DB index is out of range`, adds the setting that contains the number
/// of the database.
fn name_the_number(number: i64, error: RedisError) -> RedisError {
    if !error.detail().is_some_and(|said| said.contains("out of range")) {
        return error;
    }
    let text = "the server has no database with this number (see its setting `databases`): correct the \
         path of `redis.url`";
    (ErrorKind::Client, text, format!("SELECT {number}: {error}")).into()
}

/// An attempt to connect. It is in progress, has succeeded or has failed. The attempt has no task
/// of its own: the calls that wait for it poll its future.
struct Attempt(Shared<BoxFuture<'static, RedisResult<MultiplexedConnection>>>);

impl Attempt {
    fn new(server: &Arc<Server>) -> Self {
        let server = server.clone();
        Self(async move { server.connect().await }.boxed().shared())
    }

    async fn run<T: FromRedisValue>(&self, call: Call<'_>) -> Result<T, Failure> {
        let connection = self.0.clone().await.map_err(Failure::of_connecting)?;
        call.run(&mut Connection::Single(connection)).await.map_err(Failure::of_call)
    }
}

/// The connection to one server.
pub(super) struct Single {
    server: Arc<Server>,
    attempt: ArcSwap<Attempt>,
    pace: Pace,
}

impl Single {
    /// Creates the connection without connecting yet.
    pub(super) fn new(server: Server) -> Self {
        let server = Arc::new(server);
        let attempt = ArcSwap::from_pointee(Attempt::new(&server));
        Self { server, attempt, pace: Pace::default() }
    }

    pub(super) fn server(&self) -> &Server {
        &self.server
    }

    /// Makes a call. If the connection broke or the server refused the call, repeats the call on a
    /// new connection.
    pub(super) async fn run<T: FromRedisValue>(&self, call: Call<'_>) -> Result<T, Failure> {
        let attempt = self.attempt.load_full();
        let failure = match attempt.run(call).await {
            Ok(answer) => return Ok(answer),
            Err(failure) => failure,
        };
        let error = &failure.error;
        let is_gone =
            error.is_unrecoverable_error() || (failure.is_connecting && error.is_io_error());
        let is_refused = failure.is_connecting || may_lead_elsewhere(error);
        if !(is_gone || is_refused) || !self.replace(&attempt, is_gone) {
            return Err(failure);
        }
        // If the connection broke, perhaps only the response to the first call was lost. Then the
        // server runs the call twice.
        self.attempt.load_full().run(call).await
    }

    /// Connects again, unless another caller has just done so. Returns whether there is a new
    /// connection.
    fn replace(&self, failed: &Arc<Attempt>, at_once: bool) -> bool {
        if !Arc::ptr_eq(failed, &self.attempt.load()) {
            return true;
        }
        if !at_once && !self.pace.is_due() {
            return false;
        }
        self.attempt.compare_and_swap(failed, Arc::new(Attempt::new(&self.server)));
        true
    }
}

/// Limits how often latchkey connects to a server that refuses.
struct Pace {
    opened: Instant,
    /// The time of the next allowed connection, in milliseconds since `opened`.
    next: AtomicU64,
}

impl Default for Pace {
    fn default() -> Self {
        Self { opened: Instant::now(), next: AtomicU64::new(0) }
    }
}

impl Pace {
    /// Whether latchkey may connect now. If several callers ask at the same time, only one of them
    /// gets `true`.
    fn is_due(&self) -> bool {
        let now = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        let pause = u64::try_from(REFUSED_EVERY.as_millis()).unwrap_or(u64::MAX);
        let next = self.next.load(Ordering::Acquire);
        let take = || {
            let after = now.saturating_add(pause);
            self.next.compare_exchange(next, after, Ordering::AcqRel, Ordering::Acquire).is_ok()
        };
        now >= next && take()
    }
}
