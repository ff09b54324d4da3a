//! Tests of the start of the daemon: its first log lines, its files, missing requirements, and
//! obstacles.

use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;

use super::{Daemon, PATIENCE, PROGRAM, Place, mode};
use crate::client::Client;
use crate::client::Person;
use crate::poll::eventually;
use crate::postgres::{as_account, copy_program};
use crate::servers::{PrivateServer, Signal, TestDatabase, free_port};

#[tokio::test]
async fn the_first_start_greets_and_keeps_its_files_to_itself_embedded() {
    let mut place = Place::new().set("public_url", "http://127.0.0.1:8080");
    let running = place.start().await;
    let ready = running.admin().get("/readyz").await.expect(200).json();
    assert_eq!(ready["status"], "ok");
    assert_eq!(ready["dependencies"], json!({ "database": "up", "tokenStore": "up" }));
    running.admin().get("/livez").await.expect(200);
    eventually("the greeting", PATIENCE, async || {
        running.daemon.log().contains("Try:").then_some(())
    })
    .await;
    let log = running.daemon.log();
    for said in [
        "development mode",
        "http://127.0.0.1:8080/dev/mailbox, with the key in ./data/mailbox-key",
        "http://127.0.0.1:8080/docs",
        &format!("http://{}/readyz", running.admin),
        "curl -s http://127.0.0.1:8080/api/register",
        "nothing leaves this machine",
        "the embedded database (SQLite) is in use",
        "the embedded token store is in use",
        "the built-in mailbox",
    ] {
        assert!(log.contains(said), "no `{said}` in {log}");
    }

    let person = Person::register(&running.client, "ada@start.example").await;
    running.mail_to(&person.email, 0).await;
    assert_eq!(mode(&place.path("data")), 0o700);
    assert_eq!(mode(&place.path("data/master.key")), 0o600);
    assert_eq!(mode(&place.path("data/latchkey.db")), 0o600);
    assert_eq!(mode(&place.path("data/mailbox-key")), 0o600);
    for beside in ["data/latchkey.db-wal", "data/latchkey.db-shm"] {
        let beside = place.path(beside);
        assert!(!beside.exists() || mode(&beside) == 0o600, "{}", beside.display());
    }
    assert_eq!(mode(&place.path("data/mailbox")), 0o700);
    for mail in std::fs::read_dir(place.path("data/mailbox")).expect("a folder").flatten() {
        assert_eq!(mode(&mail.path()), 0o600, "{}", mail.path().display());
    }
}

#[tokio::test]
async fn a_restart_keeps_users_sessions_and_keys_embedded() {
    let mut place = Place::new();
    let running = place.start().await;
    let person = Person::register(&running.client, "ada@restart.example").await;
    let keys = running.client.get("/.well-known/jwks.json").await.expect(200).json();
    running.stop().await;
    let again = place.start().await;
    let me = again.client.bearer(&person.user_token).get("/api/me").await.expect(200).json();
    assert_eq!(me["email"], "ada@restart.example");
    again.client.bearer(&person.user_token).get("/api/refresh").await.expect(200);
    again.anonymous().login(&person.email, &person.password).await.expect(200);
    let same = again.client.get("/.well-known/jwks.json").await.expect(200).json();
    assert_eq!(same, keys);
    again.stop().await;
}

#[tokio::test]
async fn it_waits_for_a_database_that_comes_later_on_servers() {
    let mut postgres = PrivateServer::postgres().await;
    postgres.signal(Signal::Quit);
    let admin = format!("127.0.0.1:{}", free_port());
    let public = format!("127.0.0.1:{}", free_port());
    let mut place = Place::new()
        .set("admin.listen", &admin)
        .set("http.listen", &public)
        .set("database.url", &postgres.url())
        .set("database.auto_migrate", "true")
        .set("secrets.master_key", &"A".repeat(43));
    let mut daemon = place.spawn();
    daemon.says("waiting for the database").await;
    let line = daemon.line("waiting for the database").expect("said").to_string();
    for word in ["\"unreachable\"", "check that the server runs", "refused", "restart the daemon"] {
        assert!(line.contains(word), "no `{word}` in {line}");
    }
    let operator = Client::new(admin.parse().expect("an address"));
    let ready = operator.get("/readyz").await.expect(503).json();
    assert_eq!(
        (&ready["status"], &ready["reasons"]["database"]),
        (&"starting".into(), &"unreachable".into())
    );
    let metrics = operator.get("/metrics").await.expect(200).text();
    let not_writable = "latchkey_store_writable{store=\"database\"} 0\n";
    assert!(metrics.contains(not_writable), "{metrics}");
    let client = Client::new(public.parse().expect("an address"));
    let refused = client.get("/api/me").await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("5")));
    assert_eq!(refused.json()["code"], "dependency-unavailable");
    operator.get("/livez").await.expect(200);
    postgres.restart().await;
    eventually("readiness", PATIENCE, async || {
        assert!(daemon.ended().is_none(), "{}", daemon.log());
        (operator.get("/readyz").await.status == 200).then_some(())
    })
    .await;
    client.get("/api/me").await.expect(401);
    assert_eq!(daemon.log().matches("\"unreachable\"").count(), 1, "once: {}", daemon.log());
}

