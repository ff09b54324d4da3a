//! The outbox. It contains the mails that wait for their delivery and the mails that were
//! delivered.

pub(super) const TABLES: &[&str] = &[
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
];
