//! Measures the statements and connections of the database, for the metrics `db.client.*`. It
//! records only the first word of a statement's text.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::KeyValue;
use sea_orm::{DatabaseBackend, DatabaseConnection};

use super::Db;
use crate::telemetry::Metrics;
use crate::telemetry::attributes::SQL_OPERATIONS;
use crate::telemetry::observed::ConnectionsReading;
use crate::telemetry::trace::{self, SpanAttributes};

/// The word for every statement that is not in [`SQL_OPERATIONS`].
const OTHER: &str = "_OTHER";

/// Records the measurements of a [`Db`].
#[derive(Clone, Debug)]
pub(super) struct Measure {
    metrics: Arc<Metrics>,
    system: &'static str,
}

impl Measure {
    /// Records one statement, or the beginning of a transaction.
    pub(super) fn record(&self, operation: &'static str, took: Duration, failed: bool) {
        let system = KeyValue::new("db.system.name", self.system);
        let name = operation;
        let operation = KeyValue::new("db.operation.name", operation);
        trace::client(|| {
            let mut attributes = vec![system.clone(), operation.clone()];
            attributes.extend(failed.then(|| KeyValue::new("error.type", OTHER)));
            SpanAttributes { name: name.into(), took, attributes, failed }
        });
        let duration = &self.metrics.db_operation_duration;
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
        let system = if self.is_postgres() { "postgresql" } else { "sqlite" };
        let measure = Measure { metrics: metrics.clone(), system };
        let mut connections =
            vec![(&mut self.writer.inner, "writer"), (&mut self.reader.inner, "reader")];
        if system == "postgresql" {
            // Both handles use the same pool, but each handle has its own callback.
            for (connection, _) in &mut connections {
                call_back(connection, &measure, &self.statements);
            }
            observe(&self.writer.inner, metrics, "database");
        } else {
            for (connection, name) in connections {
                call_back(connection, &measure, &self.statements);
                observe(connection, metrics, name);
            }
        }
        self.writer.measure = Some(measure.clone());
        self.reader.measure = Some(measure);
    }
}

/// Sets the callback that SeaORM calls after each statement, in a transaction or not. SeaORM takes
/// only one callback, so this callback also counts the statements.
fn call_back(connection: &mut DatabaseConnection, measure: &Measure, statements: &Arc<AtomicU64>) {
    let (measure, statements) = (measure.clone(), statements.clone());
    connection.set_metric_callback(move |info| {
        statements.fetch_add(1, Ordering::Relaxed);
        measure.record(operation(&info.statement.sql), info.elapsed, info.failed);
    });
}

fn observe(connection: &DatabaseConnection, metrics: &Metrics, pool: &'static str) {
    let reading = move |size: u32, idle: usize, max: u32| {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        ConnectionsReading { pool, idle, used: size.saturating_sub(idle), max }
    };
    if connection.get_database_backend() == DatabaseBackend::Postgres {
        let it = connection.get_postgres_connection_pool().clone();
        metrics.observed.connections(pool, move || {
            reading(it.size(), it.num_idle(), it.options().get_max_connections())
        });
    } else {
        let it = connection.get_sqlite_connection_pool().clone();
        metrics.observed.connections(pool, move || {
            reading(it.size(), it.num_idle(), it.options().get_max_connections())
        });
    }
}

/// The first word of a statement, or [`OTHER`].
fn operation(sql: &str) -> &'static str {
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
