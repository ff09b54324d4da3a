//! What a connection must prove when it returns to its pool: that it is in no transaction.
//!
//! A connection that returned inside a transaction would acknowledge the next user's writes and lose them: their `COMMIT`
//! would only release a savepoint. A connection that cannot prove it is closed, and the pool opens another one.

use sea_orm::sqlx::pool::PoolOptions;
use sea_orm::sqlx::{self, Connection as _, Postgres, Sqlite, SqliteConnection};

/// Checks SQLite connections, the writer's and the readers'.
///
/// sqlx's own count of open transactions is not enough: after an error such as "disk full" SQLite rolls back by itself,
/// and the count stays at 1.
pub(super) fn sqlite(pool: PoolOptions<Sqlite>) -> PoolOptions<Sqlite> {
    pool.after_release(|connection, _| Box::pin(async { Ok(is_outside(connection).await) }))
}

/// Asks SQLite itself, after everything that the connection's queue still holds: `BEGIN` fails inside a transaction.
async fn is_outside(connection: &mut SqliteConnection) -> bool {
    let asked = sqlx::raw_sql("BEGIN; ROLLBACK").execute(&mut *connection).await;
    asked.is_ok() && !connection.is_in_transaction()
}

/// Checks PostgreSQL connections. sqlx's count is right here ([`transaction::begin`](super::transaction::begin) sees to the
/// one case in which it was not), and asking the server would cost every request a round trip.
pub(super) fn postgres(pool: PoolOptions<Postgres>) -> PoolOptions<Postgres> {
    pool.after_release(|connection, _| {
        let is_outside = !connection.is_in_transaction();
        Box::pin(async move { Ok(is_outside) })
    })
}
