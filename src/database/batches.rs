//! Deletes many rows in small statements.

use sea_orm::{ConnectionTrait as _, DbErr, Statement};

use super::Db;
use crate::clock::UnixMillis;

/// The greatest number of rows that one statement deletes. PostgreSQL ends a statement after 2 s,
/// and other writers of SQLite wait for the statement.
const ROWS_MAX: u64 = 1_000;

/// Rows that can be deleted from a time on.
#[derive(Clone, Copy, Debug)]
pub struct Expired<'a> {
    pub table: &'static str,
    /// The primary key of the table.
    pub key: &'static str,
    /// The condition of the rows in SQL. `$1` stands for a time.
    pub condition: &'a str,
}

impl Expired<'_> {
    /// Deletes the rows that fulfil the condition at the time `at`. Returns their number. Rows that
    /// another transaction has locked stay until the next call.
    ///
    /// # Errors
    /// The database's error. Rows that were already deleted stay deleted.
    pub async fn delete(self, db: &Db, at: UnixMillis) -> Result<u64, DbErr> {
        let Self { table, key, condition } = self;
        let skip = if db.is_postgres() { " FOR UPDATE SKIP LOCKED" } else { "" };
        let sql = format!(
            "DELETE FROM {table} WHERE {key} IN \
             (SELECT {key} FROM {table} WHERE {condition} LIMIT {ROWS_MAX}{skip})"
        );
        let mut deleted = 0;
        loop {
            let delete = Statement::from_sql_and_values(db.backend(), &sql, [at.into()]);
            let rows = db.writer().execute_raw(delete).await?.rows_affected();
            deleted += rows;
            if rows < ROWS_MAX {
                return Ok(deleted);
            }
        }
    }
}
