//! Tests of a daemon whose PostgreSQL role owns no table. The role has the rights in docs/secure.md
//! and no other rights.

use sea_orm::ConnectionTrait as _;

use super::Place;
use crate::client::Person;
use crate::installation::{Installation, Roles, Route, as_user, statements_for_two_roles};
use crate::servers::{PrivateServer, connect};

/// Returns a place with these settings and a master key.
fn place(settings: &[(&str, &str)]) -> Place {
    let place = Place::new().set("secrets.master_key", &"A".repeat(43));
    settings.iter().fold(place, |place, (key, value)| place.set(key, value))
}

#[tokio::test]
async fn an_installation_with_one_role_gets_a_second_role_that_migrates_on_servers() {
    let server = PrivateServer::postgres().await;
    server.sql("CREATE ROLE latchkey LOGIN NOBYPASSRLS").await;
    server.sql("ALTER DATABASE postgres OWNER TO latchkey").await;
    let serving = as_user(&server.url(), "latchkey");
    place(&[("database.url", &serving)]).run(&["migrate", "up"]).expect(0);
    let doctor = place(&[("database.url", &serving)]).run(&["doctor"]).stdout();
    assert!(doctor.contains("one role: latchkey owns the tables that it serves"), "{doctor}");
    server.sql(&statements_for_two_roles("postgres")).await;

    // `latchkey migrate` needs the URL of the owner, and no other setting: no `database.url` and no
    // secret of the daemon.
    let owner = as_user(&server.url(), "latchkey_owner");
    let migrating =
        || Place::new().set("profile", "production").set("database.migrate_url", &owner);
    migrating().run(&["migrate", "status"]).expect(0);
    let wrong = owner
        .replace("latchkey_owner@", "latchkey_owner:hunter2@")
        .replace(":hunter2@127.0.0.1:", ":hunter2@127.0.0.1:1");
    let ended = migrating().set("database.migrate_url", &wrong).run(&["migrate", "up"]);
    assert!(!(ended.stdout() + &ended.stderr()).contains("hunter2"), "the owner's password");
    migrating().run(&["migrate", "up"]).expect(0);
    // A later release adds a table.
    let connection = connect(&owner).await.expect("connected");
    connection.execute_unprepared("CREATE TABLE later (id bigint)").await.expect("created");
    connection.close().await.expect("closed");

    let doctor = place(&[("database.url", &serving)]).run(&["doctor"]).stdout();
    assert!(doctor.contains("two roles: latchkey_owner owns the tables, latchkey serves"));
    assert!(!doctor.contains("may not use") && !doctor.contains("may create"), "{doctor}");
    server.sql("ALTER ROLE latchkey CONNECTION LIMIT 10").await;
    let doctor = place(&[("database.url", &serving)]).run(&["doctor"]).stdout();
    assert!(doctor.contains("may open 20 connections, but the role may have 10"), "{doctor}");
    server.sql("ALTER ROLE latchkey CONNECTION LIMIT -1").await;
    let connection = connect(&serving).await.expect("connected");
    connection.execute_unprepared("INSERT INTO later VALUES (1)").await.expect("default rights");
    connection.execute_unprepared("DROP TABLE later").await.expect_err("it owns nothing");
    connection.close().await.expect("closed");

    let mut place = place(&[("database.url", &serving), ("captcha.provider", "none")]);
    let running = place.start().await;
    let mut ada = Person::register(&running.client, "ada@serving.example").await;
    let mail = running.mail_to(&ada.email, 0).await;
    ada.verify(mail.token()).await.expect(200);
    ada.login().await.expect(200);
    let ready = running.admin().get("/readyz").await.expect(200).json();
    assert_eq!(ready["status"], "ok", "{ready}");
    running.stop().await;
}

