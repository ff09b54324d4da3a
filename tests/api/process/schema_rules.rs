//! The rules of a schema: keys, CHECKs, unique indexes, row-level security, triggers and their
//! functions. A migration that adds a rule to an existing table can break the previous release,
//! although all columns that this release needs still exist.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{ConnectionTrait as _, DatabaseBackend, DatabaseConnection, QueryResult, Statement};

/// Every rule, by its table and its text. Some kinds of rule are harmless if they are only about
/// new columns. For these rules the value lists their columns.
pub type Rules = BTreeMap<(String, String), Vec<String>>;

/// Reviewed rules that a migration adds to existing tables. Each entry has the migration, the
/// beginning of the text that [`bound`] returns, and the reason why the previous release can work
/// with the rule.
const REVIEWED: &[(&str, &str, &str)] = &[];

const POSTGRES: &str = "
    WITH ours AS (SELECT oid, relname::text AS name, relrowsecurity, relforcerowsecurity FROM pg_class
                  WHERE relnamespace = current_schema()::text::regnamespace AND relkind = 'r')
    SELECT name AS bound, pg_get_constraintdef(k.oid) AS rule,
           CASE WHEN contype IN ('c', 'f') THEN
             (SELECT string_agg(attname::text, ',') FROM pg_attribute WHERE attrelid = conrelid AND attnum = ANY (conkey))
           END AS columns
      FROM pg_constraint k JOIN ours ON ours.oid = conrelid WHERE contype IN ('c', 'f', 'p', 'u', 'x')
    UNION ALL
    SELECT name, pg_get_indexdef(indexrelid), NULL FROM pg_index JOIN ours ON ours.oid = indrelid WHERE indisunique
    UNION ALL
    SELECT tablename::text, concat_ws(' ', permissive, 'POLICY', policyname, 'FOR', cmd, 'TO', array_to_string(roles, ','),
           'USING', qual, 'WITH CHECK', with_check), NULL FROM pg_policies WHERE schemaname = current_schema()
    UNION ALL
    SELECT name, CASE WHEN relforcerowsecurity THEN 'ROW SECURITY FOR ALL' ELSE 'ROW SECURITY' END, NULL
      FROM ours WHERE relrowsecurity
    UNION ALL
    SELECT name, pg_get_triggerdef(t.oid), NULL FROM pg_trigger t JOIN ours ON ours.oid = tgrelid WHERE NOT tgisinternal
    UNION ALL
    SELECT 'function ' || proname, prosrc, NULL FROM pg_proc WHERE pronamespace = current_schema()::text::regnamespace";

