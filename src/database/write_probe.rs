//! The probe of the database. It is a write that is committed and read back. It shows whether the
//! database takes writes, and whether its readers see them.

use latchkey_entity::store_probe;
use sea_orm::{ConnectionTrait as _, DbErr, EntityTrait as _, QueryResult, RuntimeErr, Statement};

use super::{Db, probe_reason};
use crate::health::{Probed, Reason};

/// All replicas count up the same row, so a probe costs one small write and adds no row. A missing
/// row (after a restore, or deleted by an operator) is created again.
const COUNT_UP: &str = "INSERT INTO store_probe (id, count) VALUES (1, 1) \
     ON CONFLICT (id) DO UPDATE SET count = store_probe.count + 1 RETURNING count";

/// Why a probe failed.
#[derive(Debug)]
pub struct ProbeError {
    pub reason: Reason,
    /// The database's error, for the log. `None` if no statement failed.
    pub source: Option<DbErr>,
}

impl Db {
    /// Writes and commits in the same way as requests, and then reads the written value back
    /// through the reader. Only the prober and `doctor` call this function, no request does.
    ///
    /// # Errors
    /// The error says why requests that write currently fail, or why requests read stale data.
    pub async fn probe_write(&self) -> Result<Probed, ProbeError> {
        match self.count_up_and_read().await {
            Ok(true) => {
                self.writer.guard.forget_refusal();
                Ok(Probed::Writable)
            }
            Ok(false) => Err(ProbeError { reason: Reason::Stale, source: None }),
            Err(error) => match probe_reason(&error) {
                Some(reason) => Err(ProbeError { reason, source: Some(error) }),
                None => Ok(Probed::NoTable),
            },
        }
    }

    /// Fails while the database is known to refuse writes, or does not respond. Work that ends in a
    /// write calls this function before it changes anything in another store.
    ///
    /// # Errors
    /// When the database does not respond, or takes no writes.
    pub async fn ready(&self) -> Result<(), DbErr> {
        if let Some(reason) = self.health().reason().filter(|it| it.refuses_every_write()) {
            let text = format!("it accepts no writes: {}", reason.name());
            return Err(DbErr::Conn(RuntimeErr::Internal(text)));
        }
        self.ping().await
    }

    /// Whether the reader saw the count, or a later count by another replica.
    async fn count_up_and_read(&self) -> Result<bool, DbErr> {
        let statement = Statement::from_string(self.backend(), COUNT_UP);
        // A single statement obeys PostgreSQL's `default_transaction_read_only`.
        // A `BEGIN … READ WRITE` does not.
        let rows = self.writer.query_all_raw(statement).await?;
        let Some(row) = rows.first() else {
            // A rule or a trigger of the database removed the row.
            return Err(DbErr::RecordNotInserted);
        };
        let written = count(row)?;
        let seen = store_probe::Entity::find_by_id(1).one(&self.reader).await?;
        Ok(seen.is_some_and(|row| row.count >= written))
    }
}

fn count(row: &QueryResult) -> Result<i64, DbErr> {
    row.try_get("", "count")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    async fn db(dir: &tempfile::TempDir, name: &str) -> Db {
        let url = format!("sqlite://{}", dir.path().join(name).display());
        let config = config::Database { max_connections: 2, ..config::Database::at(&url) };
        Db::connect(&config).await.unwrap()
    }

    #[tokio::test]
    async fn what_is_written_is_read_back_and_a_reader_elsewhere_is_found_stale() {
        let dir = tempfile::tempdir().unwrap();
        let mut one = db(&dir, "one.db").await;
        assert_eq!(one.probe_write().await.unwrap(), Probed::NoTable);
        one.migrate().await.unwrap();
        for _ in 0..3 {
            assert_eq!(one.probe_write().await.unwrap(), Probed::Writable);
        }
        let other = db(&dir, "other.db").await;
        other.migrate().await.unwrap();
        one.reader = other.reader.clone();
        assert_eq!(one.probe_write().await.unwrap_err().reason, Reason::Stale);
    }

    #[tokio::test]
    async fn a_probe_that_writes_no_row_fails() {
        let dir = tempfile::tempdir().unwrap();
        let db = db(&dir, "one.db").await;
        db.migrate().await.unwrap();
        let trigger = "CREATE TRIGGER ignores BEFORE INSERT ON store_probe \
             BEGIN SELECT RAISE(IGNORE); END";
        db.writer().execute_unprepared("DELETE FROM store_probe").await.unwrap();
        db.writer().execute_unprepared(trigger).await.unwrap();
        assert_eq!(db.probe_write().await.unwrap_err().reason, Reason::Refused);
    }

    #[tokio::test]
    async fn a_file_that_takes_no_writes_is_read_only() {
        let dir = tempfile::tempdir().unwrap();
        let db = db(&dir, "one.db").await;
        db.migrate().await.unwrap();
        db.writer().execute_unprepared("PRAGMA query_only = ON").await.unwrap();
        assert_eq!(db.probe_write().await.unwrap_err().reason, Reason::ReadOnly);
        assert_eq!(db.health().reason(), Some(Reason::ReadOnly), "marked by the error itself");
        db.writer().execute_unprepared("PRAGMA query_only = OFF").await.unwrap();
        db.probe_write().await.unwrap();
    }
}
