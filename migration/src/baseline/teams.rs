//! The tables of teams, projects, members, invitations and project keys.

pub(super) const TABLES: &[&str] = &[
    // `invited_count` is the number of invitations that the team mailed on `invited_day`.
    // `invited_day` is the number of days since 1970-01-01.
    "CREATE TABLE teams (
        id {uuid} PRIMARY KEY,
        name TEXT NOT NULL,
        slug TEXT NOT NULL CONSTRAINT teams_slug_key UNIQUE,
        status TEXT NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'disabled')),
        require_factor BOOLEAN NOT NULL DEFAULT FALSE,
        invited_day BIGINT NOT NULL DEFAULT 0,
        invited_count BIGINT NOT NULL DEFAULT 0,
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
    // The foreign key of the table `project_keys` needs this index. The query for a page of
    // projects also uses it.
    "CREATE UNIQUE INDEX projects_team_id_key ON projects (team_id, id)",
    "CREATE TABLE memberships (
        id {uuid} PRIMARY KEY,
        team_id {uuid} NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
        user_id {uuid} NOT NULL REFERENCES users (id) ON DELETE CASCADE,
        role TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'member', 'viewer')),
        epoch INTEGER NOT NULL DEFAULT 0,
        last_used_at BIGINT NOT NULL DEFAULT 0,
        last_project_id {uuid},
        created_at BIGINT NOT NULL,
        CONSTRAINT memberships_team_user_key UNIQUE (team_id, user_id)
    )",
    "CREATE INDEX memberships_user_idx ON memberships (user_id)",
    "CREATE INDEX memberships_team_idx ON memberships (team_id, id)",
    "CREATE TABLE invitations (
        id {uuid} PRIMARY KEY,
        team_id {uuid} NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
        email TEXT NOT NULL CHECK (length(email) <= 254),
        email_normal TEXT NOT NULL CHECK (length(email_normal) <= 320),
        role TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'member', 'viewer')),
        invited_by {uuid} REFERENCES users (id) ON DELETE SET NULL,
        digest TEXT NOT NULL CONSTRAINT invitations_digest_key UNIQUE,
        created_at BIGINT NOT NULL,
        expires_at BIGINT NOT NULL,
        CONSTRAINT invitations_team_email_key UNIQUE (team_id, email_normal)
    )",
    "CREATE INDEX invitations_team_idx ON invitations (team_id, id)",
    "CREATE INDEX invitations_expires_idx ON invitations (expires_at)",
    "CREATE INDEX invitations_email_idx ON invitations (email_normal)",
    "CREATE INDEX invitations_inviter_idx ON invitations (invited_by)",
    "CREATE TABLE project_keys (
        id {uuid} PRIMARY KEY,
        team_id {uuid} NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
        project_id {uuid} NOT NULL,
        name TEXT NOT NULL,
        scopes TEXT NOT NULL,
        digest TEXT NOT NULL,
        created_by {uuid} REFERENCES users (id) ON DELETE SET NULL,
        created_at BIGINT NOT NULL,
        expires_at BIGINT,
        last_used_at BIGINT,
        FOREIGN KEY (team_id, project_id) REFERENCES projects (team_id, id) ON DELETE CASCADE
    )",
    "CREATE INDEX project_keys_project_idx ON project_keys (team_id, project_id, id)",
    "CREATE INDEX project_keys_creator_idx ON project_keys (created_by)",
];
