//! The row that shows whether the database takes writes.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::ConnectionTrait;

/// Adds a table; the release before does not know it.
#[derive(DeriveMigrationName)]
pub struct Migration;

// One row for all replicas: each counts it up. It names no team, so no row-level security stands on it.
const UP: &str = "CREATE TABLE store_probe (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    count BIGINT NOT NULL
)";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared(UP).await.map(drop)
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared("DROP TABLE store_probe").await.map(drop)
    }
}
