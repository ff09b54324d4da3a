//! Finds the GRANT statement that the role of `database.url` lacks.
//!
//! PostgreSQL reports a missing right on a schema as a missing table, because it skips a schema
//! that the role may not use.

use sea_orm::sqlx;
use sea_orm::sqlx::error::DatabaseError;
use sea_orm::{ConnectionTrait as _, DbErr, Statement};

use super::Db;
use super::refusal::source;
use super::server_error::with_text;

/// What a role does, and so which rights it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Creates tables (`latchkey migrate up`).
    Migrate,
    /// Reads and writes rows.
    Serve,
}

/// The first schema of the search path that exists, even if the role may not use it, and the rights
/// of the role. The table of migrations needs only `SELECT`. Tables of another owner belong to
/// another program.
const RIGHTS: &str = "SELECT quote_ident(current_user) AS role, quote_ident(n.nspname) AS schema, \
     has_schema_privilege(n.oid, 'USAGE') AS may_use, \
     has_schema_privilege(n.oid, 'CREATE') AS may_create, \
     NOT EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = n.oid \
     AND c.relname = 'seaql_migrations' AND NOT has_table_privilege(c.oid, 'SELECT')) AS may_read, \
     NOT EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = n.oid AND c.relkind = 'r' \
     AND c.relowner = (SELECT relowner FROM pg_class WHERE relnamespace = n.oid \
     AND relname = 'seaql_migrations') AND NOT (has_table_privilege(c.oid, 'SELECT') AND (c.relname = 'seaql_migrations' \
     OR has_table_privilege(c.oid, 'INSERT') AND has_table_privilege(c.oid, 'UPDATE') \
     AND has_table_privilege(c.oid, 'DELETE')))) AS may_write \
     FROM unnest(string_to_array(current_setting('search_path'), ',')) \
     WITH ORDINALITY AS path (name, place) JOIN pg_namespace n \
     ON n.nspname = replace(btrim(path.name, ' \"'), '$user', current_user) \
     ORDER BY path.place LIMIT 1";

/// The result of [`RIGHTS`].
struct Rights {
    role: String,
    schema: String,
    may_use: bool,
    may_create: bool,
    tables: Tables,
}

/// What the role may do with the tables.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tables {
    /// It may not read the list of migrations.
    Hidden,
    /// It may not read and write every table.
    Closed,
    Open,
}

impl Rights {
    /// Whether the role can see which migrations the schema has.
    fn sees_schema(&self, work: Work) -> bool {
        let has_schema_rights = self.may_use && (self.may_create || work == Work::Serve);
        has_schema_rights && self.tables != Tables::Hidden
    }

    /// The statement that the role lacks for its work.
    fn missing(&self, work: Work) -> Option<String> {
        let Self { role, schema, .. } = self;
        match work {
            Work::Migrate if !(self.may_use && self.may_create) => {
                Some(format!("GRANT CREATE, USAGE ON SCHEMA {schema} TO {role}"))
            }
            _ if !self.may_use => Some(format!("GRANT USAGE ON SCHEMA {schema} TO {role}")),
            Work::Migrate if self.tables != Tables::Hidden => None,
            _ if self.tables == Tables::Open => None,
            _ => Some(format!(
                "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role}"
            )),
        }
    }
}

impl Db {
    /// The statement that the owner of the database has to run, so that the role can do its work.
    /// `None` if the role has every right, and if its rights cannot be read.
    async fn missing_grant(&self, work: Work) -> Option<String> {
        self.rights().await?.missing(work)
    }

    /// The error of a role that cannot see the schema, or may not migrate it.
    pub(super) async fn closed_schema(&self, work: Work) -> Option<DbErr> {
        let rights = self.rights().await.filter(|it| !it.sees_schema(work))?;
        let said = "the role lacks a right on the schema";
        rights.missing(work).map(|grant| lacks_right(said, &grant))
    }

    /// The same error, with the statement that removes its cause if the cause is a missing right.
    pub(super) async fn explained(&self, error: DbErr, work: Work) -> DbErr {
        match (server_error(&error), self.missing_grant_after(&error, work).await) {
            (Some(said), Some(grant)) => lacks_right(said.message(), &grant),
            _ => error,
        }
    }

    /// Like [`Db::missing_grant`], if an error is perhaps due to a missing right.
    pub async fn missing_grant_after(&self, error: &DbErr, work: Work) -> Option<String> {
        let code = server_error(error)?.code()?;
        // insufficient_privilege, undefined_table, invalid_schema_name.
        let is_denied = matches!(&*code, "42501" | "42P01" | "3F000");
        if is_denied { self.missing_grant(work).await } else { None }
    }

    async fn rights(&self) -> Option<Rights> {
        if !self.is_postgres() {
            return None;
        }
        let statement = Statement::from_string(self.backend(), RIGHTS);
        let row = self.reader().query_one_raw(statement).await.ok()??;
        let text = |name| row.try_get::<String>("", name).ok();
        let may = |name| row.try_get::<bool>("", name).ok();
        Some(Rights {
            role: text("role")?,
            schema: text("schema")?,
            may_use: may("may_use")?,
            may_create: may("may_create")?,
            tables: match (may("may_read")?, may("may_write")?) {
                (false, _) => Tables::Hidden,
                (true, false) => Tables::Closed,
                (true, true) => Tables::Open,
            },
        })
    }
}

/// The error of the server itself.
fn server_error(error: &DbErr) -> Option<&dyn DatabaseError> {
    match source(error)? {
        sqlx::Error::Database(said) => Some(said.as_ref()),
        _ => None,
    }
}

/// The error of a role that lacks a right.
fn lacks_right(said: &str, grant: &str) -> DbErr {
    let text = format!("{said}: run this as the owner of the schema or as a superuser: {grant}");
    DbErr::Query(with_text(text, Some("42501")))
}
