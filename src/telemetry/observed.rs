//! [`Observed`]: values that are read at the moment when the metrics are read, such as the state of
//! pools and connections. So a gauge is never older than the request for the metrics.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

use super::instrument::Instrument;
use super::labels::{PoolName, TaskName};
use super::registry;
use super::typed::Label as _;

/// How often the wait for a database connection timed out. The counter is global, because the error
/// is created where no instrument is available.
static CONNECTION_TIMEOUTS: AtomicU64 = AtomicU64::new(0);

/// Counts a wait for a database connection that timed out.
pub fn connection_timed_out() {
    CONNECTION_TIMEOUTS.fetch_add(1, Ordering::Relaxed);
}

/// The number of log lines that were dropped. The counter is global, like the log.
static LOG_DROPPED: AtomicU64 = AtomicU64::new(0);

/// Counts lines of the log that will not be written.
pub fn log_dropped(count: u64) {
    LOG_DROPPED.fetch_add(count, Ordering::Relaxed);
}

/// The number of items of each signal that were not exported. The counters are global, because the
/// process has one queue of spans and one of log records.
static DROPPED: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];

/// A kind of telemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Collections of metrics.
    Metrics,
    /// Log records.
    Logs,
}

impl Signal {
    const ALL: [Self; 3] = [Self::Traces, Self::Metrics, Self::Logs];

    /// The name in metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }
}

/// Counts items that were not exported.
pub fn dropped(signal: Signal, count: u64) {
    DROPPED[signal as usize].fetch_add(count, Ordering::Relaxed);
}

/// The number of items that were not exported since the start.
pub fn dropped_so_far(signal: Signal) -> u64 {
    DROPPED[signal as usize].load(Ordering::Relaxed)
}

/// The state of a worker pool at one moment.
#[derive(Clone, Copy, Debug)]
pub struct PoolReading {
    pub pool: PoolName,
    /// The number of all workers.
    pub workers: usize,
    /// The number of workers that work on a job.
    pub busy: usize,
    /// The number of jobs that wait.
    pub waiting: usize,
    /// The maximum number of jobs that wait.
    pub queue: usize,
}

/// The state of a connection pool at one moment.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionsReading {
    pub pool: &'static str,
    /// The number of connections that are open and not in use.
    pub idle: usize,
    pub used: usize,
    /// The maximum number of connections.
    pub max: u32,
}

/// The age of a signing key at one moment.
#[derive(Clone, Copy, Debug)]
pub struct KeyReading {
    /// What the key signs.
    pub kind: &'static str,
    /// The time since the key began to sign.
    pub age: Duration,
}

type Source<T> = Box<dyn Fn() -> T + Send + Sync>;

/// The functions that are called when the metrics are read.
#[derive(Default)]
pub struct Observed {
    pools: Mutex<Vec<Source<PoolReading>>>,
    connections: Mutex<Vec<(&'static str, Source<ConnectionsReading>)>>,
    signing_keys: Mutex<Option<Source<Vec<KeyReading>>>>,
    tasks: Mutex<Vec<(TaskName, Source<Duration>)>>,
}

impl Observed {
    /// Adds a worker pool.
    pub fn pool(&self, read: impl Fn() -> PoolReading + Send + Sync + 'static) {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(read));
    }

    /// Adds a connection pool. It replaces an earlier pool of the same name, because a daemon that
    /// waits for its database connects many times.
    pub fn connections(
        &self,
        pool: &'static str,
        read: impl Fn() -> ConnectionsReading + Send + Sync + 'static,
    ) {
        let mut sources = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        sources.retain(|(name, _)| *name != pool);
        sources.push((pool, Box::new(read)));
    }

    /// Sets the function that reads the ages of the signing keys.
    pub fn signing_keys(&self, read: impl Fn() -> Vec<KeyReading> + Send + Sync + 'static) {
        let mut source = self.signing_keys.lock().unwrap_or_else(PoisonError::into_inner);
        *source = Some(Box::new(read));
    }

    /// Adds a task. `overdue` returns how long its next run is overdue.
    pub fn task(&self, task: TaskName, overdue: impl Fn() -> Duration + Send + Sync + 'static) {
        let mut sources = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        sources.retain(|(name, _)| *name != task);
        sources.push((task, Box::new(overdue)));
    }

    fn pools(&self) -> Vec<PoolReading> {
        let sources = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        sources.iter().map(|read| read()).collect()
    }

    fn all_connections(&self) -> Vec<ConnectionsReading> {
        let sources = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        sources.iter().map(|(_, read)| read()).collect()
    }

