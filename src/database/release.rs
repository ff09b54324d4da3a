//! The check of a connection that returns to its pool: it has to be outside of a transaction.
//!
//! A connection inside a transaction would acknowledge the next caller's writes and lose them,
//! because their `COMMIT` would only release a savepoint. A connection that fails the check is
//! closed, and the pool opens another one.

use sea_orm::sqlx::{self, Connection as _, PgConnection, SqliteConnection};

/// Whether a SQLite connection is outside of a transaction.
///
/// sqlx's own count of open transactions is not enough. After an error such as "disk full", SQLite
/// rolls back by itself, and the count stays at 1. So this asks SQLite itself, after everything
/// that the connection's queue still holds: `BEGIN` fails inside a transaction.
pub(super) async fn sqlite(connection: &mut SqliteConnection) -> bool {
    let begun = sqlx::raw_sql("BEGIN; ROLLBACK").execute(&mut *connection).await;
    begun.is_ok() && !connection.is_in_transaction()
}

/// Whether a PostgreSQL connection is outside of a transaction. sqlx's count is right here:
/// [`transaction::begin`](super::transaction::begin) handles the one case in which it was not.
pub(super) fn postgres(connection: &PgConnection) -> bool {
    !connection.is_in_transaction()
}
