//! Tests of two schemas that follow each other. A migration only adds, the data that existed before
//! a migration is served after it, and a binary is not ready outside its range of schemas.
//!
//! No older release exists yet. The tests use two things instead: the columns that an older release
//! would need, which must not change, and the current binary with a schema of the next release.

use std::collections::BTreeMap;

use latchkey_migration::{CONTRACT, Migrator, MigratorTrait as _};
use sea_orm::{ConnectionTrait as _, Database, DatabaseBackend, DatabaseConnection, Statement};

use super::schema_rules::{Rules, bound, rules, samples};
use super::{PATIENCE, Place};
use crate::client::{Client, Person};
use crate::poll::eventually;
use crate::servers::{TestDatabase, redis_space};

/// A column in the form that matters to a program of the previous release.
#[derive(Debug, PartialEq, Eq)]
struct Column {
    kind: String,
    must_be_given: bool,
}

/// Every column, by its table and its name.
type Catalogue = BTreeMap<(String, String), Column>;

async fn catalogue(db: &DatabaseConnection) -> Catalogue {
    let sql = match db.get_database_backend() {
        DatabaseBackend::Postgres => {
            "SELECT table_name, column_name, data_type AS kind, \
                    is_nullable = 'NO' AND column_default IS NULL AS must_be_given \
             FROM information_schema.columns WHERE table_schema = current_schema()"
        }
        _ => {
            "SELECT t.name AS table_name, c.name AS column_name, c.type AS kind, \
                    c.\"notnull\" = 1 AND c.dflt_value IS NULL AS must_be_given \
             FROM sqlite_master t, pragma_table_info(t.name) c WHERE t.type = 'table'"
        }
    };
    let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), sql));
    let text = |row: &sea_orm::QueryResult, name| row.try_get::<String>("", name).expect("a text");
    let columns = rows.await.expect("a catalogue").into_iter().map(|row| {
        let must_be_given = row.try_get("", "must_be_given").expect("a word");
        let column = Column { kind: text(&row, "kind"), must_be_given };
        ((text(&row, "table_name"), text(&row, "column_name")), column)
    });
    columns.collect()
}

/// Returns what a migration takes away from a program that knows only the schema before this
/// migration.
fn taken(before: &Catalogue, after: &Catalogue) -> Vec<String> {
    let mut taken = Vec::new();
    for (name, column) in before {
        match after.get(name) {
            None => taken.push(format!("{name:?} is gone")),
            Some(now) if now != column => {
                taken.push(format!("{name:?} is {now:?}, was {column:?}"));
            }
            Some(_) => {}
        }
    }
    for ((table, name), column) in after {
        let is_new = !before.contains_key(&(table.clone(), name.clone()));
        let is_of_old_table = before.keys().any(|(known, _)| known == table);
        if is_new && is_of_old_table && column.must_be_given {
            taken.push(format!("{table}.{name} is new and has to be given"));
        }
    }
    taken
}

async fn every_step_only_adds(url: &str) {
    let db = Database::connect(url).await.expect("connected");
    let (mut before, mut rules_before) = (Catalogue::new(), Rules::new());
    for migration in Migrator::get_migration_files() {
        let name = migration.name();
        Migrator::up(&db, Some(1)).await.expect(name);
        let after = catalogue(&db).await;
        assert!(after.len() > before.len() || name.contains(CONTRACT), "{name} is seen: {after:?}");
        let taken = taken(&before, &after);
        assert!(taken.is_empty() || name.contains(CONTRACT), "{name} takes away: {taken:#?}");
        let rules_after = rules(&db).await;
        let columns = before.keys().cloned().collect();
        let bound = bound(&rules_before, &rules_after, &columns, name);
        assert!(bound.is_empty() || name.contains(CONTRACT), "{name} binds: {bound:#?}");
        (before, rules_before) = (after, rules_after);
    }
    let (binding, harmless) = samples(db.get_database_backend());
    for (statement, binds) in
        harmless.iter().map(|it| (it, false)).chain(binding.iter().map(|it| (it, true)))
    {
        db.execute_unprepared(statement).await.expect("done");
        let (after, rules_after) = (catalogue(&db).await, rules(&db).await);
        let columns = before.keys().cloned().collect();
        let bound = bound(&rules_before, &rules_after, &columns, statement);
        assert_eq!(!bound.is_empty(), binds, "{statement}: {bound:?}");
        (before, rules_before) = (after, rules_after);
    }
    // The comparison must find each of these changes.
    for statement in [
        "ALTER TABLE users RENAME COLUMN name TO called",
        "ALTER TABLE signing_keys DROP COLUMN revoked_at",
        "DROP TABLE revoked_tokens",
    ] {
        db.execute_unprepared(statement).await.expect("done");
        let after = catalogue(&db).await;
        assert!(!taken(&before, &after).is_empty(), "{statement}");
        before = after;
    }
    db.close().await.expect("closed");
}