#[tokio::test]
async fn the_serving_role_cannot_switch_off_what_separates_teams_and_protects_the_audit_on_servers()
{
    let installation = Installation::create(Roles::Two, Route::Direct).await;
    let serving = connect(&installation.serving).await.expect("connected");
    for statement in [
        "ALTER TABLE teams NO FORCE ROW LEVEL SECURITY",
        "ALTER TABLE memberships DISABLE ROW LEVEL SECURITY",
        "DROP POLICY teams_of_team ON teams",
        "CREATE POLICY all_of_it ON teams USING (true)",
        "ALTER TABLE audit_events DISABLE TRIGGER ALL",
        "TRUNCATE audit_events",
        "DROP TABLE users",
        "DELETE FROM seaql_migrations",
        "CREATE TEMP TABLE audit_streams (id text, base_seq bigint)",
        "CREATE TABLE mine (id int)",
        "CREATE OR REPLACE FUNCTION latchkey_team() RETURNS uuid LANGUAGE sql AS $$ SELECT null::uuid $$",
        "SET ROLE latchkey_owner",
    ] {
        serving.execute_unprepared(statement).await.expect_err(statement);
    }
    serving.close().await.expect("closed");
}

/// The functions of the checks run with the owner's rights, so a caller must not be able to choose
/// what they read or run.
#[tokio::test]
async fn the_owners_functions_read_only_the_owners_tables_for_the_serving_role_alone_on_servers() {
    let installation = Installation::create(Roles::Two, Route::Direct).await;
    let superuser = connect(&installation.superuser).await.expect("connected");
    let allowed = "GRANT TEMPORARY ON DATABASE postgres TO latchkey";
    superuser.execute_unprepared(allowed).await.expect("allowed");
    let serving = connect(&installation.serving).await.expect("connected");
    let own = uuid::Uuid::from_u128(7);
    let membership = format!("SELECT * FROM latchkey_membership('{own}', NULL, NULL)");
    for statement in [
        "CREATE TEMP TABLE memberships (LIKE public.memberships)".to_owned(),
        format!(
            "INSERT INTO pg_temp.memberships VALUES ('{own}', '{own}', '{own}', 'owner', 0, 0, NULL, 0)"
        ),
        "CREATE TEMP TABLE teams (LIKE public.teams)".to_owned(),
        format!("INSERT INTO pg_temp.teams VALUES ('{own}', 'x', 'x', 'active', FALSE, 0, 0, 0)"),
        "GRANT ALL ON pg_temp.memberships, pg_temp.teams TO PUBLIC".to_owned(),
    ] {
        serving.execute_unprepared(&statement).await.expect("its own tables");
    }
    let read = serving.execute_unprepared(&membership).await.expect("it may call the function");
    assert_eq!(read.rows_affected(), 0, "a temporary table is not read");

    for statement in [
        "INSERT INTO public.audit_streams VALUES (gen_random_uuid(), 'team', NULL, NULL, 1, 0, '', '', \
         '', 0, '', '', '', 0, 0)",
        "INSERT INTO public.audit_events SELECT gen_random_uuid(), id, 1, 0, 'x', 'success', 'x', 'x', \
         NULL, NULL, '{}', 'x', '' FROM public.audit_streams",
        "CREATE TEMP TABLE audit_streams AS SELECT id, 1000000::bigint AS base_seq \
         FROM public.audit_streams",
    ] {
        serving.execute_unprepared(statement).await.expect(statement);
    }
    let refused = serving.execute_unprepared("DELETE FROM audit_events").await;
    let refused = refused.expect_err("the trigger reads the table of the owner");
    assert!(refused.to_string().contains("until their retention ends"), "{refused}");
    serving.close().await.expect("closed");

    superuser.execute_unprepared("CREATE ROLE other LOGIN").await.expect("created");
    superuser.close().await.expect("closed");
    let other = as_user(&installation.superuser, "other");
    let other = connect(&other).await.expect("connected");
    for statement in [membership, format!("SELECT * FROM latchkey_project_key('{own}')")] {
        let refused = other.execute_unprepared(&statement).await.expect_err("another role");
        assert!(refused.to_string().contains("permission denied"), "{refused}");
    }
    other.close().await.expect("closed");
}
