//! Facts about a database that `doctor` reports.

use sea_orm::{ConnectionTrait as _, DbErr, QueryResult, Statement};

use super::Db;
use crate::clock::UnixMillis;

/// The facts about a PostgreSQL server, or about SQLite's library and file.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The version, for example `15.8` or `3.46.0`.
    pub version: String,
    /// The facts that only a server has.
    pub server: Option<Server>,
}

/// A PostgreSQL server, as the role of `database.url` sees it.
#[derive(Clone, Debug)]
pub struct Server {
    /// The value of `server_version_num`, for example 150008.
    pub number: i32,
    /// The server's clock.
    pub clock: UnixMillis,
    /// How many connections the role may have at most: what `max_connections` leaves to roles that
    /// are no superusers, or less if the role or the database has a `CONNECTION LIMIT`.
    pub connections_max: i32,
}

const POSTGRES: &str = "SELECT current_setting('server_version') AS version, \
     current_setting('server_version_num')::int AS number, \
     (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS clock, \
     LEAST(current_setting('max_connections')::int \
         - current_setting('superuser_reserved_connections')::int, \
       (SELECT NULLIF(rolconnlimit, -1) FROM pg_roles WHERE rolname = current_user), \
       (SELECT NULLIF(datconnlimit, -1) FROM pg_database WHERE datname = current_database())) \
       AS connections_max";

impl Db {
    pub async fn facts(&self) -> Result<Facts, DbErr> {
        if !self.is_postgres() {
            let version = self.row("SELECT sqlite_version() AS version").await?;
            return Ok(Facts { version: version.try_get("", "version")?, server: None });
        }
        let row = self.row(POSTGRES).await?;
        let server = Server {
            number: row.try_get("", "number")?,
            clock: row.try_get("", "clock")?,
            connections_max: row.try_get("", "connections_max")?,
        };
        Ok(Facts { version: row.try_get("", "version")?, server: Some(server) })
    }

    /// The damage in a SQLite file, according to SQLite's `quick_check`, which reads the whole
    /// file. `None` for a file without damage.
    pub async fn damage(&self) -> Result<Option<String>, DbErr> {
        let found: String = self.row("PRAGMA quick_check(1)").await?.try_get_by_index(0)?;
        Ok((found != "ok").then_some(found))
    }

    async fn row(&self, sql: &str) -> Result<QueryResult, DbErr> {
        let row = self.reader().query_one_raw(Statement::from_string(self.backend(), sql)).await?;
        row.ok_or_else(|| DbErr::RecordNotFound(sql.to_owned()))
    }
}
