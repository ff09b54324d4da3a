//! The check of a connection that returns to its pool: it has to be outside of a transaction.
//!
//! A connection inside a transaction would acknowledge the next caller's writes and lose them,
//! because their `COMMIT` would only release a savepoint. A connection that fails the check is
//! closed, and the pool opens another one.

use sea_orm::sqlx::{self, Connection as _, PgConnection, SqliteConnection};

/// Whether a SQLite connection is outside of a transaction.
///
/// sqlx's own count of open transactions is not enough. After an error such as "disk full", SQLite
/// rolls back by itself, and the count stays at 1. So this function asks SQLite itself with a
/// `BEGIN`, which fails inside a transaction. The `BEGIN` runs after everything that is still in
/// the connection's queue.
pub(super) async fn sqlite(connection: &mut SqliteConnection) -> bool {
    let begun = sqlx::raw_sql("BEGIN; ROLLBACK").execute(&mut *connection).await;
    begun.is_ok() && !connection.is_in_transaction()
}

/// Whether a PostgreSQL connection is outside of a transaction of the migrations. sqlx counts only
/// these transactions. Every other transaction has ended before, because
/// [`Connections`](super::connections::Connections) rolls back before it gives a connection back.
pub(super) fn postgres(connection: &PgConnection) -> bool {
    !connection.is_in_transaction()
}
