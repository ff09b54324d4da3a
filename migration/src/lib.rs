//! The database schema, in one file for each change. A released migration is never edited, and a
//! migration imports no other code of latchkey.
//!
//! Each change follows *expand, migrate, contract*: the schema of a release works with the release
//! before it. A migration that removes something (drops, renames or makes a column NOT NULL) has
//! [`CONTRACT`] in its name. It comes one release after the last release that needs what it
//! removes.

use sea_orm_migration::prelude::*;

mod baseline;
mod window;

pub use sea_orm_migration::MigratorTrait;
pub use window::{CONTRACT, Outside, Schema};

/// Every migration, oldest first.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(baseline::Migration)]
    }
}