#[tokio::test]
async fn every_migration_only_adds_on_servers() {
    let database = TestDatabase::create().await;
    Box::pin(every_step_only_adds(&database.url())).await;
}

#[tokio::test]
async fn every_migration_only_adds_embedded() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("latchkey.db");
    Box::pin(every_step_only_adds(&format!("sqlite://{}?mode=rwc", file.display()))).await;
}

/// Returns a place that uses PostgreSQL and Redis, and a connection to its database.
async fn on_servers() -> (Place, TestDatabase, DatabaseConnection) {
    let database = TestDatabase::create().await;
    let place = Place::new()
        .set("database.url", &database.url())
        .set("redis.url", &redis_space().await)
        .set("secrets.master_key", &"A".repeat(43));
    place.run(&["migrate", "up"]).expect(0);
    let db = Database::connect(&database.url()).await.expect("connected");
    (place, database, db)
}

/// Drops every table and function of the database.
async fn drop_all(db: &DatabaseConnection) {
    let sql = "DO $$ DECLARE name text; BEGIN \
        FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = current_schema() LOOP \
            EXECUTE format('DROP TABLE %I CASCADE', name); END LOOP; \
        FOR name IN SELECT oid::regprocedure FROM pg_proc \
            WHERE pronamespace = current_schema()::text::regnamespace LOOP \
            EXECUTE format('DROP FUNCTION %s CASCADE', name); END LOOP; END $$";
    db.execute_unprepared(sql).await.expect("dropped");
}

