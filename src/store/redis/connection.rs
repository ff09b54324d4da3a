//! The calls to a Redis server or cluster: their time limits, their metrics, and what a failed call
//! says about the state of the store.

use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use opentelemetry::KeyValue;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{
    Arg, Cmd, ErrorKind, FromRedisValue, Pipeline, RedisError, RedisFuture, RedisResult,
    ScriptInvocation, ServerErrorKind, Value,
};

use super::diagnosis::{self, Diagnosis};
use super::refusal::{outage, server_error, without_script};
use super::roots;
use super::single::{Server, Single};
use super::url::cluster_nodes;
use crate::health::{Reason, StoreHealth};
use crate::secret::Redactor;
use crate::telemetry::Metrics;
use crate::telemetry::attributes::REDIS_OPERATIONS;
use crate::telemetry::trace::{self, SpanAttributes};

/// The name in the metrics of every command that is not in [`REDIS_OPERATIONS`].
const OTHER: &str = "_OTHER";

/// How long an operation may wait for Redis, including a retry and a reconnection. Redis normally
/// responds in less than a millisecond. Even about twenty waits of this length must fit into the
/// five seconds of a request.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_millis(250);

/// How long packets stay unacknowledged before the connection is closed. Packets stay
/// unacknowledged if the socket is half-open or the network route is lost. This time and the time
/// to reconnect are together much shorter than ten seconds, the time in which latchkey recovers
/// from every failure.
const UNACKNOWLEDGED_TIMEOUT: Duration = Duration::from_secs(3);

/// The connection to Redis. It records metrics if they are set.
pub(super) struct Link {
    way: Way,
    metrics: OnceLock<Arc<Metrics>>,
    redactor: Redactor,
    health: Arc<StoreHealth>,
}

enum Way {
    Single(Box<Single>),
    /// A cluster. The cluster client follows changes of the topology by itself. The list contains
    /// the nodes in the URL and is used only for a diagnosis.
    Cluster(ClusterConnection, Vec<Server>),
}

/// A connection to a single server or to a cluster.
#[derive(Clone)]
pub(super) enum Connection {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// Why a call failed.
pub(super) struct Failure {
    pub(super) error: RedisError,
    /// Whether connecting failed, so that the call was not sent.
    pub(super) is_connecting: bool,
}

impl Failure {
    pub(super) fn of_connecting(error: RedisError) -> Self {
        Self { error, is_connecting: true }
    }

    pub(super) fn of_call(error: RedisError) -> Self {
        Self { error, is_connecting: false }
    }

    /// Why the store is down. If connecting failed, the store is down, whatever the error is.
    fn reason(&self) -> Option<Reason> {
        outage(&self.error).or(self.is_connecting.then_some(Reason::Refused))
    }
}

/// A call to the server. The call is sent again if the connection breaks.
#[derive(Clone, Copy)]
pub(super) enum Call<'a> {
    Script(&'a ScriptInvocation<'a>),
    Command(&'a Cmd),
}

impl Call<'_> {
    /// The name of the command for the metrics. It is one of the known names and never contains an
    /// argument of the command.
    fn name(self) -> &'static str {
        let first = match self {
            Self::Script(_) => return "EVALSHA",
            Self::Command(cmd) => cmd.args_iter().next(),
        };
        let Some(Arg::Simple(name)) = first else { return OTHER };
        REDIS_OPERATIONS.iter().copied().find(|it| it.as_bytes() == name).unwrap_or(OTHER)
    }

    pub(super) async fn run<T: FromRedisValue>(
        self,
        connection: &mut Connection,
    ) -> RedisResult<T> {
        match self {
            Self::Script(call) => call.invoke_async(connection).await,
            Self::Command(cmd) => cmd.query_async(connection).await,
        }
    }
}

impl Link {
    /// Parses the URL. Does not connect yet.
    pub(super) fn open(url: &str, ca_file: Option<&Path>) -> RedisResult<Self> {
        let redactor = Redactor::of_url(url);
        let way = Way::open(url, ca_file).map_err(|error| redacted(&redactor, error))?;
        Ok(Self { way, metrics: OnceLock::new(), redactor, health: StoreHealth::new() })
    }

    /// Whether the store accepts writes. The last probe decides this, and so does an outage after
    /// that probe.
    pub(super) fn health(&self) -> &Arc<StoreHealth> {
        &self.health
    }

