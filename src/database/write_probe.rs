//! A write that lasts, seen by a reader: whether the database takes writes, and whether its readers see them.

use latchkey_entity::store_probe;
use sea_orm::{ConnectionTrait as _, DbErr, EntityTrait as _, QueryResult, RuntimeErr, Statement};

use super::{Db, probe_reason};
use crate::health::Reason;

/// All replicas count up the one row. So it costs one small write a probe, and no row is ever left over. Where it is
/// missing (a restored copy, an operator) it is made again.
const COUNT_UP: &str = "INSERT INTO store_probe (id, count) VALUES (1, 1) \
     ON CONFLICT (id) DO UPDATE SET count = store_probe.count + 1 RETURNING count";

/// Why a probe failed.
#[derive(Debug)]
pub struct ProbeError {
    /// In a word.
    pub reason: Reason,
    /// What the database said, for the log; none where it said nothing wrong.
    pub source: Option<DbErr>,
}

impl Db {
    /// Writes and commits as requests do, and reads back what was written, through the reader. A daemon does it at its own
    /// pace, never for a request.
    ///
    /// # Errors
    /// Why requests that write fail now, or read what is stale.
    pub async fn probe_write(&self) -> Result<(), ProbeError> {
        match self.count_up_and_read().await {
            Ok(true) => Ok(()),
            Ok(false) => Err(ProbeError { reason: Reason::Stale, source: None }),
            Err(error) => match probe_reason(&error) {
                Some(reason) => Err(ProbeError { reason, source: Some(error) }),
                None => Ok(()),
            },
        }
    }

    /// Refuses work that would end in a write that the database is known to refuse, before anything is changed elsewhere;
    /// and asks whether it answers at all.
    ///
    /// # Errors
    /// When it does not answer, or takes no writes.
    pub async fn ready(&self) -> Result<(), DbErr> {
        if let Some(reason) = self.health().reason().filter(|it| it.refuses_every_write()) {
            let text = format!("it takes no writes: {}", reason.name());
            return Err(DbErr::Conn(RuntimeErr::Internal(text)));
        }
        self.ping().await
    }

    /// Whether the reader saw the count, or a later one by another replica.
    async fn count_up_and_read(&self) -> Result<bool, DbErr> {
        let statement = Statement::from_string(self.backend(), COUNT_UP);
        // A single statement: unlike `BEGIN … READ WRITE` it obeys PostgreSQL's default_transaction_read_only.
        let rows = self.writer.query_all_raw(statement).await?;
        let written: Option<i64> = rows.first().map(count).transpose()?;
        let seen = store_probe::Entity::find_by_id(1).one(&self.reader).await?;
        Ok(seen.map(|row| row.count) >= written)
    }
}

fn count(row: &QueryResult) -> Result<i64, DbErr> {
    row.try_get("", "count")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::secret::Secret;

    async fn db(dir: &tempfile::TempDir, name: &str) -> Db {
        let url = Secret::new(format!("sqlite://{}", dir.path().join(name).display()));
        let config = config::Database { url, auto_migrate: true, max_connections: 2 };
        Db::connect(&config).await.unwrap()
    }

    #[tokio::test]
    async fn what_is_written_is_read_back_and_a_reader_elsewhere_is_found_stale() {
        let dir = tempfile::tempdir().unwrap();
        let mut one = db(&dir, "one.db").await;
        assert!(one.probe_write().await.is_ok(), "without its table it says nothing");
        one.migrate().await.unwrap();
        for _ in 0..3 {
            one.probe_write().await.unwrap();
        }
        let other = db(&dir, "other.db").await;
        other.migrate().await.unwrap();
        one.reader = other.reader.clone();
        assert_eq!(one.probe_write().await.unwrap_err().reason, Reason::Stale);
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
