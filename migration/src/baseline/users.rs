//! The tables of users and of changes of email addresses, and a table for requests with unknown
//! email addresses.

pub(super) const TABLES: &[&str] = &[
    "CREATE TABLE users (
        id {uuid} PRIMARY KEY,
        email TEXT NOT NULL CHECK (length(email) <= 254),
        email_normal TEXT NOT NULL CONSTRAINT users_email_normal_key UNIQUE CHECK (length(email_normal) <= 320),
        name TEXT NOT NULL,
        password_hash TEXT NOT NULL,
        password_version INTEGER NOT NULL DEFAULT 0,
        session_epoch INTEGER NOT NULL DEFAULT 0,
        factor_version INTEGER NOT NULL DEFAULT 0,
        factor_count INTEGER NOT NULL DEFAULT 0,
        status TEXT NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'disabled')),
        verified_at BIGINT,
        has_logged_in BOOLEAN NOT NULL DEFAULT TRUE,
        created_ip TEXT NOT NULL DEFAULT '',
        created_at BIGINT NOT NULL,
        updated_at BIGINT NOT NULL
    )",
    "CREATE INDEX users_unverified_idx ON users (created_at) WHERE verified_at IS NULL",
    // `undo_digest` is the SHA-256 of the mailed token that undoes the change, in base64url. It is
    // null until the mail is sent. The link in the mail is valid until `undo_until`.
    "CREATE TABLE email_changes (
        id {uuid} PRIMARY KEY,
        user_id {uuid} NOT NULL REFERENCES users (id) ON DELETE CASCADE,
        old_email TEXT NOT NULL,
        new_email TEXT NOT NULL,
        state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'done', 'undone', 'superseded')),
        undo_digest TEXT,
        undo_until BIGINT,
        created_at BIGINT NOT NULL
    )",
    "CREATE INDEX email_changes_user_idx ON email_changes (user_id)",
    "CREATE INDEX email_changes_undo_idx ON email_changes (undo_digest)",
    // A password recovery for an unknown email address writes to this table. So it takes the same
    // time as a recovery for a known address.
    "CREATE TABLE decoys (slot INTEGER PRIMARY KEY, touched_at BIGINT NOT NULL)",
];

/// The number of rows in the table `decoys`. Each decoy write uses one of these rows, so that decoy
/// writes seldom wait for each other's row locks.
pub(super) const DECOYS: u8 = 64;
