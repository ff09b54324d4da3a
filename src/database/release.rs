//! What a connection must prove when it returns to its pool: that it is in no transaction.
//!
//! A connection that returned inside a transaction would acknowledge the next user's writes and lose them: their `COMMIT`
//! would only release a savepoint. A connection that cannot prove it is closed, and the pool opens another one.

use sea_orm::sqlx::{self, Connection as _, PgConnection, SqliteConnection};

/// Whether a SQLite connection is outside of a transaction.
///
/// sqlx's own count of open transactions is not enough: after an error such as "disk full" SQLite rolls back by itself,
/// and the count stays at 1. So SQLite itself is asked, after everything that the connection's queue still holds: `BEGIN`
/// fails inside a transaction.
pub(super) async fn sqlite(connection: &mut SqliteConnection) -> bool {
    let asked = sqlx::raw_sql("BEGIN; ROLLBACK").execute(&mut *connection).await;
    asked.is_ok() && !connection.is_in_transaction()
}

/// Whether a PostgreSQL connection is outside of a transaction. sqlx's count is right here
/// ([`transaction::begin`](super::transaction::begin) sees to the one case in which it was not), and asking the server
/// would cost every request a round trip.
pub(super) fn postgres(connection: &PgConnection) -> bool {
    !connection.is_in_transaction()
}
