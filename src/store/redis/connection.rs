//! One connection to a server, or one to each node of a cluster; time limits, and the way back after an outage.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use opentelemetry::KeyValue;
use redis::aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{
    Arg, Client, Cmd, ErrorKind, FromRedisValue, IntoConnectionInfo, Pipeline, RedisError,
    RedisFuture, RedisResult, ScriptInvocation, ServerErrorKind, Value,
};

use super::refusal::{may_lead_elsewhere, outage};
use super::roots;
use super::url::cluster_nodes;
use crate::health::{Reason, StoreHealth};
use crate::secret::Redactor;
use crate::telemetry::Metrics;
use crate::telemetry::attributes::REDIS_OPERATIONS;
use crate::telemetry::trace::{self, Said};

/// The word for every command that is not in [`REDIS_OPERATIONS`].
const OTHER: &str = "_OTHER";

/// How long an operation may wait for Redis, retry and reconnection included: it answers in under a millisecond, and
/// some twenty waits have to fit into a request's five seconds.
const CALL_TIMEOUT: Duration = Duration::from_millis(250);

/// When a connection whose packets nobody acknowledges is given up (a half-open socket, a lost route): with the time to
/// connect again it is well within the ten seconds in which everything heals.
const UNACKNOWLEDGED_TIMEOUT: Duration = Duration::from_secs(3);

/// How often a connection is replaced at most, while its server stays one that another connection could mend: every call
/// that fails would connect otherwise.
const REPLACED_EVERY: Duration = Duration::from_secs(1);

/// Calls queued on the connection before callers wait: as many as are in work at the busiest (`http.max_in_flight`).
const QUEUE_CALLS_MAX: usize = 512;

/// The way to the server, measured where somebody wants to know.
pub(super) struct Link {
    way: Way,
    metrics: OnceLock<Arc<Metrics>>,
    redactor: Redactor,
    health: Arc<StoreHealth>,
}

/// One server or a cluster.
enum Way {
    /// One server. The manager connects again when the connection breaks; it is replaced where the connection stands
    /// and what is at its other end is no longer the primary, or no longer knows us.
    Single { client: Box<Client>, manager: ArcSwap<ConnectionManager>, replaced: Replaced },
    /// A cluster; its client follows the topology by itself.
    Cluster(ClusterConnection),
}

/// Either kind of connection, for one call.
#[derive(Clone)]
enum Connection {
    Single(Arc<ConnectionManager>, ConnectionManager),
    Cluster(ClusterConnection),
}

/// What is asked of the server; asked twice when the connection breaks.
#[derive(Clone, Copy)]
enum Call<'a> {
    Script(&'a ScriptInvocation<'a>),
    Command(&'a Cmd),
}

impl Call<'_> {
    /// The command's name; of the known ones, and never an argument.
    fn name(self) -> &'static str {
        let first = match self {
            Self::Script(_) => return "EVALSHA",
            Self::Command(cmd) => cmd.args_iter().next(),
        };
        let Some(Arg::Simple(name)) = first else { return OTHER };
        REDIS_OPERATIONS.iter().copied().find(|it| it.as_bytes() == name).unwrap_or(OTHER)
    }

    async fn run<T: FromRedisValue>(self, connection: &mut Connection) -> RedisResult<T> {
        match self {
            Self::Script(call) => call.invoke_async(connection).await,
            Self::Command(cmd) => cmd.query_async(connection).await,
        }
    }
}

impl Link {
    /// Reads the URL. Connects to nothing yet.
    pub(super) fn open(url: &str) -> RedisResult<Self> {
        let redactor = Redactor::of_url(url);
        let way = Way::open(url).map_err(|error| redacted(&redactor, error))?;
        Ok(Self { way, metrics: OnceLock::new(), redactor, health: StoreHealth::new() })
    }

    /// Whether the store takes writes, as the last probe or an outage since then has it.
    pub(super) fn health(&self) -> &Arc<StoreHealth> {
        &self.health
    }

    /// Whether the URL is one of a cluster.
    pub(super) fn is_cluster(&self) -> bool {
        matches!(self.way, Way::Cluster(_))
    }

    /// Measures every call from now on.
    pub(super) fn watch(&self, metrics: &Arc<Metrics>) {
        let _ = self.metrics.set(metrics.clone());
    }

    /// Runs a script.
    pub(super) async fn invoke<T: FromRedisValue>(
        &self,
        call: &ScriptInvocation<'_>,
    ) -> RedisResult<T> {
        self.noted(self.within(Call::Script(call)).await)
    }

    /// Runs a command.
    pub(super) async fn query<T: FromRedisValue>(&self, cmd: &Cmd) -> RedisResult<T> {
        self.noted(self.within(Call::Command(cmd)).await)
    }

    /// Asks the server about itself. That it forbids this is no outage.
    pub(super) async fn inspect<T: FromRedisValue>(&self, cmd: &Cmd) -> RedisResult<T> {
        self.within(Call::Command(cmd)).await
    }

    fn noted<T>(&self, answer: RedisResult<T>) -> RedisResult<T> {
        let Err(error) = answer else { return answer };
        let reason = outage(&error);
        if let Some(reason) = reason {
            self.health.mark_down(reason);
        }
        Err(if reason == Some(Reason::ClusterNode) { is_a_node(&error) } else { error })
    }

