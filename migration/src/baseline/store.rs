//! The embedded token store, and the row that shows whether the database accepts writes.

pub(super) const TABLES: &[&str] = &[
    "CREATE TABLE token_store (
        key TEXT PRIMARY KEY,
        owner TEXT NOT NULL DEFAULT '',
        value TEXT NOT NULL,
        expires_at BIGINT NOT NULL
    )",
    "CREATE INDEX token_store_owner_idx ON token_store (owner)",
    "CREATE INDEX token_store_expires_idx ON token_store (expires_at)",
    // All replicas share the one row, and each of them increments the count.
    "CREATE TABLE store_probe (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        count BIGINT NOT NULL
    )",
];
