//! The tables of second factors, user handles, recovery codes and undo links of first factors.

pub(super) const TABLES: &[&str] = &[
    // `sealed` is the secret of a TOTP factor, encrypted with the key of kind `factor`. `last_step`
    // is the newest time step whose code was accepted. The columns from `credential_id` on belong
    // to a passkey. No two accounts have the same passkey.
    "CREATE TABLE factors (
        id {uuid} PRIMARY KEY,
        user_id {uuid} NOT NULL REFERENCES users (id) ON DELETE CASCADE,
        kind TEXT NOT NULL CHECK (kind IN ('totp', 'passkey')),
        name TEXT NOT NULL,
        sealed {bytes} NOT NULL,
        last_step BIGINT NOT NULL DEFAULT 0,
        created_at BIGINT NOT NULL,
        last_used_at BIGINT,
        credential_id {bytes} CONSTRAINT factors_credential_id_key UNIQUE,
        public_key {bytes},
        sign_count BIGINT NOT NULL DEFAULT 0,
        backup_eligible BOOLEAN NOT NULL DEFAULT FALSE,
        backed_up BOOLEAN NOT NULL DEFAULT FALSE,
        transports TEXT NOT NULL DEFAULT '',
        CHECK ((kind = 'passkey') = (credential_id IS NOT NULL)),
        CHECK ((kind = 'passkey') = (public_key IS NOT NULL))
    )",
    "CREATE INDEX factors_user_idx ON factors (user_id)",
    "CREATE UNIQUE INDEX factors_one_totp ON factors (user_id) WHERE kind = 'totp'",
    // The random bytes by which authenticators recognise an account. An account gets them when it
    // adds its first passkey, and keeps them.
    "CREATE TABLE user_handles (
        user_id {uuid} PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
        handle {bytes} NOT NULL CONSTRAINT user_handles_handle_key UNIQUE
    )",
    // A code that was used is deleted.
    "CREATE TABLE recovery_codes (
        user_id {uuid} NOT NULL REFERENCES users (id) ON DELETE CASCADE,
        digest TEXT NOT NULL,
        PRIMARY KEY (user_id, digest)
    )",
    // A row for each time that an account got its first factor. `undo_digest` is the SHA-256 of the
    // mailed token that removes the factors, in base64url. It is null until the mail is sent. The
    // link in the mail is valid until `undo_until`.
    "CREATE TABLE first_factors (
        id {uuid} PRIMARY KEY,
        user_id {uuid} NOT NULL REFERENCES users (id) ON DELETE CASCADE,
        state TEXT NOT NULL DEFAULT 'added' CHECK (state IN ('added', 'undone')),
        undo_digest TEXT,
        undo_until BIGINT,
        created_at BIGINT NOT NULL
    )",
    "CREATE INDEX first_factors_user_idx ON first_factors (user_id)",
    "CREATE INDEX first_factors_undo_idx ON first_factors (undo_digest)",
];