async fn becomes(operator: &Client, status: u16, word: &str) {
    eventually(word, PATIENCE, async || {
        let answer = operator.get("/readyz").await;
        (answer.status == status && answer.json()["status"] == word).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_was_written_before_a_step_is_served_after_it_on_servers() {
    let (place, _database, db) = on_servers().await;
    // The daemon has its own loopback address, so that no other program takes its ports while it is
    // stopped.
    let mut place = place.set("http.listen", "127.83.3.1:0").set("admin.listen", "127.83.3.1:0");
    let running = place.start().await;
    let mut ada = Person::register(&running.client, "ada@steps.example").await;
    let (operator, admin, client) = (running.admin(), running.admin, running.client.clone());
    let mut place = place
        .set("http.listen", &running.public.to_string())
        .set("admin.listen", &admin.to_string());
    running.stop().await;
    let steps = Migrator::get_migration_files().len();
    for step in (1..=steps).rev() {
        if step == 1 {
            // No schema is older than the baseline, so the database must be empty.
            drop_all(&db).await;
        } else {
            // This goes back to the schema before this migration and keeps the rows.
            let back = u32::try_from(steps - step + 1).expect("few");
            Migrator::down(&db, Some(back)).await.expect("stepped back");
        }
        place.run(&["migrate", "status"]).expect(3);
        let planned = place.run(&["migrate", "plan"]).expect(0).stdout();
        assert_eq!(planned.lines().count(), steps - step + 1, "{planned}");
        let mut daemon = place.spawn();
        eventually("an unready daemon", PATIENCE, async || {
            assert!(daemon.ended().is_none(), "step {step}: {}", daemon.log());
            tokio::net::TcpStream::connect(&admin).await.ok()?;
            let answer = operator.get("/readyz").await.expect(503).json();
            let word = answer["status"].as_str().expect("a word").to_owned();
            ["starting", "unmigrated"].contains(&word.as_str()).then_some(())
        })
        .await;
        place.run(&["migrate", "up"]).expect(0);
        becomes(&operator, 200, "ok").await;
        daemon.says("listening").await;
        if step == 1 {
            ada = Person::register(&client, "ada@steps.example").await;
        }
        ada.me().await.expect(200);
        ada.refresh().await.expect(200);
        ada.login().await.expect(200);
        daemon.signal("-TERM");
        assert_eq!(daemon.end(PATIENCE).await.code(), Some(0), "{}", daemon.log());
    }
}

#[tokio::test]
async fn a_release_works_beside_the_next_and_stops_beside_the_one_after_on_servers() {
    let (mut place, _database, db) = on_servers().await;
    let applied = async |name: &str, sql: &str| {
        let row =
            format!("INSERT INTO seaql_migrations (version, applied_at) VALUES ('{name}', 0)");
        for statement in [sql, &row] {
            db.execute_unprepared(statement).await.expect("applied");
        }
    };
    let running = place.start().await;
    let operator = running.admin();
    let ada = Person::register(&running.client, "ada@next.example").await;

    // A migration of the next release adds to the schema while the daemon runs.
    applied(
        "m29990101_000099_colours",
        "ALTER TABLE users ADD COLUMN colour TEXT NOT NULL DEFAULT ''",
    )
    .await;
    becomes(&operator, 200, "ok").await;
    ada.me().await.expect(200);
    Person::register(&running.client, "eve@next.example").await.me().await.expect(200);
    // Beside the running daemon, a pod of this release starts again: first its init container, then
    // its daemon.
    let again = place.run(&["migrate", "up"]).expect(0);
    assert!(again.stderr().contains("up to date"));
    place.run(&["migrate", "status"]).expect(0);
    place.run(&["users", "list"]).expect(0);
    let second = place.start().await;
    becomes(&second.admin(), 200, "ok").await;
    second.stop().await;

    // The release after the next one removes a column that this release needs.
    applied("m29990201_000100_contract_names", "ALTER TABLE users DROP COLUMN name").await;
    becomes(&operator, 503, "outdated").await;
    for command in [["migrate", "up"], ["migrate", "status"], ["users", "list"]] {
        let told = place.run(&command).expect(3).stderr();
        assert!(told.contains("too new for this release"), "{told}");
    }
    let waiting = place.spawn();
    eventually("its complaint", PATIENCE, async || {
        waiting.log().contains("m29990201_000100_contract_names").then_some(())
    })
    .await;
    assert!(waiting.line("listening").is_none());
    running.stop().await;
}

/// A database of a development version that is older than 0.1.0.
const DEVELOPMENT: [&str; 2] = [
    "CREATE TABLE seaql_migrations (version VARCHAR(255) PRIMARY KEY, applied_at BIGINT NOT NULL)",
    "INSERT INTO seaql_migrations VALUES ('m20261201_000007_store_probe', 0)",
];

async fn is_refused_and_named(place: &mut Place, url: &str) {
    let db = Database::connect(url).await.expect("connected");
    for statement in DEVELOPMENT {
        db.execute_unprepared(statement).await.expect("applied");
    }
    db.close().await.expect("closed");
    for command in [["migrate", "up"], ["migrate", "status"], ["users", "list"]] {
        let refused = place.run(&command).expect(3).stderr();
        for part in ["m20261201_000007_store_probe", "users export", "empty database"] {
            assert!(refused.contains(part), "{command:?}: {refused}");
        }
    }
    let doctor = place.run(&["doctor"]);
    assert!(doctor.stdout().contains("development version"), "{}", doctor.stdout());
}

#[tokio::test]
async fn a_database_of_a_development_version_is_refused_and_named_embedded() {
    let mut place = Place::new();
    std::fs::create_dir_all(place.path("data")).expect("made");
    let url = format!("sqlite://{}?mode=rwc", place.path("data/latchkey.db").display());
    is_refused_and_named(&mut place, &url).await;
    let mut daemon = place.spawn();
    assert_eq!(daemon.end(PATIENCE).await.code(), Some(1), "{}", daemon.log());
    assert!(daemon.log().contains("development version from before 0.1.0"), "{}", daemon.log());
    assert!(daemon.log().contains("another `data_dir`"), "{}", daemon.log());
}

#[tokio::test]
async fn a_database_of_a_development_version_is_refused_and_named_on_servers() {
    let database = TestDatabase::create().await;
    let mut place = Place::new()
        .set("database.url", &database.url())
        .set("redis.url", &redis_space().await)
        .set("secrets.master_key", &"A".repeat(43));
    is_refused_and_named(&mut place, &database.url()).await;
    let daemon = place.spawn();
    eventually("its complaint", PATIENCE, async || {
        daemon.log().contains("development version from before 0.1.0").then_some(())
    })
    .await;
}
