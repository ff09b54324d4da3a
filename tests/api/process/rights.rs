//! Tests of databases that cannot be used as they are: the role lacks a right, or the encoding is
//! not UTF-8. The output says what to run.

use super::{PATIENCE, Place};
use crate::poll::eventually;
use crate::servers::{PrivateServer, TestDatabase};

fn place(url: &str) -> Place {
    Place::new().set("database.url", url).set("secrets.master_key", &"A".repeat(43))
}

/// The URL of another role.
fn as_role(server: &PrivateServer, role: &str) -> String {
    server.url().replace("postgres@", &format!("{role}@"))
}

/// Runs a command until it succeeds. After each failure it runs the statement that the output
/// names. Returns these statements.
async fn granted(server: &PrivateServer, place: &Place, arguments: &[&str]) -> Vec<String> {
    let mut statements = Vec::new();
    while statements.len() < 4 {
        let ended = place.run(arguments);
        if ended.code() == Some(0) {
            return statements;
        }
        let told = ended.expect(1).stderr();
        assert!(!told.contains("at line"), "a line of PostgreSQL's source: {told}");
        let (_, statement) = told.split_once("GRANT ").unwrap_or_else(|| panic!("{told}"));
        let statement = format!("GRANT {}", statement.trim());
        server.sql(&statement).await;
        statements.push(statement);
    }
    panic!("{statements:?} are not enough");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_missing_right_is_named_with_its_statement_on_servers() {
    let server = PrivateServer::postgres().await;
    for sql in [
        "CREATE ROLE \"the owner\" LOGIN",
        "CREATE ROLE serving LOGIN",
        "REVOKE ALL ON SCHEMA public FROM PUBLIC",
    ] {
        server.sql(sql).await;
    }
    let owner = place(&as_role(&server, "the%20owner"));
    let serving = place(&as_role(&server, "serving")).set("captcha.provider", "none");
    assert_eq!(
        granted(&server, &owner, &["migrate", "up"]).await,
        ["GRANT CREATE, USAGE ON SCHEMA public TO \"the owner\""]
    );

    let mut waiting = serving;
    let daemon = waiting.spawn();
    daemon.says("waiting for the database").await;
    let said = daemon.line("waiting for the database").expect("said").to_string();
    assert!(said.contains("GRANT USAGE ON SCHEMA public TO serving"), "{said}");
    assert!(!said.contains("does not exist"), "{said}");
    let told = waiting.run(&["doctor"]).expect(3).stdout();
    assert!(told.contains("GRANT USAGE ON SCHEMA public TO serving"), "{told}");
    assert_eq!(
        granted(&server, &waiting, &["users", "list"]).await,
        [
            "GRANT USAGE ON SCHEMA public TO serving",
            "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO serving",
        ]
    );
    // The start needs no function, but requests do.
    let grant = "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO serving";
    eventually("the missing grant", PATIENCE, async || {
        std::fs::read_to_string(&daemon.log).ok().filter(|text| text.contains(grant)).map(drop)
    })
    .await;
    assert!(waiting.run(&["doctor"]).expect(3).stdout().contains("latchkey_membership()"));
    server.sql(grant).await;
    daemon.says("listening").await;
    drop(daemon);

    server.sql("REVOKE ALL ON signing_keys FROM serving").await;
    let daemon = waiting.spawn();
    daemon.says("waiting for the database").await;
    let said = daemon.line("waiting for the database").expect("said").to_string();
    let grant = "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO serving";
    assert!(said.contains(grant) && said.contains("no-permission"), "{said}");
}

#[tokio::test]
async fn a_database_that_is_not_utf_8_is_refused_everywhere_on_servers() {
    let server = PrivateServer::postgres().await;
    for encoding in ["LATIN1", "SQL_ASCII"] {
        let name = encoding.to_lowercase();
        server
            .sql(&format!(
                "CREATE DATABASE {name} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' \
                 TEMPLATE template0"
            ))
            .await;
        let url = server.url().replace("/postgres", &format!("/{name}"));
        let url = url.replace(&format!("//{name}"), "//postgres");
        let place = place(&url).set("database.auto_migrate", "true");
        let commands: [(&[&str], i32); 5] = [
            (&["migrate", "up"], 78),
            (&["migrate", "status"], 78),
            (&["users", "list"], 78),
            (&["doctor"], 3),
            (&[], 78),
        ];
        for (arguments, code) in commands {
            let ended = place.run(arguments).expect(code);
            let told = ended.stdout() + &ended.stderr();
            for part in ["not UTF-8", "createdb -E UTF8 -T template0"] {
                assert!(told.contains(part), "{arguments:?}: no `{part}` in: {told}");
            }
        }
    }
}

#[tokio::test]
async fn values_that_postgresql_cannot_store_are_no_outage_on_servers() {
    use latchkey::config::Database;
    use latchkey::database::Db;
    use latchkey::problem::{Code, Problem};
    use sea_orm::ConnectionTrait as _;
    let database = TestDatabase::create().await;
    let db = Db::connect(&Database::at(&database.url())).await.expect("connected");
    for sql in [
        "SELECT convert_from('\\xff'::bytea, 'UTF8')",
        "SELECT convert_to(U&'\\0142', 'LATIN1')",
        "SELECT 'x'::text::bigint",
    ] {
        let error = db.reader().execute_unprepared(sql).await.expect_err(sql);
        assert!(!error.to_string().contains("at line"), "{error}");
        let problem = Problem::from(error);
        assert_eq!((problem.code, problem.retry_after), (Code::InternalError, None), "{sql}");
    }
    let error = db.reader().execute_unprepared("SELECT nothing").await.expect_err("no column");
    assert_eq!(Problem::from(error).retry_after, Some(1));
}