const SQLITE: &str = "
    SELECT t.name AS bound, 'FOREIGN KEY ' || group_concat(k.\"from\") || ' REFERENCES ' || k.\"table\" || ' ON DELETE ' ||
           k.on_delete AS rule, group_concat(k.\"from\") AS columns
      FROM sqlite_master t, pragma_foreign_key_list(t.name) k WHERE t.type = 'table' GROUP BY t.name, k.id
    UNION ALL
    SELECT t.name, coalesce(i.sql, 'UNIQUE ' || (SELECT group_concat(name) FROM pragma_index_info(l.name))), NULL
      FROM sqlite_master t, pragma_index_list(t.name) l LEFT JOIN sqlite_master i ON i.name = l.name
      WHERE t.type = 'table' AND l.\"unique\" = 1
    UNION ALL
    SELECT tbl_name, sql, NULL FROM sqlite_master WHERE type = 'trigger'";

pub async fn rules(db: &DatabaseConnection) -> Rules {
    let backend = db.get_database_backend();
    let sql = if backend == DatabaseBackend::Postgres { POSTGRES } else { SQLITE };
    let mut rules: Rules = query(db, sql).await.iter().map(rule).collect();
    if backend != DatabaseBackend::Postgres {
        rules.extend(checks(db).await);
    }
    rules.retain(|(table, _), _| table != "seaql_migrations");
    rules
}

async fn query(db: &DatabaseConnection, sql: &str) -> Vec<QueryResult> {
    let asked = db.query_all_raw(Statement::from_string(db.get_database_backend(), sql));
    asked.await.expect("a catalogue")
}

fn rule(row: &QueryResult) -> ((String, String), Vec<String>) {
    let text = |name| row.try_get::<String>("", name).expect("a text");
    let columns: Option<String> = row.try_get("", "columns").expect("a list or none");
    let columns = columns.unwrap_or_default();
    let columns = columns.split(',').filter(|it| !it.is_empty()).map(str::to_owned).collect();
    ((text("bound"), text("rule")), columns)
}

/// SQLite has no list of CHECKs, so they are parsed from the statements that created the tables.
async fn checks(db: &DatabaseConnection) -> Rules {
    let sql = "SELECT t.name AS bound, t.sql AS rule, group_concat(c.name) AS columns \
               FROM sqlite_master t, pragma_table_info(t.name) c WHERE t.type = 'table' GROUP BY t.name";
    let mut found = Rules::new();
    for row in query(db, sql).await {
        let ((table, made), columns) = rule(&row);
        for (at, _) in made.match_indices("CHECK") {
            let text = balanced(&made[at..]);
            let words: BTreeSet<&str> =
                text.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
            let spoken_of = columns.iter().filter(|it| words.contains(it.as_str()));
            found.insert((table.clone(), text.to_owned()), spoken_of.cloned().collect());
        }
    }
    found
}

/// Returns the text up to the bracket that closes its first bracket.
fn balanced(text: &str) -> &str {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        depth += match c {
            '(' => 1,
            ')' => -1,
            _ => continue,
        };
        if depth == 0 {
            return &text[..=at];
        }
    }
    text
}

/// Returns the rules on existing tables that are new or gone. `columns` are the columns that older
/// programs know. If a rule is only about new columns, it does not affect a program that does not
/// name these columns.
pub fn bound(
    before: &Rules,
    after: &Rules,
    columns: &BTreeSet<(String, String)>,
    step: &str,
) -> Vec<String> {
    let is_known = |bound: &str| {
        columns.iter().any(|(table, _)| table == bound)
            || before.keys().any(|(known, _)| known == bound)
    };
    let is_of_new_columns = |table: &str, named: &[String]| {
        !named.is_empty()
            && named.iter().all(|it| !columns.contains(&(table.to_owned(), it.clone())))
    };
    let new = after.iter().filter(|(rule, _)| !before.contains_key(*rule));
    let new = new
        .filter(|((bound, _), named)| is_known(bound) && !is_of_new_columns(bound, named))
        .map(|((bound, rule), _)| format!("{bound} is bound by {rule}"));
    let gone = before.keys().filter(|rule| !after.contains_key(*rule));
    let gone = gone.map(|(bound, rule)| format!("{bound} is without {rule}"));
    let is_reviewed = |said: &String| {
        let of = |(name, start, _): &&(&str, &str, &str)| {
            step.ends_with(name) && said.starts_with(start)
        };
        REVIEWED.iter().any(|it| of(&it))
    };
    new.chain(gone).filter(|said| !is_reviewed(said)).collect()
}

/// Statements that the comparison must report, and then statements that it must not report.
pub fn samples(backend: DatabaseBackend) -> (&'static [&'static str], &'static [&'static str]) {
    const HARMLESS: &[&str] = &[
        "ALTER TABLE users ADD COLUMN size INTEGER DEFAULT 0 CHECK (size >= 0)",
        "CREATE INDEX users_by_name ON users (name)",
        "CREATE TABLE hats (id INTEGER PRIMARY KEY, size INTEGER UNIQUE CHECK (size > 0))",
    ];
    if backend == DatabaseBackend::Postgres {
        return (
            &[
                "CREATE UNIQUE INDEX users_one_name ON users (name)",
                "ALTER TABLE users ADD CHECK (length(name) < 50)",
                "ALTER TABLE users ADD FOREIGN KEY (id) REFERENCES users (id)",
                "CREATE POLICY nobody ON users FOR SELECT USING (false)",
                "ALTER TABLE users ENABLE ROW LEVEL SECURITY",
                "CREATE TRIGGER once BEFORE UPDATE ON users FOR EACH ROW \
                 EXECUTE FUNCTION suppress_redundant_updates_trigger()",
                "DROP TRIGGER audit_events_kept ON audit_events",
                "CREATE OR REPLACE FUNCTION latchkey_team() RETURNS uuid LANGUAGE sql STABLE AS 'SELECT NULL::uuid'",
            ],
            HARMLESS,
        );
    }
    (
        &[
            "CREATE UNIQUE INDEX users_one_name ON users (name)",
            "ALTER TABLE users ADD COLUMN shade TEXT CHECK (shade <> name)",
            "CREATE TRIGGER once BEFORE UPDATE ON users BEGIN SELECT RAISE(ABORT, 'once'); END",
            "DROP TRIGGER audit_events_kept",
        ],
        HARMLESS,
    )
}
