//! People, teams, projects, mail, keys, endings and the embedded token store.
//!
//! Plain SQL that SQLite and PostgreSQL both read, so that it can be reviewed as what it is. Points in time are Unix
//! milliseconds. Checks repeat what the code ensures: a second writer cannot break it.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{ConnectionTrait, DatabaseBackend};

/// The first schema.
#[derive(DeriveMigrationName)]
pub struct Migration;

/// `{uuid}` and `{bytes}` stand for the types that differ: SeaORM keeps a UUID as 16 bytes on SQLite.
const UP: &[&str] = &[
    "CREATE TABLE users (
        id {uuid} PRIMARY KEY,
        email TEXT NOT NULL CHECK (length(email) <= 254),
        email_normal TEXT NOT NULL CONSTRAINT users_email_normal_key UNIQUE CHECK (length(email_normal) <= 320),
        name TEXT NOT NULL,
        password_hash TEXT NOT NULL,
        password_version INTEGER NOT NULL DEFAULT 0,
        session_epoch INTEGER NOT NULL DEFAULT 0,
        status TEXT NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'disabled')),
        verified_at BIGINT,
        created_ip TEXT NOT NULL DEFAULT '',
        created_at BIGINT NOT NULL,
        updated_at BIGINT NOT NULL
    )",
    "CREATE INDEX users_unverified_idx ON users (created_at) WHERE verified_at IS NULL",
    "CREATE TABLE teams (
        id {uuid} PRIMARY KEY,
        name TEXT NOT NULL,
        slug TEXT NOT NULL CONSTRAINT teams_slug_key UNIQUE,
        created_at BIGINT NOT NULL
    )",
    "CREATE TABLE projects (
        id {uuid} PRIMARY KEY,
        team_id {uuid} NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
        name TEXT NOT NULL,
        slug TEXT NOT NULL,
        created_at BIGINT NOT NULL,
        CONSTRAINT projects_team_slug_key UNIQUE (team_id, slug)
    )",
    "CREATE TABLE memberships (
        id {uuid} PRIMARY KEY,
        team_id {uuid} NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
        user_id {uuid} NOT NULL REFERENCES users (id) ON DELETE CASCADE,
        role TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'member', 'viewer')),
        epoch INTEGER NOT NULL DEFAULT 0,
        created_at BIGINT NOT NULL,
        CONSTRAINT memberships_team_user_key UNIQUE (team_id, user_id)
    )",
    "CREATE INDEX memberships_user_idx ON memberships (user_id)",
    "CREATE TABLE outbox (
        id {uuid} PRIMARY KEY,
        user_id {uuid} NOT NULL REFERENCES users (id) ON DELETE CASCADE,
        kind TEXT NOT NULL,
        recipient TEXT NOT NULL,
        data TEXT NOT NULL DEFAULT '{}',
        state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'sent', 'superseded', 'dead')),
        attempts INTEGER NOT NULL DEFAULT 0,
        due_at BIGINT NOT NULL,
        leased_until BIGINT NOT NULL DEFAULT 0,
        traceparent TEXT NOT NULL DEFAULT '',
        last_error TEXT,
        created_at BIGINT NOT NULL,
        sent_at BIGINT
    )",
    "CREATE INDEX outbox_pending_idx ON outbox (due_at) WHERE state = 'pending'",
    "CREATE INDEX outbox_user_kind_idx ON outbox (user_id, kind)",
    "CREATE TABLE signing_keys (
        id TEXT PRIMARY KEY,
        kind TEXT NOT NULL CHECK (kind IN ('user', 'vault')),
        algorithm TEXT NOT NULL,
        sealed {bytes} NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('next', 'signing', 'retired')),
        created_at BIGINT NOT NULL,
        retired_at BIGINT
    )",
    "CREATE UNIQUE INDEX signing_keys_one_signs ON signing_keys (kind) WHERE state = 'signing'",
    "CREATE TABLE ended_sessions (
        sid TEXT PRIMARY KEY,
        user_id {uuid} NOT NULL REFERENCES users (id) ON DELETE CASCADE,
        reason TEXT NOT NULL,
        ended_at BIGINT NOT NULL,
        expires_at BIGINT NOT NULL
    )",
    "CREATE INDEX ended_sessions_expires_idx ON ended_sessions (expires_at)",
    "CREATE INDEX ended_sessions_user_idx ON ended_sessions (user_id)",
    "CREATE TABLE email_changes (
        id {uuid} PRIMARY KEY,
        user_id {uuid} NOT NULL REFERENCES users (id) ON DELETE CASCADE,
        old_email TEXT NOT NULL,
        new_email TEXT NOT NULL,
        state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'done', 'undone', 'superseded')),
        created_at BIGINT NOT NULL
    )",
    "CREATE INDEX email_changes_user_idx ON email_changes (user_id)",
    // What an unknown address's recovery writes, so that it costs what a known one's costs.
    "CREATE TABLE decoys (slot INTEGER PRIMARY KEY, touched_at BIGINT NOT NULL)",
    "CREATE TABLE token_store (
        key TEXT PRIMARY KEY,
        owner TEXT NOT NULL DEFAULT '',
        value TEXT NOT NULL,
        expires_at BIGINT NOT NULL
    )",
    "CREATE INDEX token_store_owner_idx ON token_store (owner)",
    "CREATE INDEX token_store_expires_idx ON token_store (expires_at)",
];

/// Rows that decoy writes are spread over, so that they do not wait for each other's locks.
const DECOYS: u8 = 64;

const DOWN: &[&str] = &[
    "decoys",
    "token_store",
    "email_changes",
    "ended_sessions",
    "signing_keys",
    "outbox",
    "memberships",
    "projects",
    "teams",
    "users",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let (uuid, bytes) = match manager.get_database_backend() {
            DatabaseBackend::Postgres => ("UUID", "BYTEA"),
            _ => ("BLOB", "BLOB"),
        };
        for statement in UP {
            let sql = statement.replace("{uuid}", uuid).replace("{bytes}", bytes);
            manager.get_connection().execute_unprepared(&sql).await?;
        }
        for slot in 0..DECOYS {
            let sql = format!("INSERT INTO decoys (slot, touched_at) VALUES ({slot}, 0)");
            manager.get_connection().execute_unprepared(&sql).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in DOWN {
            manager.drop_table(Table::drop().table(Alias::new(*table)).to_owned()).await?;
        }
        Ok(())
    }
}
