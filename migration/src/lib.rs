//! The database schema, in one file for each change. A migration is never edited after its release.
//! A migration imports no other code of latchkey.
//!
//! Each change follows *expand, migrate, contract*. So the last release before a change also works
//! with the changed schema. A migration that removes something has [`CONTRACT`] in its name. Such a
//! migration drops or renames a table or column, or makes a column NOT NULL. It is released one
//! release after the last release that needs the removed part.

use sea_orm_migration::prelude::*;

mod baseline;
mod window;

pub use sea_orm_migration::MigratorTrait;
pub use window::{CONTRACT, Outside, Schema};

/// The list of all migrations, the oldest first.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(baseline::Migration)]
    }
}
