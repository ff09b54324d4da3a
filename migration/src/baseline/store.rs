//! The tables of the embedded token store, and of the row that daemons write to check whether the
//! database accepts writes.

pub(super) const TABLES: &[&str] = &[
    "CREATE TABLE token_store (
        key TEXT PRIMARY KEY,
        owner TEXT NOT NULL DEFAULT '',
        value TEXT NOT NULL,
        expires_at BIGINT NOT NULL
    )",
    "CREATE INDEX token_store_owner_idx ON token_store (owner)",
    "CREATE INDEX token_store_expires_idx ON token_store (expires_at)",
    // The table has one row. All replicas share this row, and each of them increments its count.
    "CREATE TABLE store_probe (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        count BIGINT NOT NULL
    )",
];
