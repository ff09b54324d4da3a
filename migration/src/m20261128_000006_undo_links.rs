//! What the link that undoes a change of address is known by: one a change, so that a later change leaves it good.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::ConnectionTrait;

/// Adds two columns that may be empty; the release before reads and writes as before.
#[derive(DeriveMigrationName)]
pub struct Migration;

const UP: [&str; 3] = [
    // SHA-256 of the mailed token, base64url; none until its mail is sent.
    "ALTER TABLE email_changes ADD COLUMN undo_digest TEXT",
    // Until when the link is good, Unix milliseconds.
    "ALTER TABLE email_changes ADD COLUMN undo_until BIGINT",
    "CREATE INDEX email_changes_undo_idx ON email_changes (undo_digest)",
];

const DOWN: [&str; 3] = [
    "DROP INDEX email_changes_undo_idx",
    "ALTER TABLE email_changes DROP COLUMN undo_until",
    "ALTER TABLE email_changes DROP COLUMN undo_digest",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for sql in UP {
            manager.get_connection().execute_unprepared(sql).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for sql in DOWN {
            manager.get_connection().execute_unprepared(sql).await?;
        }
        Ok(())
    }
}