    pub(super) fn is_cluster(&self) -> bool {
        matches!(self.way, Way::Cluster(..))
    }

    pub(super) fn watch(&self, metrics: &Arc<Metrics>) {
        let _ = self.metrics.set(metrics.clone());
    }

    pub(super) async fn invoke<T: FromRedisValue>(
        &self,
        call: &ScriptInvocation<'_>,
    ) -> RedisResult<T> {
        self.run(Call::Script(call)).await
    }

    pub(super) async fn query<T: FromRedisValue>(&self, cmd: &Cmd) -> RedisResult<T> {
        self.run(Call::Command(cmd)).await
    }

    pub(super) async fn run<T: FromRedisValue>(&self, call: Call<'_>) -> RedisResult<T> {
        self.note(self.within(call).await)
    }

    /// Finds out why there is no connection. The error of a call does not always say this. `None`
    /// if there is a connection.
    pub(super) async fn diagnose(&self) -> Option<Diagnosis> {
        let (reason, error) = match &self.way {
            Way::Single(it) => diagnosis::of_server(it.server()).await?,
            Way::Cluster(_, nodes) => diagnosis::of_cluster(nodes).await?,
        };
        Some((reason, self.redact(error)))
    }

    /// Sends a command that asks for information about the server. If the server forbids the
    /// command, this does not count as an outage.
    pub(super) async fn inspect<T: FromRedisValue>(&self, cmd: &Cmd) -> RedisResult<T> {
        self.within(Call::Command(cmd)).await.map_err(|failure| self.redact(failure.error))
    }

    /// Records an outage in the state of the store.
    fn note<T>(&self, answer: Result<T, Failure>) -> RedisResult<T> {
        answer.map_err(|failure| {
            let reason = failure.reason();
            match reason {
                // The prober has perhaps found a more exact reason. That reason must not be
                // replaced.
                Some(it) if it.is_vague() && self.health.reason().is_some() => {
                    self.health.suspect();
                }
                Some(reason) => self.health.mark_down(reason),
                None => {}
            }
            let error = self.redact(failure.error);
            if reason == Some(Reason::ClusterNode) { is_a_node(&error) } else { error }
        })
    }

    fn redact(&self, error: RedisError) -> RedisError {
        redacted(&self.redactor, error)
    }

    /// The eviction policy of the servers. If the servers have different policies, the result is
    /// one that is not `noeviction`.
    pub(super) async fn eviction_policy(&self) -> RedisResult<Option<String>> {
        let mut get = redis::cmd("CONFIG");
        get.arg("GET").arg("maxmemory-policy");
        match self.inspect::<Value>(&get).await {
            Ok(answer) => {
                let mut words = Vec::new();
                collect_words(&answer, &mut words);
                words.retain(|word| word.contains("eviction") || word.contains('-'));
                words.retain(|word| word != "maxmemory-policy");
                words.sort_by_key(|word| word == "noeviction");
                Ok(words.into_iter().next())
            }
            // Managed servers forbid CONFIG with an ACL or rename it.
            Err(error) => match error.kind() {
                ErrorKind::Server(ServerErrorKind::NoPerm | ServerErrorKind::ResponseError) => {
                    Ok(None)
                }
                _ => Err(error),
            },
        }
    }

    async fn within<T: FromRedisValue>(&self, call: Call<'_>) -> Result<T, Failure> {
        let started = Instant::now();
        let answer = self.way.within(call).await;
        if let Some(metrics) = self.metrics.get() {
            let error = answer.as_ref().err().map(|failure| error_type(&failure.error));
            record(metrics, call.name(), started.elapsed(), error);
        }
        answer
    }
}

/// Returns the error without parts of the URL and without the digest of a script. If a server does
/// not know a command, its error repeats the arguments of the command. The arguments of `HELLO` and
/// `AUTH` contain the password.
fn redacted(redactor: &Redactor, error: RedisError) -> RedisError {
    if let (Some(code), Some(detail)) = (error.code(), error.detail()) {
        let (plain_code, words) = without_script(code, detail);
        let shown = redactor.redact(words);
        let is_same = plain_code == code && shown == detail;
        return if is_same { error } else { server_error(plain_code, &shown) };
    }
    let text = error.to_string();
    let shown = redactor.redact(&text);
    if shown == text { error } else { (error.kind(), "refused", shown).into() }
}