#[tokio::test]
async fn a_schema_that_is_behind_is_waited_for_and_never_changed_unasked_on_servers() {
    let database = TestDatabase::create().await;
    let admin = format!("127.0.0.1:{}", free_port());
    let mut place = Place::new()
        .set("admin.listen", &admin)
        .set("database.url", &database.url())
        .set("secrets.master_key", &"A".repeat(43));
    let daemon = place.spawn();
    daemon.says("waiting for the database").await;
    assert!(daemon.log().contains("latchkey migrate up"), "{}", daemon.log());
    let operator = Client::new(admin.parse().expect("an address"));
    let ready = operator.get("/readyz").await.expect(503).json();
    assert_eq!(ready["status"], "unmigrated");
    place.run(&["migrate", "status"]).expect(3);
    place.run(&["migrate", "up"]).expect(0);
    eventually("readiness", PATIENCE, async || {
        (operator.get("/readyz").await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_taken_port_is_told_by_its_holder_embedded() {
    let mut first = Place::new();
    let running = first.start().await;
    for (setting, variable, taken) in [
        ("http.listen", "LATCHKEY_HTTP__LISTEN", running.public),
        ("admin.listen", "LATCHKEY_ADMIN__LISTEN", running.admin),
    ] {
        let second = Place::new().set(setting, &taken.to_string());
        let ended = second.run(&[]).expect(1);
        let told = ended.stderr();
        for part in [
            format!("cannot listen on {taken}"),
            format!("latchkey (pid {})", running.daemon.child.id()),
            format!("set `{setting}`, for example {variable}=127.0.0.1:"),
        ] {
            assert!(told.contains(&part), "no `{part}` in: {told}");
        }
        assert!(!second.path("data").exists(), "nothing was made before the port was had");
    }
}

#[tokio::test]
async fn every_wrong_setting_is_told_at_once_and_nothing_starts() {
    let place = Place::new()
        .set("http.listen", "nowhere")
        .set("tokens.user_ttl", "3 days")
        .set("tokens.acces_ttl", "5m")
        .set("secrets.master_key", "short-and-secret")
        .set("captcha.provider", "riddle");
    for arguments in [&[][..], &["config", "check"], &["migrate", "up"]] {
        let ended = place.run(arguments).expect(78);
        let told = ended.stderr();
        assert!(told.contains("5 problems"), "{told}");
        for part in [
            "http.listen",
            "tokens.user_ttl",
            "acces_ttl",
            "secrets.master_key",
            "captcha.provider",
        ] {
            assert!(told.to_lowercase().contains(part), "no `{part}` in: {told}");
        }
        assert!(!told.contains("short-and-secret"), "a secret is told: {told}");
    }
    assert!(!place.path("data").exists());
}

#[tokio::test]
async fn production_refuses_what_is_for_development() {
    let place = Place::new().set("profile", "production").set("public_url", "http://auth.example");
    let told = place.run(&[]).expect(78).stderr();
    for part in ["mail.smtp_url", "public_url", "password"] {
        assert!(told.contains(part), "no `{part}` in: {told}");
    }
}

#[tokio::test]
async fn production_refuses_connections_without_verified_tls_unless_the_operator_allows_them() {
    let place = Place::new()
        .set("profile", "production")
        .set("public_url", "https://auth.example.com")
        .set("password.memory_kib", "19456")
        .set("password.iterations", "2")
        .set("secrets.master_key", "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=")
        .set("database.url", "postgres://u:hunter2@192.0.2.7/x?sslmode=require")
        .set("redis.url", "redis://:hunter2@192.0.2.7")
        .set("mail.smtp_url", "smtp://u:hunter2@192.0.2.7:25");
    let parts =
        [("database", "sslmode=verify-full"), ("redis", "rediss://"), ("mail", "?tls=required")];
    for arguments in [&[][..], &["config", "check"], &["doctor"], &["migrate", "up"]] {
        let told = place.run(arguments).expect(78).stderr();
        assert!(told.contains("3 problems") && !told.contains("hunter2"), "{told}");
        for (section, instead) in parts {
            let allowed_by = format!("`{section}.tls_required`");
            assert!(told.contains(instead) && told.contains(&allowed_by), "{told}");
        }
    }
    let allowed = parts
        .into_iter()
        .fold(place, |place, (section, _)| place.set(&format!("{section}.tls_required"), "false"));
    let told = allowed.run(&["config", "check"]).expect(0).stderr();
    for key in ["database.url", "redis.url", "mail.smtp_url"] {
        assert!(told.contains(key), "no warning of {key} in: {told}");
    }
    let mut allowed =
        allowed.set("redis.url", "redis://redis.invalid").set("mail.smtp_url", "smtps://a");
    allowed = allowed.set("database.url", "sqlite://x.db");
    let running = allowed.start().await;
    assert!(running.stop().await.contains("sends the password and sessions without encryption"));
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_named_at_the_start_embedded() {
    let cases: [(&str, &str, &str); 8] = [
        ("data_dir", "text", "text"),
        ("data_dir", "text/data", "text/data"),
        ("data_dir", "folder-as-key", "folder-as-key/master.key"),
        ("data_dir", "file-as-mailbox", "file-as-mailbox/mailbox"),
        ("database.url", "sqlite://nowhere/x.db", "nowhere/x.db"),
        ("database.url", "sqlite://folder-as-key", "folder-as-key"),
        ("database.url", "sqlite://text", "text"),
        ("secrets.master_key_file", "nowhere/key", "secrets.master_key_file"),
    ];
    for (setting, value, named) in cases {
        let place = Place::new().set(setting, value);
        std::fs::write(place.path("text"), "not a database, and long enough to be read as one")
            .expect("written");
        std::fs::create_dir_all(place.path("folder-as-key/master.key")).expect("created");
        std::fs::create_dir(place.path("file-as-mailbox")).expect("created");
        std::fs::write(place.path("file-as-mailbox/mailbox"), "").expect("written");
        let told = place.run(&[]).expect(78).stderr();
        let told = told.lines().last().unwrap_or_default();
        assert!(told.contains(named), "{setting} {value}: no `{named}` in: {told}");
    }
    let place = Place::new()
        .set("http.tls.cert", "nowhere/tls.crt")
        .set("http.tls.key", "nowhere/tls.key")
        .set("public_url", "https://localhost");
    let told = place.run(&[]).expect(78).stderr();
    assert!(told.contains("nowhere/tls.crt"), "{told}");
    let told = Place::new().run(&["--config", "nowhere.toml"]).expect(78).stderr();
    assert!(told.contains("nowhere.toml"), "{told}");
}

/// A command of a Unix user that is not root.
fn of_another_user(place: &Place, arguments: &[&str]) -> Command {
    let mut command = as_account(&copy_program(Path::new(PROGRAM), place.directory.path()));
    command.args(arguments).current_dir(place.directory.path()).stdin(Stdio::null());
    command.env_clear().envs(place.settings.iter().map(|(name, value)| (name, value)));
    command
}

/// Starts the daemon as a Unix user that is not root, and waits until it listens.
async fn start_as_another_user(place: &Place) -> Daemon {
    let log = place.path("stderr");
    let mut command = of_another_user(place, &[]);
    command.stdout(Stdio::null()).stderr(File::create(&log).expect("a log"));
    let daemon = Daemon { child: command.spawn().expect("the program runs"), log };
    daemon.says("listening").await;
    daemon
}

/// The kernel hides the sockets of a process without core dumps from the other processes of its
/// user.
#[tokio::test]
async fn doctor_does_not_advise_to_run_as_the_user_of_the_daemon() {
    let place = Place::new()
        .set("http.listen", &format!("127.0.0.1:{}", free_port()))
        .set("admin.listen", &format!("127.0.0.1:{}", free_port()));
    let _daemon = start_as_another_user(&place).await;
    let output = of_another_user(&place, &["doctor"]).output().expect("the program runs");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.contains("is in use by a process that this user cannot see"), "{told}");
    assert!(told.contains("sudo ss -ltnp") && told.contains("/livez"), "{told}");
    assert!(!told.contains("run doctor as"), "{told}");
}

/// The owner of a file in `/proc/PID` is root if other processes of the user must not read the
/// memory of the process. The daemon runs as another Unix user than root, because the files of a
/// process of root always belong to root.
#[tokio::test]
async fn the_daemon_leaves_no_core_dump() {
    let place = Place::new();
    let daemon = start_as_another_user(&place).await;
    let of_daemon = PathBuf::from(format!("/proc/{}", daemon.child.id()));
    let limits = std::fs::read_to_string(of_daemon.join("limits")).expect("limits");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a line");
    let values: Vec<&str> = core.split_ascii_whitespace().skip(4).take(2).collect();
    assert_eq!(values, ["0", "0"], "soft and hard: {core}");
    let status = std::fs::read_to_string(of_daemon.join("status")).expect("a status");
    let user = status.lines().find_map(|line| line.strip_prefix("Uid:")).expect("a user");
    assert_ne!(user.split_ascii_whitespace().next(), Some("0"), "not root: {user}");
    let owner = std::fs::metadata(of_daemon.join("environ")).expect("it runs").uid();
    assert_eq!(owner, 0, "other processes of the user can read the memory");
}

#[test]
fn a_release_build_checks_for_overflows() {
    let manifest = include_str!("../../../Cargo.toml");
    let (_, release) = manifest.split_once("[profile.release]").expect("the profile");
    let release = release.split("\n[").next().unwrap_or_default();
    assert!(release.contains("overflow-checks = true"), "{release}");
    let (_, dist) = manifest.split_once("[profile.dist]").expect("the profile");
    let dist = dist.split("\n[").next().unwrap_or_default();
    assert!(dist.contains("inherits = \"release\"") && !dist.contains("overflow"), "{dist}");
}
