//! Tests of `latchkey doctor`. Every failed check has a cause, a remedy and an exit code. The
//! command creates nothing and shows no secret.

use std::os::unix::fs::PermissionsExt as _;

use sea_orm::{ConnectionTrait as _, Database};
use serde_json::{Value, json};

use super::{Ended, Place};
use crate::servers::{PrivateServer, TestDatabase, free_port, redis_space};
use crate::siteverify::Stub;
use crate::smtp::{Fault, SmtpSink, Stage};

fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| panic!("no JSON: {text}"))
}

/// Returns the results of this check, each as the text `state detail`.
fn said(ended: &Ended, check: &str) -> Vec<String> {
    let report = value(&ended.stdout());
    let all = report["checks"].as_array().expect("a list");
    let text = |it: &Value| {
        let (state, detail) = (it["state"].as_str(), it["detail"].as_str());
        let needs_remedy = matches!(state, Some("failed" | "warning"));
        assert_eq!(it["remedy"].is_string(), needs_remedy, "{it}");
        format!("{} {}", state.expect("a state"), detail.expect("a detail"))
    };
    all.iter().filter(|it| it["check"] == check).map(text).collect()
}

#[track_caller]
pub(super) fn says(ended: &Ended, check: &str, part: &str) {
    let said = said(ended, check);
    assert!(said.iter().any(|it| it.contains(part)), "{check}: no `{part}` in {said:?}");
}

pub(super) const JSON: &[&str] = &["doctor", "--json"];

#[tokio::test]
async fn before_the_first_start_nothing_fails_and_nothing_is_made_embedded() {
    let place = Place::new();
    let ended = place.run(JSON).expect(0);
    says(&ended, "database", "does not exist yet");
    says(&ended, "master key", "warning `secrets.master_key` is not set");
    says(&ended, "token store", "skipped the token store is embedded");
    says(&ended, "disk", "MiB are free");
    says(&ended, "hashing", "ok a hash takes");
    assert!(!place.path("data").exists());
    let text = place.run(&["doctor"]).expect(0).stdout();
    assert!(text.ends_with(" with a warning\n") && text.contains("> "), "{text}");
}

