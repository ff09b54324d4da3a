//! A test of a daemon whose PostgreSQL role owns no table. The role has the rights in
//! docs/secure.md and no other rights.

use sea_orm::{ConnectionTrait as _, Database};

use super::Place;
use crate::client::Person;
use crate::servers::PrivateServer;

/// Returns the SQL statements in docs/secure.md.
fn statements() -> &'static str {
    let page = include_str!("../../../docs/secure.md");
    let (_, block) = page.split_once("```sql\n").expect("a block of SQL");
    block.split_once("```").expect("its end").0
}

/// Returns the URL of the same server for another user.
fn as_user(url: &str, user: &str) -> String {
    let (_, host) = url.rsplit_once('@').expect("a URL with a user");
    format!("postgres://{user}@{host}")
}

#[tokio::test]
async fn a_role_with_the_documented_rights_serves_and_keeps_them_after_a_migration_on_servers() {
    let server = PrivateServer::postgres().await;
    let database = server.url().rsplit_once('/').expect("a database").1.to_owned();
    server.sql("CREATE ROLE latchkey LOGIN NOBYPASSRLS").await;
    server.sql(&format!("ALTER DATABASE {database} OWNER TO latchkey")).await;
    server.sql("GRANT CREATE ON SCHEMA public TO latchkey").await;
    let owner = as_user(&server.url(), "latchkey");
    let key = "A".repeat(43);
    let place = |url: &str| Place::new().set("database.url", url).set("secrets.master_key", &key);
    place(&owner).run(&["migrate", "up"]).expect(0);
    server.sql(statements()).await;

    // A later release adds a table.
    let connection = Database::connect(&owner).await.expect("connected");
    connection.execute_unprepared("CREATE TABLE later (id bigint)").await.expect("created");
    connection.close().await.expect("closed");

    let serving = as_user(&server.url(), "latchkey_serve");
    let doctor = place(&serving).run(&["doctor"]).stdout();
    assert!(!doctor.contains("may not read or write"), "{doctor}");
    let connection = Database::connect(&serving).await.expect("connected");
    connection.execute_unprepared("INSERT INTO later VALUES (1)").await.expect("default rights");
    connection.execute_unprepared("DROP TABLE later").await.expect_err("it owns nothing");
    connection.close().await.expect("closed");

    let mut place = place(&serving).set("captcha.provider", "none");
    let running = place.start().await;
    let mut ada = Person::register(&running.client, "ada@serving.example").await;
    let mail = running.mail_to(&ada.email, 0).await;
    ada.verify(mail.token()).await.expect(200);
    ada.login().await.expect(200);
    let ready = running.admin().get("/readyz").await.expect(200).json();
    assert_eq!(ready["status"], "ok", "{ready}");
    running.stop().await;
}
