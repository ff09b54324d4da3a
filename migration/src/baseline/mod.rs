//! The schema of release 0.1.0, in one file for each module of the daemon.
//!
//! The statements are plain SQL for SQLite and PostgreSQL, so that a reviewer sees exactly which
//! SQL runs. Points in time are Unix milliseconds. The CHECK constraints repeat rules of the code.
//! So another program that writes to the database cannot break these rules.

mod audit;
mod factors;
mod mail;
mod row_security;
mod store;
mod teams;
mod tokens;
mod users;

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{ConnectionTrait, DatabaseBackend};

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        NAME
    }
}

/// The name of this migration in the table of migrations. If the table contains an unknown name
/// that sorts before this name, a development version has created the schema.
pub(super) const NAME: &str = "m20261205_000001_baseline";

/// The tables and indexes of each module, in the order of their foreign keys. `{uuid}` and
/// `{bytes}` are placeholders for column types that differ between the databases. On SQLite, SeaORM
/// stores a UUID as 16 bytes.
const MODULES: &[&[&str]] = &[
    users::TABLES,
    factors::TABLES,
    teams::TABLES,
    mail::TABLES,
    tokens::TABLES,
    audit::TABLES,
    store::TABLES,
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let is_postgres = manager.get_database_backend() == DatabaseBackend::Postgres;
        let (uuid, bytes) = if is_postgres { ("UUID", "BYTEA") } else { ("BLOB", "BLOB") };
        let tables: Vec<&str> = MODULES.concat();
        for statement in tables {
            let sql = statement.replace("{uuid}", uuid).replace("{bytes}", bytes);
            db.execute_unprepared(&sql).await?;
        }
        for slot in 0..users::DECOYS {
            let sql = format!("INSERT INTO decoys (slot, touched_at) VALUES ({slot}, 0)");
            db.execute_unprepared(&sql).await?;
        }
        let triggers = if is_postgres { audit::POSTGRES_TRIGGERS } else { audit::SQLITE_TRIGGERS };
        for statement in triggers {
            db.execute_unprepared(statement).await?;
        }
        if is_postgres {
            for statement in row_security::statements() {
                db.execute_unprepared(&statement).await?;
            }
        }
        Ok(())
    }

    async fn down(&self, _: &SchemaManager) -> Result<(), DbErr> {
        Err(DbErr::Migration("nothing is older than the baseline: drop the database".to_owned()))
    }
}
