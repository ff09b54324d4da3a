//! [`Meter`]: measures the statements and connections of the database, for the metrics
//! `db.client.*`. It records only the first word of a statement's text.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use opentelemetry::KeyValue;
use sea_orm::DbErr;

use super::Db;
use super::lease::DbPool;
use crate::telemetry::Metrics;
use crate::telemetry::attributes::SQL_OPERATIONS;
use crate::telemetry::observed::ConnectionsReading;
use crate::telemetry::trace::{self, SpanAttributes};

/// The word for every statement that is not in [`SQL_OPERATIONS`].
const OTHER: &str = "_OTHER";

/// Counts the statements of a [`Db`], and records their measurements after [`Db::watch`].
#[derive(Clone, Debug, Default)]
pub(super) struct Meter {
    /// The number of statements, without `BEGIN` and `COMMIT`.
    pub(super) statements: Arc<AtomicU64>,
    watched: Option<(Arc<Metrics>, &'static str)>,
}

impl Meter {
    /// Runs and measures one statement.
    pub(super) async fn statement<T>(
        &self,
        operation: &'static str,
        work: impl Future<Output = Result<T, DbErr>>,
    ) -> Result<T, DbErr> {
        self.statements.fetch_add(1, Ordering::Relaxed);
        let started = Instant::now();
        let done = work.await;
        self.record(operation, started.elapsed(), done.is_err());
        done
    }

    /// Records one statement, or the beginning of a transaction.
    pub(super) fn record(&self, operation: &'static str, took: Duration, failed: bool) {
        let Some((metrics, system)) = &self.watched else { return };
        let system = KeyValue::new("db.system.name", *system);
        let name = operation;
        let operation = KeyValue::new("db.operation.name", operation);
        trace::client(|| {
            let mut attributes = vec![system.clone(), operation.clone()];
            attributes.extend(failed.then(|| KeyValue::new("error.type", OTHER)));
            SpanAttributes { name: name.into(), took, attributes, failed }
        });
        let duration = &metrics.db_operation_duration;
        if failed {
            let error = KeyValue::new("error.type", OTHER);
            duration.record(took.as_secs_f64(), &[system, operation, error]);
        } else {
            duration.record(took.as_secs_f64(), &[system, operation]);
        }
    }
}

impl Db {
    /// Measures every statement and every `BEGIN` from now on, and lets the metrics read the pools.
    pub fn watch(&mut self, metrics: &Arc<Metrics>) {
        let is_postgres = self.is_postgres();
        let system = if is_postgres { "postgresql" } else { "sqlite" };
        for handle in [&mut self.writer, &mut self.reader] {
            handle.meter.watched = Some((metrics.clone(), system));
        }
        // On PostgreSQL both handles use the same pool.
        if is_postgres {
            observe(&self.writer.pool, metrics, "database");
        } else {
            observe(&self.writer.pool, metrics, "writer");
            observe(&self.reader.pool, metrics, "reader");
        }
    }
}

fn observe(of: &DbPool, metrics: &Metrics, pool: &'static str) {
    let it = of.clone();
    metrics.observed.connections(pool, move || {
        let (size, idle) = (usize::try_from(it.size()).unwrap_or(usize::MAX), it.idle());
        ConnectionsReading { pool, idle, used: size.saturating_sub(idle), max: it.max() }
    });
}

/// The first word of a statement, or [`OTHER`].
pub(super) fn operation(sql: &str) -> &'static str {
    let word = sql.split_ascii_whitespace().next().unwrap_or_default();
    SQL_OPERATIONS.iter().copied().find(|it| word.eq_ignore_ascii_case(it)).unwrap_or(OTHER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_statement_only_its_first_word_is_recorded() {
        assert_eq!(operation("select 1"), "SELECT");
        assert_eq!(operation("  UPDATE \"users\" SET \"name\" = 'jo'"), "UPDATE");
        assert_eq!(operation("VACUUM"), OTHER);
        assert_eq!(operation(""), OTHER);
    }
}
