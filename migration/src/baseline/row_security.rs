//! Row-level security on PostgreSQL, which separates the data of teams.
//!
//! Row-level security also applies to the database role that owns the tables (ADR 6). A transaction
//! sets its scope with one of these settings, and sees only the rows of that scope:
//!
//! - `latchkey.team`: the rows of one team.
//! - `latchkey.user`: the memberships, teams and projects of one user. The transaction can only
//!   read them.
//! - `latchkey.invitation` and `latchkey.key`: the one invitation with this digest, or the one key
//!   with this id, and its team. The transaction can only read them.
//! - `latchkey.address`: the invitations of one email address and their teams. The transaction can
//!   only read them.
//! - `latchkey.operator`: all rows.
//!
//! A transaction without one of these settings sees no row. Row-level security does not apply when
//! PostgreSQL checks foreign keys.

/// The tables with row-level security, each with the column that holds the team id.
const TENANT_TABLES: &[(&str, &str)] = &[
    ("teams", "id"),
    ("projects", "team_id"),
    ("memberships", "team_id"),
    ("invitations", "team_id"),
    ("project_keys", "team_id"),
];

/// The functions that read the scope. A setting that was never set is null. After the end of the
/// transaction that set it, the setting is an empty text.
const SCOPES: &[&str] = &[
    "CREATE FUNCTION latchkey_team() RETURNS uuid LANGUAGE sql STABLE AS
        $$ SELECT nullif(current_setting('latchkey.team', true), '')::uuid $$",
    "CREATE FUNCTION latchkey_user() RETURNS uuid LANGUAGE sql STABLE AS
        $$ SELECT nullif(current_setting('latchkey.user', true), '')::uuid $$",
    "CREATE FUNCTION latchkey_key() RETURNS uuid LANGUAGE sql STABLE AS
        $$ SELECT nullif(current_setting('latchkey.key', true), '')::uuid $$",
];

/// The policies for reads by a transaction that is not inside the scope of a team.
const READ_POLICIES: &[&str] = &[
    "CREATE POLICY memberships_of_person ON memberships FOR SELECT USING (user_id = latchkey_user())",
    "CREATE POLICY teams_of_person ON teams FOR SELECT USING (EXISTS
        (SELECT 1 FROM memberships m WHERE m.team_id = teams.id AND m.user_id = latchkey_user()))",
    "CREATE POLICY projects_of_person ON projects FOR SELECT USING (EXISTS
        (SELECT 1 FROM memberships m WHERE m.team_id = projects.team_id AND m.user_id = latchkey_user()))",
    "CREATE POLICY invitation_by_digest ON invitations FOR SELECT
        USING (digest = nullif(current_setting('latchkey.invitation', true), ''))",
    "CREATE POLICY invitations_of_address ON invitations FOR SELECT
        USING (email_normal = nullif(current_setting('latchkey.address', true), ''))",
    // The policies above also apply in this subquery. So a transaction that sees an invitation also
    // sees the team of this invitation, and no other team.
    "CREATE POLICY team_of_invitation ON teams FOR SELECT USING
        (EXISTS (SELECT 1 FROM invitations i WHERE i.team_id = teams.id))",
    "CREATE POLICY project_key_by_id ON project_keys FOR SELECT USING (id = latchkey_key())",
    "CREATE POLICY team_of_key ON teams FOR SELECT USING (EXISTS
        (SELECT 1 FROM project_keys k WHERE k.team_id = teams.id AND k.id = latchkey_key()))",
];

/// The functions that a request uses for its reads before it begins a transaction.
const READS: &[&str] = &[
    // The only read of the session check. The function needs no separate transaction, because it
    // restores the setting at its end. (A `SET` clause of the function would also restore the
    // setting. But only a superuser may use a `SET` clause for a setting that is not declared.)
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
    // The same read for a project key. The request has no session, and has not begun a transaction
    // for a team yet.
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

/// All statements, in the order in which they must run.
pub(super) fn statements() -> Vec<String> {
    let tables = TENANT_TABLES.iter().map(|(table, team)| {
        format!(
            "ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
             ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
             CREATE POLICY {table}_of_team ON {table}
                USING ({team} = latchkey_team()) WITH CHECK ({team} = latchkey_team());
             CREATE POLICY {table}_of_operator ON {table}
                USING (current_setting('latchkey.operator', true) = 'on');"
        )
    });
    let text = |statements: &'static [&str]| statements.iter().map(|it| (*it).to_owned());
    text(SCOPES).chain(tables).chain(text(READ_POLICIES)).chain(text(READS)).collect()
}
