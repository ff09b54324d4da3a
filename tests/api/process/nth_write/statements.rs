//! A PostgreSQL whose n-th writing statement fails: a trigger on every table counts in a sequence, which no rollback takes
//! back, and raises an error.

use sea_orm::{ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, Statement};

use super::Fault;

/// What the server may answer: disk full, I/O error, serialization failure, cancelled, internal error.
const CODES: [&str; 5] = ["53100", "58030", "40001", "57014", "XX000"];

const INSTALL: &str = "
CREATE SEQUENCE fault_count;
CREATE TABLE fault (at bigint NOT NULL, code text NOT NULL);
INSERT INTO fault VALUES (0, '53100');
CREATE FUNCTION fault_now() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE armed record;
BEGIN
    SELECT * INTO armed FROM fault;
    IF armed.at > 0 AND nextval('fault_count') = armed.at THEN
        RAISE EXCEPTION 'a fault' USING ERRCODE = armed.code;
    END IF;
    RETURN NULL;
END $$;
DO $$
DECLARE name text;
BEGIN
    FOR name IN SELECT tablename FROM pg_tables
        WHERE schemaname = current_schema() AND tablename NOT IN ('fault', 'seaql_migrations')
    LOOP
        EXECUTE format('CREATE TRIGGER a_fault AFTER INSERT OR UPDATE OR DELETE ON %I '
            'FOR EACH STATEMENT EXECUTE FUNCTION fault_now()', name);
    END LOOP;
END $$;";

/// A connection that sets the numbers.
#[derive(Debug)]
pub(super) struct Statements(DatabaseConnection);

impl Statements {
    /// Installs the triggers in a migrated database.
    pub(super) async fn of(url: &str) -> Self {
        let mut options = ConnectOptions::new(url);
        options.max_connections(1).sqlx_logging(false);
        let connection = Database::connect(options).await.expect("connected");
        connection.execute_unprepared(INSTALL).await.expect("installed");
        Self(connection)
    }
}

impl Fault for Statements {
    async fn arm(&self, n: i32) {
        let code = CODES[n.unsigned_abs() as usize % CODES.len()];
        let sql = format!(
            "SELECT setval('fault_count', 1, false); UPDATE fault SET at = {n}, code = '{code}'"
        );
        self.0.execute_unprepared(&sql).await.expect("armed");
    }

    async fn disarm(&self) -> bool {
        let sql =
            "SELECT is_called AND last_value >= (SELECT at FROM fault) AS failed FROM fault_count";
        let asked = Statement::from_string(sea_orm::DatabaseBackend::Postgres, sql);
        let row = self.0.query_one_raw(asked).await.expect("asked").expect("a row");
        self.0.execute_unprepared("UPDATE fault SET at = 0").await.expect("disarmed");
        row.try_get("", "failed").expect("a truth value")
    }
}