    /// The policy of the servers; where they differ, one that is not `noeviction`.
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
            // Managed servers forbid CONFIG, by rights or by renaming it.
            Err(error) => match error.kind() {
                ErrorKind::Server(ServerErrorKind::NoPerm | ServerErrorKind::ResponseError) => {
                    Ok(None)
                }
                _ => Err(error),
            },
        }
    }

    async fn within<T: FromRedisValue>(&self, call: Call<'_>) -> RedisResult<T> {
        let started = Instant::now();
        let answer = self.way.within(call).await;
        if let Some(metrics) = self.metrics.get() {
            let error = answer.as_ref().err().map(error_type);
            record(metrics, call.name(), started.elapsed(), error);
        }
        answer.map_err(|error| redacted(&self.redactor, error))
    }
}

/// The same error, without what it may repeat of the URL: a server that does not know a command says its arguments, and
/// those of `HELLO` and `AUTH` are the password.
fn redacted(redactor: &Redactor, error: RedisError) -> RedisError {
    let text = error.to_string();
    let shown = redactor.redact(&text);
    if shown == text { error } else { (error.kind(), "refused", shown).into() }
}

impl Way {
    fn open(url: &str) -> RedisResult<Self> {
        let tcp = TcpSettings::default()
            .set_nodelay(true)
            .set_keepalive(
                TcpKeepalive::new()
                    .with_time(UNACKNOWLEDGED_TIMEOUT)
                    .with_interval(Duration::from_secs(1)),
            )
            .set_user_timeout(UNACKNOWLEDGED_TIMEOUT);
        let roots = url.starts_with("rediss").then(roots::of_the_machine);
        if let Some(nodes) = cluster_nodes(url) {
            let mut client = ClusterClient::builder(nodes);
            if let Some(roots) = roots {
                client = client.certs(roots);
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
            return Ok(Self::Cluster(connection));
        }
        let server = url.into_connection_info()?.set_tcp_settings(tcp);
        let client = match roots {
            Some(roots) => Client::build_with_tls(server, roots)?,
            None => Client::open(server)?,
        };
        let manager = ArcSwap::from_pointee(manage(&client)?);
        Ok(Self::Single { client: Box::new(client), manager, replaced: Replaced::default() })
    }

    async fn within<T: FromRedisValue>(&self, call: Call<'_>) -> RedisResult<T> {
        let twice = async {
            let mut connection = self.connection();
            let answer = call.run(&mut connection).await;
            let Err(error) = answer else { return answer };
            // Such a call has changed nothing: it may be made again, where there is another connection.
            if may_lead_elsewhere(&error) {
                let is_replaced = self.replace(&connection);
                return if is_replaced {
                    call.run(&mut self.connection()).await
                } else {
                    Err(error)
                };
            }
            // The connection broke, perhaps long ago: one more try, on a new one.
            if error.is_connection_dropped() || error.is_connection_refusal() {
                return call.run(&mut self.connection()).await;
            }
            Err(error)
        };
        tokio::time::timeout(CALL_TIMEOUT, twice)
            .await
            .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
    }

    fn connection(&self) -> Connection {
        match self {
            Self::Single { manager, .. } => {
                let held = manager.load_full();
                let own = ConnectionManager::clone(&held);
                Connection::Single(held, own)
            }
            Self::Cluster(connection) => Connection::Cluster(connection.clone()),
        }
    }

    /// Connects anew, unless another caller just did. Whether there is another connection now.
    fn replace(&self, broken: &Connection) -> bool {
        let (Self::Single { client, manager, replaced }, Connection::Single(held, _)) =
            (self, broken)
        else {
            return false;
        };
        if !Arc::ptr_eq(held, &manager.load()) {
            return true;
        }
        if !replaced.is_due() {
            return false;
        }
        let Ok(fresh) = manage(client) else { return false };
        manager.compare_and_swap(held, Arc::new(fresh));
        true
    }
}

/// When the connection was last replaced.
struct Replaced {
    opened: Instant,
    /// Milliseconds since `opened` before which it is not replaced again.
    next: AtomicU64,
}

impl Default for Replaced {
    fn default() -> Self {
        Self { opened: Instant::now(), next: AtomicU64::new(0) }
    }
}

impl Replaced {
    /// Whether it may be replaced again; of many callers one is told so.
    fn is_due(&self) -> bool {
        let now = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        let pause = u64::try_from(REPLACED_EVERY.as_millis()).unwrap_or(u64::MAX);
        let next = self.next.load(Ordering::Acquire);
        let taken = || {
            let after = now.saturating_add(pause);
            self.next.compare_exchange(next, after, Ordering::AcqRel, Ordering::Acquire).is_ok()
        };
        now >= next && taken()
    }
}

/// What `MOVED` means to a connection to one server.
fn is_a_node(error: &RedisError) -> RedisError {
    let text = "the server is a node of a cluster: write redis+cluster:// in `redis.url`";
    (ErrorKind::Client, text, error.to_string()).into()
}

/// `error.type` of a call.
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
    trace::client(|| Said { name: operation.into(), took, attributes, failed: error.is_some() });
}

fn manage(client: &Client) -> RedisResult<ConnectionManager> {
    client.get_connection_manager_lazy(
        ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_min_delay(Duration::from_millis(20))
            .set_connection_timeout(Some(CALL_TIMEOUT))
            .set_response_timeout(Some(CALL_TIMEOUT))
            .set_pipeline_buffer_size(QUEUE_CALLS_MAX),
    )
}

/// Every string in an answer, however it is nested: a list, a map, or one of either for each node.
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
            Self::Single(_, it) => it.req_packed_command(cmd),
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
            Self::Single(_, it) => it.req_packed_commands(cmd, offset, count),
            Self::Cluster(it) => it.req_packed_commands(cmd, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Single(_, it) => it.get_db(),
            Self::Cluster(it) => it.get_db(),
        }
    }
}
