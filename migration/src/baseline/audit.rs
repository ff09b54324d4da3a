//! The tables of the audit: the hash chains of events, the personal data of the events, and the
//! keys that authenticate the chains.
//!
//! Triggers in the database make the tables append-only. So an attacker who wants to change rows
//! has to remove the triggers first. There is one exception, for retention. Each stream of events
//! is one hash chain, and it stores its base: the last event that retention has deleted. Retention
//! first moves the base forward. Then the triggers allow the deletion of the events up to the base.

pub(super) const TABLES: &[&str] = &[
    "CREATE TABLE audit_keys (
        id TEXT PRIMARY KEY,
        sealed {bytes} NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('current', 'retired')),
        created_at BIGINT NOT NULL
    )",
    "CREATE UNIQUE INDEX audit_keys_one_current ON audit_keys (state) WHERE state = 'current'",
    // When a user is deleted, the user's stream stays, and its `user_id` becomes null. `erased` is
    // the number of identities in the stream that were deleted together with their accounts.
    "CREATE TABLE audit_streams (
        id {uuid} PRIMARY KEY,
        kind TEXT NOT NULL CHECK (kind IN ('team', 'person', 'installation')),
        team_id {uuid} CONSTRAINT audit_streams_team_key UNIQUE,
        user_id {uuid} CONSTRAINT audit_streams_user_key UNIQUE REFERENCES users (id) ON DELETE SET NULL,
        head_seq BIGINT NOT NULL,
        head_at BIGINT NOT NULL,
        head_mac {bytes} NOT NULL,
        head_key TEXT NOT NULL,
        head_seal {bytes} NOT NULL,
        base_seq BIGINT NOT NULL,
        base_mac {bytes} NOT NULL,
        base_key TEXT NOT NULL,
        base_seal {bytes} NOT NULL,
        erased BIGINT NOT NULL DEFAULT 0,
        created_at BIGINT NOT NULL,
        CHECK (base_seq >= 0 AND base_seq <= head_seq),
        CHECK (kind = 'team' OR team_id IS NULL),
        CHECK (kind = 'person' OR user_id IS NULL)
    )",
    "CREATE UNIQUE INDEX audit_streams_one_installation ON audit_streams (kind) WHERE kind = 'installation'",
    "CREATE INDEX audit_streams_head_idx ON audit_streams (head_at)",
    "CREATE TABLE audit_events (
        id {uuid} PRIMARY KEY,
        stream_id {uuid} NOT NULL REFERENCES audit_streams (id),
        seq BIGINT NOT NULL,
        at BIGINT NOT NULL,
        action TEXT NOT NULL,
        outcome TEXT NOT NULL CHECK (outcome IN ('success', 'refused')),
        actor_kind TEXT NOT NULL,
        trace_id TEXT NOT NULL,
        actor_commitment {bytes},
        subject_commitment {bytes},
        detail TEXT NOT NULL,
        key_id TEXT NOT NULL,
        mac {bytes} NOT NULL,
        CONSTRAINT audit_events_place_key UNIQUE (stream_id, seq)
    )",
    "CREATE TABLE audit_identities (
        event_id {uuid} NOT NULL REFERENCES audit_events (id),
        party TEXT NOT NULL CHECK (party IN ('actor', 'subject')),
        person_id {uuid} REFERENCES users (id) ON DELETE CASCADE,
        salt {bytes} NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (event_id, party)
    )",
    "CREATE INDEX audit_identities_person_idx ON audit_identities (person_id, event_id)",
];

pub(super) const SQLITE_TRIGGERS: &[&str] = &[
    "CREATE TRIGGER audit_events_fixed BEFORE UPDATE ON audit_events BEGIN \
     SELECT RAISE(ABORT, 'audit rows are append-only'); END",
    "CREATE TRIGGER audit_identities_fixed BEFORE UPDATE ON audit_identities BEGIN \
     SELECT RAISE(ABORT, 'audit rows are append-only'); END",
    "CREATE TRIGGER audit_events_kept BEFORE DELETE ON audit_events \
     WHEN OLD.seq > COALESCE((SELECT s.base_seq FROM audit_streams s WHERE s.id = OLD.stream_id), 0) BEGIN \
     SELECT RAISE(ABORT, 'audit rows are kept until their retention ends'); END",
    "CREATE TRIGGER audit_streams_forward BEFORE UPDATE ON audit_streams \
     WHEN NEW.head_seq < OLD.head_seq OR NEW.base_seq < OLD.base_seq OR NEW.id <> OLD.id BEGIN \
     SELECT RAISE(ABORT, 'audit streams only grow'); END",
    "CREATE TRIGGER audit_streams_kept BEFORE DELETE ON audit_streams WHEN OLD.base_seq < OLD.head_seq BEGIN \
     SELECT RAISE(ABORT, 'audit streams are kept until their retention ends'); END",
];

pub(super) const POSTGRES_TRIGGERS: &[&str] = &[
    "CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
     RAISE EXCEPTION 'audit rows are append-only'; END $$",
    "CREATE FUNCTION audit_keep_event() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
     IF OLD.seq > COALESCE((SELECT s.base_seq FROM audit_streams s WHERE s.id = OLD.stream_id), 0) THEN \
     RAISE EXCEPTION 'audit rows are kept until their retention ends'; END IF; RETURN OLD; END $$",
    // Otherwise the function would read a temporary table of the client with the same name.
    "DO $$ BEGIN EXECUTE format('ALTER FUNCTION audit_keep_event() SET search_path = %I, pg_temp', \
     current_schema()); END $$",
    "CREATE FUNCTION audit_keep_stream() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
     IF TG_OP = 'DELETE' THEN \
     IF OLD.base_seq < OLD.head_seq THEN \
     RAISE EXCEPTION 'audit streams are kept until their retention ends'; END IF; RETURN OLD; END IF; \
     IF NEW.head_seq < OLD.head_seq OR NEW.base_seq < OLD.base_seq OR NEW.id <> OLD.id THEN \
     RAISE EXCEPTION 'audit streams only grow'; END IF; RETURN NEW; END $$",
    "CREATE TRIGGER audit_events_fixed BEFORE UPDATE ON audit_events \
     FOR EACH ROW EXECUTE FUNCTION audit_refuse()",
    "CREATE TRIGGER audit_events_whole BEFORE TRUNCATE ON audit_events \
     FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()",
    "CREATE TRIGGER audit_identities_fixed BEFORE UPDATE ON audit_identities \
     FOR EACH ROW EXECUTE FUNCTION audit_refuse()",
    "CREATE TRIGGER audit_events_kept BEFORE DELETE ON audit_events \
     FOR EACH ROW EXECUTE FUNCTION audit_keep_event()",
    "CREATE TRIGGER audit_streams_kept BEFORE UPDATE OR DELETE ON audit_streams \
     FOR EACH ROW EXECUTE FUNCTION audit_keep_stream()",
    "CREATE TRIGGER audit_streams_whole BEFORE TRUNCATE ON audit_streams \
     FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()",
];