impl Way {
    fn open(url: &str, ca_file: Option<&Path>) -> RedisResult<Self> {
        let tcp = TcpSettings::default()
            .set_nodelay(true)
            .set_keepalive(
                TcpKeepalive::new()
                    .with_time(UNACKNOWLEDGED_TIMEOUT)
                    .with_interval(Duration::from_secs(1)),
            )
            .set_user_timeout(UNACKNOWLEDGED_TIMEOUT);
        if let Some(nodes) = cluster_nodes(url) {
            let servers = nodes.iter().map(|node| Server::open(node, ca_file, tcp.clone()));
            let servers = servers.collect::<RedisResult<_>>()?;
            let mut client = ClusterClient::builder(nodes);
            if url.starts_with("rediss") {
                client = client.certs(roots::trusted(ca_file)?);
            }
            let client = client
                .tcp_settings(tcp)
                .connection_timeout(CALL_TIMEOUT)
                .response_timeout(CALL_TIMEOUT)
                .overall_response_timeout(Some(CALL_TIMEOUT))
                .retries(1)
                .build()?;
            let connection = client
                .get_pending_async_connection_with_config(redis::cluster::ClusterConfig::default());
            return Ok(Self::Cluster(connection, servers));
        }
        Ok(Self::Single(Box::new(Single::new(Server::open(url, ca_file, tcp)?))))
    }

    async fn within<T: FromRedisValue>(&self, call: Call<'_>) -> Result<T, Failure> {
        let answer = async {
            match self {
                Self::Single(it) => it.run(call).await,
                Self::Cluster(it, _) => run_in_cluster(it, call).await.map_err(Failure::of_call),
            }
        };
        tokio::time::timeout(CALL_TIMEOUT, answer).await.unwrap_or_else(|_| {
            Err(Failure::of_call(io::Error::from(io::ErrorKind::TimedOut).into()))
        })
    }
}

/// Makes a call. If the connection is broken, repeats the call once, because the connection perhaps
/// broke long before this call.
async fn run_in_cluster<T: FromRedisValue>(
    cluster: &ClusterConnection,
    call: Call<'_>,
) -> RedisResult<T> {
    let mut connection = Connection::Cluster(cluster.clone());
    match call.run(&mut connection).await {
        Err(error) if error.is_connection_dropped() || error.is_connection_refusal() => {
            call.run(&mut connection).await
        }
        answer => answer,
    }
}

/// The error to report if a server responds with `MOVED` to a connection to a single server.
fn is_a_node(error: &RedisError) -> RedisError {
    let text = "the server is a node of a cluster: write redis+cluster:// in `redis.url`";
    (ErrorKind::Client, text, error.to_string()).into()
}

/// The value of the attribute `error.type` for a failed call.
fn error_type(error: &RedisError) -> &'static str {
    if error.is_timeout() {
        "timeout"
    } else if error.is_io_error() {
        "connection"
    } else {
        OTHER
    }
}

fn record(metrics: &Metrics, operation: &'static str, took: Duration, error: Option<&'static str>) {
    let mut attributes = vec![
        KeyValue::new("db.system.name", "redis"),
        KeyValue::new("db.operation.name", operation),
    ];
    attributes.extend(error.map(|error| KeyValue::new("error.type", error)));
    metrics.db_operation_duration.record(took.as_secs_f64(), &attributes);
    trace::client(|| SpanAttributes {
        name: operation.into(),
        took,
        attributes,
        failed: error.is_some(),
    });
}

/// Collects every string in a response. The response is a list or a map, or it contains a list or a
/// map for each node.
pub(super) fn collect_words(value: &Value, words: &mut Vec<String>) {
    match value {
        Value::BulkString(bytes) => words.extend(String::from_utf8(bytes.clone())),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => words.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| collect_words(item, words)),
        Value::Map(pairs) => {
            for (name, value) in pairs {
                collect_words(name, words);
                collect_words(value, words);
            }
        }
        _ => {}
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Single(it) => it.req_packed_command(cmd),
            Self::Cluster(it) => it.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        cmd: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Single(it) => it.req_packed_commands(cmd, offset, count),
            Self::Cluster(it) => it.req_packed_commands(cmd, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Single(it) => it.get_db(),
            Self::Cluster(it) => it.get_db(),
        }
    }
}
