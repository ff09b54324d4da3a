//! The tables of signing keys, ended sessions and revoked tokens.

pub(super) const TABLES: &[&str] = &[
    // The key of kind `store` authenticates the records of the token store, and the key of kind
    // `factor` protects the secrets of second factors. They sign no tokens.
    // `signs_from` is the time at which the key began to sign. `revoked_at` is the time from which
    // the key is compromised and its tokens are refused.
    "CREATE TABLE signing_keys (
        id TEXT PRIMARY KEY,
        kind TEXT NOT NULL CHECK (kind IN ('user', 'vault', 'store', 'factor')),
        algorithm TEXT NOT NULL,
        sealed {bytes} NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('next', 'signing', 'retired')),
        created_at BIGINT NOT NULL,
        signs_from BIGINT,
        retired_at BIGINT,
        revoked_at BIGINT
    )",
    "CREATE UNIQUE INDEX signing_keys_one_signs ON signing_keys (kind) WHERE state = 'signing'",
    "CREATE UNIQUE INDEX signing_keys_one_is_next ON signing_keys (kind) WHERE state = 'next'",
    "CREATE TABLE ended_sessions (
        sid TEXT PRIMARY KEY,
        user_id {uuid} NOT NULL REFERENCES users (id) ON DELETE CASCADE,
        reason TEXT NOT NULL,
        ended_at BIGINT NOT NULL,
        expires_at BIGINT NOT NULL
    )",
    "CREATE INDEX ended_sessions_expires_idx ON ended_sessions (expires_at)",
    "CREATE INDEX ended_sessions_user_idx ON ended_sessions (user_id)",
    "CREATE TABLE revoked_tokens (
        jti TEXT PRIMARY KEY,
        revoked_at BIGINT NOT NULL,
        expires_at BIGINT NOT NULL
    )",
    "CREATE INDEX revoked_tokens_expires_idx ON revoked_tokens (expires_at)",
];
