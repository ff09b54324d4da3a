//! Whether somebody has logged in by password before: the first log-in is no news to whoever made the account.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::ConnectionTrait;

/// Adds a column; the release before reads and writes as before.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // Of accounts that are there, or that the release before makes, nobody knows: they count as in use, so that a
        // stranger's log-in is never the one that nobody hears of. A constant default rewrites no row.
        let sql = "ALTER TABLE users ADD COLUMN has_logged_in BOOLEAN NOT NULL DEFAULT TRUE";
        manager.get_connection().execute_unprepared(sql).await.map(drop)
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let sql = "ALTER TABLE users DROP COLUMN has_logged_in";
        manager.get_connection().execute_unprepared(sql).await.map(drop)
    }
}
