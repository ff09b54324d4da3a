//! The rights of the role of `database.url`, and the GRANT statement that the role lacks.
//!
//! PostgreSQL reports a missing right on a schema as a missing table, because it skips a schema
//! that the role may not use.

use sea_orm::sqlx;
use sea_orm::sqlx::error::DatabaseError;
use sea_orm::{DbErr, FromQueryResult, Statement};

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

/// The rights of a role. The names of roles, tables and functions are separated by commas, and
/// quoted if SQL needs quotes.
#[derive(Clone, Debug, Default, FromQueryResult)]
pub struct Rights {
    pub role: String,
    /// The first schema of the search path that exists, even if the role may not use it.
    pub schema: String,
    /// The role that owns the tables. `None` before the first migration.
    pub owner: Option<String>,
    /// Whether the role has the owner's rights, because it is the owner or a member of it.
    pub is_owner: bool,
    pub may_use: bool,
    /// Whether the role may create tables. Migrations need this right.
    pub may_create: bool,
    /// The tables that the role may not read, insert into, update or delete from. The list of
    /// migrations needs only `SELECT`.
    pub closed_tables: Option<String>,
    /// The functions that the role may not call.
    pub closed_functions: Option<String>,
    /// The tables that the role may empty or give triggers, and the list of migrations if the role
    /// may write it. No daemon needs these rights.
    pub excess: Option<String>,
}

/// `own` lists latchkey's tables and functions. Tables of another owner belong to another program.
const RIGHTS: &str = "WITH place AS ( \
       SELECT n.oid, n.nspname FROM unnest(string_to_array(current_setting('search_path'), ',')) \
         WITH ORDINALITY AS path (name, place) JOIN pg_namespace n \
         ON n.nspname = replace(btrim(path.name, ' \"'), '$user', current_user) \
       ORDER BY path.place LIMIT 1), \
     owner AS (SELECT c.relowner AS id FROM pg_class c, place \
       WHERE c.relnamespace = place.oid AND c.relname = 'seaql_migrations'), \
     own AS ( \
       SELECT quote_ident(c.relname) AS name, c.relname = 'seaql_migrations' AS is_list, \
         has_table_privilege(c.oid, 'SELECT') AS may_read, \
         has_table_privilege(c.oid, 'INSERT') AND has_table_privilege(c.oid, 'UPDATE') \
           AND has_table_privilege(c.oid, 'DELETE') AS may_write, \
         has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE') AS may_write_some, \
         has_table_privilege(c.oid, 'TRUNCATE, TRIGGER') AS may_change \
       FROM pg_class c, place, owner \
       WHERE c.relnamespace = place.oid AND c.relkind = 'r' AND c.relowner = owner.id) \
     SELECT quote_ident(current_user) AS role, quote_ident(place.nspname) AS schema, \
       (SELECT quote_ident(pg_get_userbyid(id)) FROM owner) AS owner, \
       COALESCE((SELECT pg_has_role(id, 'MEMBER') FROM owner), false) AS is_owner, \
       has_schema_privilege(place.oid, 'USAGE') AS may_use, \
       has_schema_privilege(place.oid, 'CREATE') AS may_create, \
       (SELECT string_agg(name, ', ' ORDER BY name) FROM own \
         WHERE NOT (may_read AND (is_list OR may_write))) AS closed_tables, \
       (SELECT string_agg(p.proname || '()', ', ' ORDER BY p.proname) FROM pg_proc p, owner \
         WHERE p.pronamespace = place.oid AND p.proowner = owner.id \
         AND NOT has_function_privilege(p.oid, 'EXECUTE')) AS closed_functions, \
       (SELECT string_agg(name, ', ' ORDER BY name) FROM own \
         WHERE may_change OR is_list AND may_write_some) AS excess \
     FROM place";

