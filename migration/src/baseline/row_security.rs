//! Row-level security on PostgreSQL, which separates the data of teams.
//!
//! Row-level security also applies to the database role that owns the tables (ADR 6). The function
//! `latchkey_enter` puts a transaction into one of these scopes, and the transaction sees only the
//! rows of its scope:
//!
//! - `team`: the rows of one team.
//! - `user`: the memberships, teams and projects of one user. The transaction can only read them.
//! - `invitation` and `address`: the invitation with this digest, or the invitations of this email
//!   address, and their teams. The transaction can only read them.
//! - `operator`: all rows.
//!
//! A transaction outside of all scopes sees no row. Row-level security does not apply when
//! PostgreSQL checks foreign keys.
//!
//! Each policy is one comparison with a setting of the transaction, because a policy runs for each
//! row, and the subqueries of all policies of a table are prepared for each statement. ADR 14 has
//! the figures.

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
    "CREATE FUNCTION latchkey_teams() RETURNS uuid[] LANGUAGE sql STABLE AS
        $$ SELECT string_to_array(nullif(current_setting('latchkey.teams', true), ''), ',')::uuid[] $$",
];

/// The policies for reads by a transaction that is not inside the scope of a team.
const READ_POLICIES: &[&str] = &[
    "CREATE POLICY memberships_of_user ON memberships FOR SELECT USING (user_id = latchkey_user())",
    "CREATE POLICY projects_of_user ON projects FOR SELECT
        USING (latchkey_user() IS NOT NULL AND team_id = ANY (latchkey_teams()))",
    "CREATE POLICY invitation_by_digest ON invitations FOR SELECT
        USING (digest = nullif(current_setting('latchkey.invitation', true), ''))",
    "CREATE POLICY invitations_of_address ON invitations FOR SELECT
        USING (email_normal = nullif(current_setting('latchkey.address', true), ''))",
    "CREATE POLICY teams_of_scope ON teams FOR SELECT USING (id = ANY (latchkey_teams()))",
];

/// Puts the transaction into a scope, and out of the scope in which it was before. The setting
/// `latchkey.teams` lists the teams of a user or of invitations at this moment.
const ENTER: &str =
    "CREATE FUNCTION latchkey_enter(scope text, value text) RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM set_config('latchkey.' || name, CASE WHEN name = scope THEN value ELSE '' END, true)
            FROM unnest(ARRAY['team', 'user', 'invitation', 'address', 'operator', 'teams']) name;
        IF scope IN ('user', 'invitation', 'address') THEN
            PERFORM set_config('latchkey.teams', coalesce(CASE scope
                WHEN 'user' THEN (SELECT string_agg(team_id::text, ',') FROM memberships
                    WHERE user_id = value::uuid)
                WHEN 'invitation' THEN (SELECT string_agg(team_id::text, ',') FROM invitations
                    WHERE digest = value)
                ELSE (SELECT string_agg(team_id::text, ',') FROM invitations
                    WHERE email_normal = value)
                END, ''), true);
        END IF;
    END $$";

/// The functions with which a request reads before it begins a transaction. They run with the
/// rights of the tables' owner, see all rows while they run, and return only the rows of their
/// arguments. [`CLOSED`] fixes the schema in which they look up tables, because a caller could
/// otherwise give them a temporary table of its own.
///
/// They are in PL/pgSQL because PostgreSQL caches its plans. Before version 18 PostgreSQL plans a
/// function in SQL again for each call, which takes three times as long.
const READS: &[&str] = &[
    // The only read of the session check.
    "CREATE FUNCTION latchkey_membership(person uuid, team uuid, project uuid)
        RETURNS TABLE (team_id uuid, team_name text, team_status text, require_factor boolean, role text, epoch integer, project_id uuid,
            project_name text)
        LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$
        #variable_conflict use_column
        DECLARE
            before text := coalesce(current_setting('latchkey.operator', true), '');
        BEGIN
            PERFORM set_config('latchkey.operator', 'on', true);
            RETURN QUERY
                SELECT m.team_id, m.name, m.status, m.require_factor, m.role, m.epoch, p.id, p.name
                FROM (SELECT x.*, t.name, t.status, t.require_factor FROM memberships x JOIN teams t ON t.id = x.team_id
                    WHERE x.user_id = person
                    ORDER BY CASE WHEN x.team_id = team THEN 0 WHEN t.status = 'active' THEN 1 ELSE 2 END,
                        x.last_used_at DESC, x.created_at, x.id
                    LIMIT 1) m
                LEFT JOIN LATERAL (SELECT y.id, y.name FROM projects y WHERE y.team_id = m.team_id
                    ORDER BY CASE WHEN y.id = project THEN 0 WHEN y.id = m.last_project_id THEN 1 ELSE 2 END,
                        y.created_at, y.id
                    LIMIT 1) p ON true;
            PERFORM set_config('latchkey.operator', before, true);
        END $$",
    // The same read for a project key.
    "CREATE FUNCTION latchkey_project_key(wanted uuid)
        RETURNS TABLE (team_id uuid, project_id uuid, scopes text, digest text, expires_at bigint, last_used_at bigint,
            team_status text)
        LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$
        #variable_conflict use_column
        DECLARE
            before text := coalesce(current_setting('latchkey.operator', true), '');
        BEGIN
            PERFORM set_config('latchkey.operator', 'on', true);
            RETURN QUERY
                SELECT k.team_id, k.project_id, k.scopes, k.digest, k.expires_at, k.last_used_at, t.status
                FROM project_keys k JOIN teams t ON t.id = k.team_id WHERE k.id = wanted;
            PERFORM set_config('latchkey.operator', before, true);
        END $$",
];

/// Closes the functions in [`READS`] for all roles but the owner, and fixes their schema. A grant
/// opens them for the role that serves requests (`docs/secure.md`). That role gets its rights on
/// new tables by default, so this statement takes back its right to write the list of migrations.
const CLOSED: &str = "DO $$
    DECLARE
        reads text;
        other text;
    BEGIN
        FOREACH reads IN ARRAY ARRAY['latchkey_membership(uuid, uuid, uuid)', 'latchkey_project_key(uuid)'] LOOP
            EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', reads, current_schema());
            EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', reads);
        END LOOP;
        FOR other IN SELECT DISTINCT grantee FROM information_schema.role_table_grants
            WHERE table_schema = current_schema() AND table_name = 'seaql_migrations'
            AND grantee NOT IN (current_user, 'PUBLIC') LOOP
            EXECUTE format('REVOKE INSERT, UPDATE, DELETE ON seaql_migrations FROM %I', other);
        END LOOP;
    END $$";

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
    text(SCOPES)
        .chain(tables)
        .chain(text(READ_POLICIES))
        .chain(text(&[ENTER]))
        .chain(text(READS))
        .chain(text(&[CLOSED]))
        .collect()
}
