//! Revoked tokens, and what rotation keeps of a signing key.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::ConnectionTrait;

/// Adds columns and a table; the release before reads and writes as before.
#[derive(DeriveMigrationName)]
pub struct Migration;

const UP: &[&str] = &[
    "CREATE TABLE revoked_tokens (
        jti TEXT PRIMARY KEY,
        revoked_at BIGINT NOT NULL,
        expires_at BIGINT NOT NULL
    )",
    "CREATE INDEX revoked_tokens_expires_idx ON revoked_tokens (expires_at)",
    // When the key began to sign; null for a key of the release before, which signed from its making on.
    "ALTER TABLE signing_keys ADD COLUMN signs_from BIGINT",
    // When the operator called it compromised: from then on it verifies nothing.
    "ALTER TABLE signing_keys ADD COLUMN revoked_at BIGINT",
    "CREATE UNIQUE INDEX signing_keys_one_is_next ON signing_keys (kind) WHERE state = 'next'",
];

const DOWN: &[&str] = &[
    "DROP INDEX signing_keys_one_is_next",
    "ALTER TABLE signing_keys DROP COLUMN revoked_at",
    "ALTER TABLE signing_keys DROP COLUMN signs_from",
    "DROP TABLE revoked_tokens",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for statement in UP {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for statement in DOWN {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }
}
