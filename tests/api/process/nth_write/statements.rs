//! A PostgreSQL on which the n-th writing statement or the n-th commit fails. A trigger on every
//! table counts the writes in a sequence and raises an error. A rollback does not reset the
//! sequence.
//!
//! The writes of the prober and of the mailer do not count. An update of the outbox that changes
//! the lease of a row is a write of the mailer.

use sea_orm::{ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, Statement};

use super::Fault;
use super::use_cases::UseCase;

/// Error codes of PostgreSQL for a full disk, an I/O error, a serialization failure, a cancelled
/// statement and an internal error.
const CODES: [&str; CODES_COUNT as usize] = ["53100", "58030", "40001", "57014", "XX000"];
pub(super) const CODES_COUNT: u32 = 5;

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
CREATE FUNCTION fault_at_commit() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE armed record;
BEGIN
    -- Once a transaction, whatever number of rows it has changed.
    IF current_setting('fault.is_counted', true) = 'yes' THEN
        RETURN NULL;
    END IF;
    PERFORM set_config('fault.is_counted', 'yes', true);
    SELECT * INTO armed FROM fault;
    IF armed.at > 0 AND nextval('fault_count') = armed.at THEN
        RAISE EXCEPTION 'a fault' USING ERRCODE = armed.code;
    END IF;
    RETURN NULL;
END $$;
CREATE FUNCTION install(name text, events text, condition text, at_commit boolean) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF at_commit THEN
        EXECUTE format('CREATE CONSTRAINT TRIGGER %I AFTER %s ON %I DEFERRABLE INITIALLY DEFERRED '
            'FOR EACH ROW %s EXECUTE FUNCTION fault_at_commit()',
            'fault_' || left(events, 6), events, name, condition);
    ELSE
        EXECUTE format('CREATE TRIGGER %I AFTER %s ON %I FOR EACH %s %s EXECUTE FUNCTION fault_now()',
            'fault_' || left(events, 6), events, name,
            CASE condition WHEN '' THEN 'STATEMENT' ELSE 'ROW' END, condition);
    END IF;
END $$;
";

/// Installs the triggers. `{}` is replaced with `true` if the triggers fire at the commit, and with
/// `false` if they fire at the statement.
const TRIGGERS: &str = "
DO $$
DECLARE name text;
BEGIN
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = current_schema()
        AND tablename NOT IN ('fault', 'seaql_migrations', 'store_probe', 'outbox')
    LOOP
        PERFORM install(name, 'INSERT OR UPDATE OR DELETE', '', {});
    END LOOP;
    PERFORM install('outbox', 'INSERT OR DELETE', '', {});
    PERFORM install('outbox', 'UPDATE', 'WHEN (OLD.leased_until = NEW.leased_until)', {});
END $$;";

/// The moment at which a write fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    Statement,
    Commit,
}

/// A connection that sets the number and the code of the failing write.
#[derive(Debug)]
pub(super) struct Statements {
    connection: DatabaseConnection,
    /// The number of the round. Each round begins with another error code.
    round: usize,
}

impl Statements {
    /// Installs the triggers in a migrated database.
    pub(super) async fn of(url: &str, moment: Moment, round: usize) -> Self {
        let mut options = ConnectOptions::new(url);
        options.max_connections(1).sqlx_logging(false);
        let connection = Database::connect(options).await.expect("connected");
        connection.execute_unprepared(INSTALL).await.expect("functions");
        let at_commit = (moment == Moment::Commit).to_string();
        let triggers = TRIGGERS.replace("{}", &at_commit);
        connection.execute_unprepared(&triggers).await.expect("triggers");
        Self { connection, round }
    }
}

impl Fault for Statements {
    async fn arm(&self, case: UseCase, n: i32) {
        // Each use case begins with another error code, so that the first writes meet all codes.
        let turn = self.round + case as usize + n.unsigned_abs() as usize;
        let code = CODES[turn % CODES.len()];
        let sql = format!(
            "SELECT setval('fault_count', 1, false); UPDATE fault SET at = {n}, code = '{code}'"
        );
        self.connection.execute_unprepared(&sql).await.expect("armed");
    }

    async fn disarm(&self) -> bool {
        let sql =
            "SELECT is_called AND last_value >= (SELECT at FROM fault) AS failed FROM fault_count";
        let asked = Statement::from_string(sea_orm::DatabaseBackend::Postgres, sql);
        let row = self.connection.query_one_raw(asked).await.expect("asked").expect("a row");
        let disarm = "UPDATE fault SET at = 0";
        self.connection.execute_unprepared(disarm).await.expect("disarmed");
        row.try_get("", "failed").expect("a truth value")
    }
}