#[tokio::test]
async fn beside_a_daemon_all_is_well_until_others_can_read_its_files_embedded() {
    let mut place = Place::new();
    let running = place.start().await;
    let listen = (running.public.to_string(), running.admin.to_string());
    let place = place.set("http.listen", &listen.0).set("admin.listen", &listen.1);
    let ended = place.run(JSON).expect(0);
    assert_eq!(value(&ended.stdout())["failed"], 0);
    says(&ended, "database", "ok the schema is up to date");
    says(&ended, "database", "the file is not damaged");
    says(&ended, "database", "skipped there is no server whose clock can be compared");
    says(&ended, "ports", "is in use by latchkey (pid ");
    assert_eq!(said(&ended, "signing keys").len(), 4);
    says(&ended, "outbox", "ok no mail waits");
    let key = place.path("data/master.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).expect("ours");
    let ended = place.run(JSON).expect(3);
    says(&ended, "files", "has mode 644");
    let place = place.set("secrets.master_key", "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=");
    let ended = place.run(JSON).expect(3);
    says(&ended, "signing keys", "is encrypted with another master key");
    running.stop().await;
}

#[tokio::test]
async fn servers_are_looked_at_and_their_secrets_stay_on_servers() {
    let database = TestDatabase::create().await;
    let redis = redis_space().await;
    let place = Place::new()
        .set("database.url", &database.url())
        .set("redis.url", &redis)
        .set("secrets.master_key", &"A".repeat(43));
    let ended = place.run(JSON).expect(3);
    says(&ended, "database", "failed the schema lacks");
    place.run(&["migrate", "up"]).expect(0);
    let ended = place.run(JSON);
    says(&ended, "database", "ok PostgreSQL");
    says(&ended, "database", "ok connect: ");
    says(&ended, "database", "the clock of the database differs by");
    says(&ended, "token store", "ok version");
    says(&ended, "token store", "keeps no append-only file");
    says(&ended, "token store", "the clock of Redis differs by");
    says(&ended, "token store", "evicts nothing");
    ended.expect(0);
    let (gone, secret) = (free_port(), "hunter2");
    let place = place
        .set("database.url", &format!("postgres://ada:{secret}@127.0.0.1:{gone}/latchkey"))
        .set("redis.url", &format!("redis://:{secret}@127.0.0.1:{gone}"))
        .set("mail.smtp_url", &format!("smtp://ada:{secret}@127.0.0.1:{gone}"));
    let ended = place.run(JSON).expect(3);
    says(&ended, "database", "ok resolve: 127.0.0.1 is 127.0.0.1");
    says(&ended, "database", &format!("failed connect: 127.0.0.1:{gone}: Connection refused"));
    says(&ended, "token store", "failed does not respond");
    says(&ended, "smtp", "failed connect");
    says(&ended, "outbox", "skipped");
    let text = place.run(&["doctor"]).expect(3);
    let all = ended.stdout() + &ended.stderr() + &text.stdout() + &text.stderr();
    assert!(!all.contains(secret), "{all}");
    let place = place.set("database.url", &format!("postgres://ada:{secret}@nowhere.invalid/x"));
    says(&place.run(JSON).expect(3), "database", "failed resolve: nowhere.invalid: does not");
    let place = place.set("database.url", &with_user(&database.url(), "nobody-here"));
    let ended = place.run(JSON).expect(3);
    says(&ended, "database", "failed login: ");
    says(&ended, "database", "role \"***\" does not exist");
    assert!(!ended.stdout().contains("nobody-here"), "the URL's user is not shown");
}

/// Returns the URL of the same database for another user of the server.
fn with_user(url: &str, user: &str) -> String {
    let mut url = url::Url::parse(url).expect("a URL");
    url.set_username(user).expect("it has a host");
    url.into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_server_that_refuses_the_login_is_told_and_gets_no_mail() {
    let sink = SmtpSink::start().await;
    sink.require_login("ada", "hunter2");
    let place = Place::new().set("mail.smtp_url", &sink.url());
    says(&place.run(JSON).expect(0), "smtp", "ok login");
    sink.fail_at(Stage::Sender, Fault::Refuse(553));
    says(&place.run(JSON).expect(3), "smtp", "failed sender");
    sink.fail_at(Stage::Login, Fault::Refuse(535));
    let ended = place.run(JSON).expect(3);
    says(&ended, "smtp", "failed login");
    assert!(!ended.stdout().contains("hunter2"));
    assert!(sink.mails().is_empty());
}

#[tokio::test]
async fn a_port_that_another_program_has_and_a_proxy_nobody_trusts_are_told() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("bound");
    let place =
        Place::new().set("http.listen", &port.to_string()).set("public_url", "https://localhost");
    let ended = place.run(JSON).expect(3);
    says(&ended, "ports", &format!("is in use by {}", who()));
    says(&ended, "public_url", "warning a proxy is in front");
}

/// Returns the name of this test's process. The kernel shortens a long name.
fn who() -> String {
    std::fs::read_to_string("/proc/self/comm").expect("we run").trim().to_owned()
}

#[tokio::test]
async fn a_configuration_that_does_not_hold_is_exit_78_with_every_problem() {
    let place = Place::new().set("http.listen", "nowhere").set("tokens.user_ttl", "soon");
    let ended = place.run(JSON).expect(78);
    let report = value(&ended.stdout());
    assert_eq!((&report["ok"], &report["failed"]), (&json!(false), &json!(1)));
    assert_eq!(report["problems"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn a_role_needs_every_right_on_every_table_but_the_migrations_on_servers() {
    let server = PrivateServer::postgres().await;
    let key = "A".repeat(43);
    let owner = Place::new().set("database.url", &server.url()).set("secrets.master_key", &key);
    owner.run(&["migrate", "up"]).expect(0);
    let db = Database::connect(&server.url()).await.expect("connected");
    let role = with_user(&server.url(), "plain");
    let place = Place::new().set("database.url", &role).set("secrets.master_key", &key);
    for (given, is_closed) in [
        ("CREATE ROLE plain LOGIN NOBYPASSRLS", true),
        ("GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO plain", true),
        ("GRANT UPDATE ON ALL TABLES IN SCHEMA public TO plain", true),
        ("GRANT DELETE ON ALL TABLES IN SCHEMA public TO plain", true),
        ("GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO plain", false),
        ("REVOKE INSERT, UPDATE, DELETE ON seaql_migrations FROM plain", false),
        ("REVOKE DELETE ON outbox FROM plain", true),
    ] {
        db.execute_unprepared(given).await.expect(given);
        let said = said(&place.run(JSON), "database");
        let closed = said.iter().find(|it| it.starts_with("failed the role plain may not use: "));
        assert_eq!(closed.is_some(), is_closed, "{given}: {said:?}");
        let two = "ok two roles: postgres owns the tables, plain serves";
        assert!(said.iter().any(|it| it.starts_with(two)), "{said:?}");
    }
    says(&place.run(JSON), "database", "failed the role plain may not use: outbox");
    db.close().await.expect("closed");
}

#[tokio::test]
async fn a_configuration_file_with_a_secret_that_others_read_is_told_embedded() {
    let place = Place::new();
    let file = place.path("latchkey.toml");
    std::fs::write(&file, "mail.smtp_url = 'smtp://ada:hunter2@127.0.0.1:9'").expect("written");
    let may = |mode| std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(&file, may(0o666)).expect("ours");
    let checked = place.run(&["config", "check"]).expect(0).stderr();
    assert!(checked.contains("chmod o-rw latchkey.toml"), "{checked}");
    let ended = place.run(JSON);
    says(&ended, "files", "warning latchkey.toml has mode 666");
    says(&ended, "configuration", "warning latchkey.toml: contains `mail.smtp_url`");
    assert!(!(ended.stdout() + &ended.stderr() + &checked).contains("hunter2"));
    std::fs::set_permissions(&file, may(0o640)).expect("ours");
    says(&place.run(JSON), "files", "ok latchkey.toml has mode 640");
    std::fs::set_permissions(&file, may(0o644)).expect("ours");
    let place = place.set("profile", "production").set("public_url", "https://auth.example.com");
    let told = place.run(&["config", "check"]).expect(78).stderr();
    assert!(told.contains("chmod o-rw latchkey.toml"), "{told}");
}

#[tokio::test]
async fn a_database_apart_from_the_data_has_its_own_disk_looked_at_embedded() {
    let place = Place::new().set("database.url", "sqlite:///dev/shm/latchkey-that-is-not-there.db");
    let said = said(&place.run(JSON).expect(0), "disk");
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].ends_with("MiB are free at /dev/shm"), "{said:?}");
}

#[tokio::test]
async fn a_superuser_is_told_that_row_level_security_does_not_hold_it_on_servers() {
    let server = PrivateServer::postgres().await;
    let place =
        Place::new().set("database.url", &server.url()).set("secrets.master_key", &"A".repeat(43));
    place.run(&["migrate", "up"]).expect(0);
    let ended = place.run(JSON).expect(0);
    says(&ended, "database", "warning the role is a superuser or has BYPASSRLS");
    // The daemon logs the same warning at each start.
    let mut place = place;
    let log = place.start().await.stop().await;
    assert!(log.contains("the database role is a superuser or has BYPASSRLS"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_never_answers_costs_a_check_and_not_the_doctor() {
    let sink = SmtpSink::start().await;
    sink.fail_at(Stage::Connect, Fault::Stall);
    let place = Place::new().set("mail.smtp_url", &sink.url());
    let ended = place.run(JSON).expect(3);
    says(&ended, "smtp", "failed connect: no response within 10 s");
    says(&ended, "disk", "MiB are free");
}

#[tokio::test]
async fn a_certificate_of_another_name_or_another_key_is_told() {
    let place = Place::new().set("public_url", "https://auth.example");
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("made");
    std::fs::write(place.path("tls.crt"), made.cert.pem()).expect("written");
    std::fs::write(place.path("tls.key"), made.signing_key.serialize_pem()).expect("written");
    let (cert, key) = (place.path("tls.crt"), place.path("tls.key"));
    let place = place
        .set("http.tls.cert", &cert.display().to_string())
        .set("http.tls.key", &key.display().to_string());
    let ended = place.run(JSON).expect(3);
    says(&ended, "tls", "failed the certificate is not for auth.example");
    let other = rcgen::KeyPair::generate().expect("made");
    std::fs::write(&key, other.serialize_pem()).expect("written");
    let ended = place.run(JSON).expect(3);
    assert_eq!(said(&ended, "tls").len(), 1, "nothing can be served");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_captcha_vendor_is_asked_whether_it_knows_the_secret() {
    let stub = Stub::start().await;
    let place = Place::new()
        .set("captcha.provider", "turnstile")
        .set("captcha.secret", "hunter2-of-the-vendor")
        .set("captcha.site_key", "the-site-key")
        .set("captcha.hostnames", "localhost")
        .set("captcha.verify_url", &stub.url("/siteverify"));
    let no = |code: &str| json!({ "success": false, "error-codes": [code] });
    stub.says_json(&no("invalid-input-response"));
    says(&place.run(JSON).expect(0), "captcha", "ok turnstile responds and knows the secret");
    assert_eq!(stub.asked()[0].field("secret"), Some("hunter2-of-the-vendor"));
    stub.says_json(&no("invalid-input-secret"));
    let ended = place.run(JSON).expect(3);
    says(&ended, "captcha", "failed turnstile rejects the settings: invalid-input-secret");
    assert!(!(ended.stdout() + &ended.stderr()).contains("hunter2"));
}
