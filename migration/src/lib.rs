//! The schema, one frozen file per change. A migration imports nothing of ours and is never edited once released.
//!
//! Expand, migrate, contract: a release's schema works with the release before it. A migration that takes something away (drops,
//! renames, makes NOT NULL) has [`CONTRACT`] in its name, and comes a release after the last that needs what it takes.

use sea_orm_migration::prelude::*;

mod m20261123_000001_foundation;
mod m20261123_000002_audit;
mod m20261123_000003_revocations;
mod m20261123_000004_tenancy;
mod m20261123_000005_log_ins;
mod m20261128_000006_undo_links;
mod m20261201_000007_store_probe;
mod window;

pub use sea_orm_migration::MigratorTrait;
pub use window::{CONTRACT, Schema};

/// Every migration, oldest first.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261123_000001_foundation::Migration),
            Box::new(m20261123_000002_audit::Migration),
            Box::new(m20261123_000003_revocations::Migration),
            Box::new(m20261123_000004_tenancy::Migration),
            Box::new(m20261123_000005_log_ins::Migration),
            Box::new(m20261128_000006_undo_links::Migration),
            Box::new(m20261201_000007_store_probe::Migration),
        ]
    }
}