    /// Creates the instruments that read these functions.
    pub(super) fn register(self: &Arc<Self>, meter: &Meter) {
        self.register_pool(meter, &registry::POOL_WORKERS, |it| it.workers);
        self.register_pool(meter, &registry::POOL_BUSY, |it| it.busy);
        self.register_pool(meter, &registry::POOL_QUEUE_DEPTH, |it| it.waiting);
        self.register_pool(meter, &registry::POOL_QUEUE_LIMIT, |it| it.queue);
        let this = self.clone();
        up_down(meter, &registry::DB_CONNECTIONS, move |observe| {
            for it in this.all_connections() {
                for (state, count) in [("idle", it.idle), ("used", it.used)] {
                    let attributes = [
                        KeyValue::new("db.client.connection.pool.name", it.pool),
                        KeyValue::new("db.client.connection.state", state),
                    ];
                    observe(i64::try_from(count).unwrap_or(i64::MAX), &attributes);
                }
            }
        });
        let this = self.clone();
        up_down(meter, &registry::DB_CONNECTIONS_MAX, move |observe| {
            for it in this.all_connections() {
                let pool = KeyValue::new("db.client.connection.pool.name", it.pool);
                observe(i64::from(it.max), &[pool]);
            }
        });
        let this = self.clone();
        float_gauge(meter, &registry::SIGNING_KEY_AGE, move |observe| {
            let source = this.signing_keys.lock().unwrap_or_else(PoisonError::into_inner);
            for it in source.as_ref().map(|read| read()).unwrap_or_default() {
                observe(it.age.as_secs_f64(), &[KeyValue::new("kind", it.kind)]);
            }
        });
        let this = self.clone();
        float_gauge(meter, &registry::TASK_OVERDUE, move |observe| {
            let sources = this.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            for (task, overdue) in sources.iter() {
                observe(overdue().as_secs_f64(), &[task.key_value()]);
            }
        });
        let row = &registry::DB_CONNECTION_TIMEOUTS;
        meter
            .u64_observable_counter(row.name)
            .with_unit(row.unit)
            .with_description(row.description)
            .with_callback(|it| it.observe(CONNECTION_TIMEOUTS.load(Ordering::Relaxed), &[]))
            .build();
        let row = &registry::LOG_DROPPED;
        meter
            .u64_observable_counter(row.name)
            .with_unit(row.unit)
            .with_description(row.description)
            .with_callback(|it| it.observe(LOG_DROPPED.load(Ordering::Relaxed), &[]))
            .build();
        let row = &registry::TELEMETRY_DROPPED;
        meter
            .u64_observable_counter(row.name)
            .with_unit(row.unit)
            .with_description(row.description)
            .with_callback(|it| {
                for signal in Signal::ALL {
                    it.observe(dropped_so_far(signal), &[KeyValue::new("signal", signal.name())]);
                }
            })
            .build();
    }

    fn register_pool(
        self: &Arc<Self>,
        meter: &Meter,
        row: &Instrument,
        of: fn(&PoolReading) -> usize,
    ) {
        let this = self.clone();
        meter
            .u64_observable_gauge(row.name)
            .with_unit(row.unit)
            .with_description(row.description)
            .with_callback(move |observer| {
                for it in this.pools() {
                    observer.observe(of(&it) as u64, &[it.pool.key_value()]);
                }
            })
            .build();
    }
}

impl fmt::Debug for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observed")
    }
}

/// Creates an up-down counter. `read` reports its values.
pub(super) fn up_down(
    meter: &Meter,
    row: &Instrument,
    read: impl Fn(&dyn Fn(i64, &[KeyValue])) + Send + Sync + 'static,
) {
    meter
        .i64_observable_up_down_counter(row.name)
        .with_unit(row.unit)
        .with_description(row.description)
        .with_callback(move |observer| {
            read(&|value, attributes| observer.observe(value, attributes));
        })
        .build();
}

/// Creates a gauge of seconds. `read` reports its values.
fn float_gauge(
    meter: &Meter,
    row: &Instrument,
    read: impl Fn(&dyn Fn(f64, &[KeyValue])) + Send + Sync + 'static,
) {
    meter
        .f64_observable_gauge(row.name)
        .with_unit(row.unit)
        .with_description(row.description)
        .with_callback(move |observer| {
            read(&|value, attributes| observer.observe(value, attributes));
        })
        .build();
}

/// Creates a counter of fractional numbers. `read` reports its values.
pub(super) fn float_counter(
    meter: &Meter,
    row: &Instrument,
    read: impl Fn(&dyn Fn(f64, &[KeyValue])) + Send + Sync + 'static,
) {
    meter
        .f64_observable_counter(row.name)
        .with_unit(row.unit)
        .with_description(row.description)
        .with_callback(move |observer| {
            read(&|value, attributes| observer.observe(value, attributes));
        })
        .build();
}
