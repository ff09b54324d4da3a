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
    /// The rights of the role.
    pub rights: Rights,
}

/// The rights of the role of `database.url`.
#[derive(Clone, Debug, Default)]
pub struct Rights {
    /// The name of the role.
    pub role: String,
    /// The name of the role that owns the tables. `None` before the first migration.
    pub owner: Option<String>,
    /// Whether the role has the owner's rights, because it is the owner or a member of it.
    pub is_owner: bool,
    /// Whether the role may create tables. Migrations need this right.
    pub may_create: bool,
    /// Names of the tables that the role may not read, insert into, update or delete from, and of
    /// the functions that it may not call, separated by commas. The table of migrations is named
    /// only if the role may not read it, because a role that does not migrate needs no other right
    /// to this table.
    pub closed: Option<String>,
    /// Names of the tables that the role may empty or give triggers, which no daemon needs,
    /// separated by commas.
    pub excess: Option<String>,
}

const POSTGRES: &str = "SELECT current_setting('server_version') AS version, \
     current_setting('server_version_num')::int AS number, \
     (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS clock, \
     LEAST(current_setting('max_connections')::int \
         - current_setting('superuser_reserved_connections')::int, \
       (SELECT NULLIF(rolconnlimit, -1) FROM pg_roles WHERE rolname = current_user), \
       (SELECT NULLIF(datconnlimit, -1) FROM pg_database WHERE datname = current_database())) \
       AS connections_max";

/// `own` lists the tables and functions of the schema.
const RIGHTS: &str = "WITH own AS ( \
       SELECT c.relname::text AS name, c.relowner AS owner, \
         has_table_privilege(c.oid, 'SELECT') AND (c.relname = 'seaql_migrations' \
           OR has_table_privilege(c.oid, 'INSERT') AND has_table_privilege(c.oid, 'UPDATE') \
           AND has_table_privilege(c.oid, 'DELETE')) AS open, \
         has_table_privilege(c.oid, 'TRUNCATE, TRIGGER') AS excess \
       FROM pg_class c WHERE c.relkind = 'r' \
         AND c.relnamespace = to_regnamespace(quote_ident(current_schema())) \
       UNION ALL SELECT p.proname || '()', p.proowner, has_function_privilege(p.oid, 'EXECUTE'), false \
       FROM pg_proc p WHERE p.proname LIKE 'latchkey\\_%' \
         AND p.pronamespace = to_regnamespace(quote_ident(current_schema()))) \
     SELECT current_user::text AS role, \
       (SELECT pg_get_userbyid(owner)::text FROM own WHERE name = 'users') AS owner, \
       COALESCE((SELECT pg_has_role(owner, 'MEMBER') FROM own WHERE name = 'users'), false) \
         AS is_owner, \
       COALESCE(has_schema_privilege(current_schema(), 'CREATE'), false) AS may_create, \
       (SELECT string_agg(name, ', ' ORDER BY name) FROM own WHERE NOT open) AS closed, \
       (SELECT string_agg(name, ', ' ORDER BY name) FROM own WHERE excess) AS excess";

impl Db {
    pub async fn facts(&self) -> Result<Facts, DbErr> {
        if !self.is_postgres() {
            let version = self.row("SELECT sqlite_version() AS version").await?;
            return Ok(Facts { version: version.try_get("", "version")?, server: None });
        }
        let (row, rights) = (self.row(POSTGRES).await?, self.row(RIGHTS).await?);
        let server = Server {
            number: row.try_get("", "number")?,
            clock: row.try_get("", "clock")?,
            connections_max: row.try_get("", "connections_max")?,
            rights: Rights {
                role: rights.try_get("", "role")?,
                owner: rights.try_get("", "owner")?,
                is_owner: rights.try_get("", "is_owner")?,
                may_create: rights.try_get("", "may_create")?,
                closed: rights.try_get("", "closed")?,
                excess: rights.try_get("", "excess")?,
            },
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