impl Rights {
    /// Whether the role may read the list of migrations, or the list does not exist yet.
    fn sees_migrations(&self) -> bool {
        let mut closed = self.closed_tables.iter().flat_map(|names| names.split(", "));
        closed.all(|name| name != "seaql_migrations")
    }

    /// Whether the role can see which migrations the schema has.
    fn sees_schema(&self, work: Work) -> bool {
        self.may_use && (self.may_create || work == Work::Serve) && self.sees_migrations()
    }

    /// The statement that the role lacks for its work.
    fn missing(&self, work: Work) -> Option<String> {
        let Self { role, schema, .. } = self;
        if work == Work::Migrate && !(self.may_use && self.may_create) {
            return Some(format!("GRANT CREATE, USAGE ON SCHEMA {schema} TO {role}"));
        }
        if !self.may_use {
            return Some(format!("GRANT USAGE ON SCHEMA {schema} TO {role}"));
        }
        let is_closed = match work {
            Work::Migrate => !self.sees_migrations(),
            Work::Serve => self.closed_tables.is_some(),
        };
        if is_closed {
            let rights = "SELECT, INSERT, UPDATE, DELETE ON ALL TABLES";
            return Some(format!("GRANT {rights} IN SCHEMA {schema} TO {role}"));
        }
        (work == Work::Serve && self.closed_functions.is_some())
            .then(|| format!("GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {schema} TO {role}"))
    }
}

impl Db {
    /// The rights of the role. `None` on SQLite, and if they cannot be read.
    pub async fn rights(&self) -> Option<Rights> {
        if !self.is_postgres() {
            return None;
        }
        let statement = Statement::from_string(self.backend(), RIGHTS);
        Rights::find_by_statement(statement).one(self.reader()).await.ok()?
    }

    /// The error of a role that may not serve requests.
    pub async fn closed_to_serving(&self) -> Option<DbErr> {
        let grant = self.rights().await?.missing(Work::Serve)?;
        Some(lacks_right("the role lacks a right", Work::Serve, &grant))
    }

    /// The error of a role that cannot see the schema, or may not migrate it.
    pub(super) async fn closed_schema(&self, work: Work) -> Option<DbErr> {
        let rights = self.rights().await.filter(|it| !it.sees_schema(work))?;
        let said = "the role lacks a right on the schema";
        rights.missing(work).map(|grant| lacks_right(said, work, &grant))
    }

    /// The same error, with the statement that removes its cause if the cause is a missing right.
    pub(super) async fn explained(&self, error: DbErr, work: Work) -> DbErr {
        match (server_error(&error), self.missing_grant_after(&error, work).await) {
            (Some(said), Some(grant)) => lacks_right(said.message(), work, &grant),
            _ => error,
        }
    }

    /// The statement that the role lacks for its work, if an error is perhaps due to a missing
    /// right.
    pub async fn missing_grant_after(&self, error: &DbErr, work: Work) -> Option<String> {
        let code = server_error(error)?.code()?;
        // insufficient_privilege, undefined_table, invalid_schema_name.
        let is_denied = matches!(&*code, "42501" | "42P01" | "3F000");
        if is_denied { self.rights().await?.missing(work) } else { None }
    }
}

/// The error of the server itself.
fn server_error(error: &DbErr) -> Option<&dyn DatabaseError> {
    match source(error)? {
        sqlx::Error::Database(said) => Some(said.as_ref()),
        _ => None,
    }
}

/// The error of a role that lacks a right. An operator with two roles must not give the serving
/// role the rights of the owner.
fn lacks_right(said: &str, work: Work, grant: &str) -> DbErr {
    let owner = "run this as the owner of the schema or as a superuser";
    let text = match work {
        Work::Migrate => format!(
            "{said}: if another role owns the tables, set `database.migrate_url` to its URL; \
             otherwise {owner}: {grant}"
        ),
        Work::Serve => format!("{said}: {owner}: {grant}"),
    };
    DbErr::Query(with_text(text, Some("42501")))
}
