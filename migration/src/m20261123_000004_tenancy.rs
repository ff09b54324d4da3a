//! Invitations, project keys, what a person chose last; and on PostgreSQL the wall between teams.
//!
//! The wall is row-level security, forced on the tables' owner too. A transaction says by settings of its own where it
//! stands, and sees no other rows: `latchkey.team` opens a team, `latchkey.user` what one person is in (to read),
//! `latchkey.invitation` and `latchkey.key` the one row that a digest or an id names, `latchkey.address` the invitations of
//! one address (all to read), `latchkey.operator` everything. With nothing said there is nothing. The checks of foreign keys are the server's and go round it.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{ConnectionTrait, DatabaseBackend};

/// Tenancy beyond the default team.
#[derive(DeriveMigrationName)]
pub struct Migration;

/// For both databases; `{uuid}` as in the foundation.
const UP: &[&str] = &[
    "ALTER TABLE memberships ADD COLUMN last_used_at BIGINT NOT NULL DEFAULT 0",
    "ALTER TABLE memberships ADD COLUMN last_project_id {uuid}",
    "ALTER TABLE teams ADD COLUMN status TEXT NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'disabled'))",
    // How many invitations the team has mailed on that day, counted in days since 1970.
    "ALTER TABLE teams ADD COLUMN invited_day BIGINT NOT NULL DEFAULT 0",
    "ALTER TABLE teams ADD COLUMN invited_count BIGINT NOT NULL DEFAULT 0",
    "CREATE INDEX memberships_team_idx ON memberships (team_id, id)",
    // What a key's foreign key needs, and a page of projects.
    "CREATE UNIQUE INDEX projects_team_id_key ON projects (team_id, id)",
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

/// The tables behind the wall, with the column that is the team.
const WALLED: &[(&str, &str)] = &[
    ("teams", "id"),
    ("projects", "team_id"),
    ("memberships", "team_id"),
    ("invitations", "team_id"),
    ("project_keys", "team_id"),
];

/// For PostgreSQL alone. A setting that was never made is null, one of an ended transaction is empty.
const FUNCTIONS: &[&str] = &[
    "CREATE FUNCTION latchkey_team() RETURNS uuid LANGUAGE sql STABLE AS
        $$ SELECT nullif(current_setting('latchkey.team', true), '')::uuid $$",
    "CREATE FUNCTION latchkey_user() RETURNS uuid LANGUAGE sql STABLE AS
        $$ SELECT nullif(current_setting('latchkey.user', true), '')::uuid $$",
    "CREATE FUNCTION latchkey_key() RETURNS uuid LANGUAGE sql STABLE AS
        $$ SELECT nullif(current_setting('latchkey.key', true), '')::uuid $$",
];

/// What a person is in, where they are not in a team's own transaction.
const BY_PERSON: &[&str] = &[
    "CREATE POLICY memberships_of_person ON memberships FOR SELECT USING (user_id = latchkey_user())",
    "CREATE POLICY teams_of_person ON teams FOR SELECT USING (EXISTS
        (SELECT 1 FROM memberships m WHERE m.team_id = teams.id AND m.user_id = latchkey_user()))",
    "CREATE POLICY projects_of_person ON projects FOR SELECT USING (EXISTS
        (SELECT 1 FROM memberships m WHERE m.team_id = projects.team_id AND m.user_id = latchkey_user()))",
    "CREATE POLICY invitation_by_digest ON invitations FOR SELECT
        USING (digest = nullif(current_setting('latchkey.invitation', true), ''))",
    "CREATE POLICY invitations_of_address ON invitations FOR SELECT
        USING (email_normal = nullif(current_setting('latchkey.address', true), ''))",
    // The policies above hold in here too: an invitation that is seen shows its team, and no other does.
    "CREATE POLICY team_of_invitation ON teams FOR SELECT USING
        (EXISTS (SELECT 1 FROM invitations i WHERE i.team_id = teams.id))",
    "CREATE POLICY project_key_by_id ON project_keys FOR SELECT USING (id = latchkey_key())",
    "CREATE POLICY team_of_key ON teams FOR SELECT USING (EXISTS
        (SELECT 1 FROM project_keys k WHERE k.team_id = teams.id AND k.id = latchkey_key()))",
    // The session check's one look: it needs no transaction of its own, and leaves the setting as it found it. (`SET` at
    // the function would do that too, but only a superuser may say it of a setting that nobody has declared.)
    "CREATE FUNCTION latchkey_membership(person uuid, team uuid, project uuid)
        RETURNS TABLE (team_id uuid, team_name text, team_status text, role text, epoch integer, project_id uuid,
            project_name text)
        LANGUAGE plpgsql STABLE AS $$
        #variable_conflict use_column
        DECLARE
            before text := coalesce(current_setting('latchkey.user', true), '');
        BEGIN
            PERFORM set_config('latchkey.user', person::text, true);
            RETURN QUERY
                SELECT m.team_id, m.name, m.status, m.role, m.epoch, p.id, p.name
                FROM (SELECT x.*, t.name, t.status FROM memberships x JOIN teams t ON t.id = x.team_id
                    WHERE x.user_id = person
                    ORDER BY CASE WHEN x.team_id = team THEN 0 WHEN t.status = 'active' THEN 1 ELSE 2 END,
                        x.last_used_at DESC, x.created_at, x.id
                    LIMIT 1) m
                LEFT JOIN LATERAL (SELECT y.id, y.name FROM projects y WHERE y.team_id = m.team_id
                    ORDER BY CASE WHEN y.id = project THEN 0 WHEN y.id = m.last_project_id THEN 1 ELSE 2 END,
                        y.created_at, y.id
                    LIMIT 1) p ON true;
            PERFORM set_config('latchkey.user', before, true);
        END $$",
    // The same for a project's key, which is in no session and no team's transaction yet.
    "CREATE FUNCTION latchkey_project_key(wanted uuid)
        RETURNS TABLE (team_id uuid, project_id uuid, scopes text, digest text, expires_at bigint, last_used_at bigint,
            team_status text)
        LANGUAGE plpgsql STABLE AS $$
        #variable_conflict use_column
        DECLARE
            before text := coalesce(current_setting('latchkey.key', true), '');
        BEGIN
            PERFORM set_config('latchkey.key', wanted::text, true);
            RETURN QUERY
                SELECT k.team_id, k.project_id, k.scopes, k.digest, k.expires_at, k.last_used_at, t.status
                FROM project_keys k JOIN teams t ON t.id = k.team_id WHERE k.id = wanted;
            PERFORM set_config('latchkey.key', before, true);
        END $$",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let connection = manager.get_connection();
        let is_postgres = manager.get_database_backend() == DatabaseBackend::Postgres;
        let uuid = if is_postgres { "UUID" } else { "BLOB" };
        for statement in UP {
            connection.execute_unprepared(&statement.replace("{uuid}", uuid)).await?;
        }
        if !is_postgres {
            return Ok(());
        }
        for statement in FUNCTIONS {
            connection.execute_unprepared(statement).await?;
        }
        for (table, team) in WALLED {
            let wall = format!(
                "ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
                 ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
                 CREATE POLICY {table}_of_team ON {table}
                    USING ({team} = latchkey_team()) WITH CHECK ({team} = latchkey_team());
                 CREATE POLICY {table}_of_operator ON {table}
                    USING (current_setting('latchkey.operator', true) = 'on');"
            );
            connection.execute_unprepared(&wall).await?;
        }
        for statement in BY_PERSON {
            connection.execute_unprepared(statement).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let connection = manager.get_connection();
        let is_postgres = manager.get_database_backend() == DatabaseBackend::Postgres;
        if is_postgres {
            for policy in ["team_of_key", "team_of_invitation"] {
                connection.execute_unprepared(&format!("DROP POLICY {policy} ON teams")).await?;
            }
        }
        for table in ["project_keys", "invitations"] {
            manager.drop_table(Table::drop().table(Alias::new(table)).to_owned()).await?;
        }
        if is_postgres {
            let named = [
                "DROP FUNCTION latchkey_project_key",
                "DROP FUNCTION latchkey_membership",
                "DROP POLICY projects_of_person ON projects",
                "DROP POLICY teams_of_person ON teams",
                "DROP POLICY memberships_of_person ON memberships",
            ];
            for statement in named {
                connection.execute_unprepared(statement).await?;
            }
            for (table, _) in &WALLED[..3] {
                let fall = format!(
                    "DROP POLICY {table}_of_operator ON {table}; DROP POLICY {table}_of_team ON {table};
                     ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY;
                     ALTER TABLE {table} DISABLE ROW LEVEL SECURITY;"
                );
                connection.execute_unprepared(&fall).await?;
            }
            for function in ["latchkey_key", "latchkey_user", "latchkey_team"] {
                connection.execute_unprepared(&format!("DROP FUNCTION {function}")).await?;
            }
        }
        for statement in [
            "DROP INDEX projects_team_id_key",
            "DROP INDEX memberships_team_idx",
            "ALTER TABLE teams DROP COLUMN invited_count",
            "ALTER TABLE teams DROP COLUMN invited_day",
            "ALTER TABLE teams DROP COLUMN status",
            "ALTER TABLE memberships DROP COLUMN last_project_id",
            "ALTER TABLE memberships DROP COLUMN last_used_at",
        ] {
            connection.execute_unprepared(statement).await?;
        }
        Ok(())
    }
}
