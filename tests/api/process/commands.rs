//! Tests of the commands that have no own test module. The commands print data on stdout and
//! messages on stderr, and each kind of error has its own exit code.

use serde_json::Value;

use super::Place;
use crate::servers::{TestDatabase, free_port};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| panic!("no JSON: {text}"))
}

/// Migrates from an empty database to the newest schema, as an operator does.
fn migrates(place: &Place) {
    let status = place.run(&["migrate", "status"]).expect(3).stdout();
    assert!(status.lines().count() > 0 && status.lines().all(|line| line.starts_with("pending  ")));
    let names: Vec<&str> = status.lines().filter_map(|line| line.split("  ").nth(1)).collect();
    let plan = place.run(&["migrate", "plan"]).expect(0);
    assert_eq!(plan.stdout().lines().collect::<Vec<_>>(), names);
    assert!(plan.stderr().contains("to be applied"));
    place.run(&["migrate", "status"]).expect(3);
    let up = place.run(&["migrate", "up", "--json"]).expect(0).stdout();
    let applied = json(&up)["applied"].as_array().expect("a list").len();
    assert_eq!(applied, names.len());
    let status = place.run(&["migrate", "status"]).expect(0).stdout();
    assert!(status.lines().all(|line| line.starts_with("applied  ")), "{status}");
    assert_eq!(status.lines().count(), names.len());
    let again = place.run(&["migrate", "up"]).expect(0);
    assert_eq!(again.stdout(), "");
    assert!(again.stderr().contains("up to date"));
    let plan = json(&place.run(&["migrate", "plan", "--json"]).expect(0).stdout());
    assert_eq!(plan["pending"], Value::Array(Vec::new()));
}

#[tokio::test]
async fn a_postgresql_is_migrated_by_command_on_servers() {
    let database = TestDatabase::create().await;
    let place = Place::new()
        .set("database.url", &database.url())
        .set("secrets.master_key", &"A".repeat(43));
    migrates(&place);
}

#[tokio::test]
async fn sqlite_is_migrated_by_command_and_looking_makes_no_file_embedded() {
    let place = Place::new();
    place.run(&["migrate", "status"]).expect(3);
    assert!(!place.path("data").exists());
    migrates(&place);
    assert_eq!(super::mode(&place.path("data")), 0o700);
    assert_eq!(super::mode(&place.path("data/latchkey.db")), 0o600);
}

#[tokio::test]
async fn help_is_a_command_of_every_level() {
    let place = Place::new();
    let whole = place.run(&["help"]).expect(0).stdout();
    assert_eq!(whole, place.run(&["--help"]).expect(0).stdout());
    for line in [["help", "users"], ["users", "help"]] {
        let told = place.run(&line).expect(0).stdout();
        assert!(told.contains("revoke-sessions"), "{line:?}: {told}");
    }
    let deep = place.run(&["help", "users", "import"]).expect(0).stdout();
    assert!(deep.contains("--dry-run"), "{deep}");
    place.run(&["help", "nobody"]).expect(2);
}

#[tokio::test]
async fn a_database_that_does_not_answer_is_exit_69() {
    let url = format!("postgres://ada:hunter2@127.0.0.1:{}/latchkey", free_port());
    let place = Place::new().set("database.url", &url).set("secrets.master_key", &"A".repeat(43));
    for command in ["status", "plan", "up"] {
        let told = place.run(&["migrate", command]).expect(69).stderr();
        assert!(told.contains("cannot reach the database"), "{told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[tokio::test]
async fn a_healthcheck_asks_the_admin_listener_embedded() {
    let mut place = Place::new();
    let running = place.start().await;
    let place = place.set("admin.listen", &running.admin.to_string());
    place.run(&["healthcheck"]).expect(0);
    let url = format!("http://{}/livez", running.admin);
    place.run(&["healthcheck", "--url", &url]).expect(0);
    let told = place.run(&["healthcheck", "--json"]).expect(0).stdout();
    assert_eq!(json(&told)["ready"], true);
    running.stop().await;
    let ended = place.run(&["healthcheck"]).expect(1);
    assert!(ended.stderr().contains("not ready"), "{}", ended.stderr());
    assert_eq!(json(&place.run(&["healthcheck", "--json"]).expect(1).stdout())["ready"], false);
}

#[tokio::test]
async fn config_print_names_every_source_and_no_secret() {
    let secrets = ["dbSecret1", "redisSecret2", "smtpSecret3", "captchaSecret4"];
    let key = "c2VjcmV0LW1hc3Rlci1rZXktb2YtMzItYnl0ZXMhISE";
    let place = Place::new()
        .set("database.url", "postgres://ada:dbSecret1@db.example/latchkey")
        .set("redis.url", "rediss://:redisSecret2@redis.example")
        .set("mail.smtp_url", "smtps://ada:smtpSecret3@mail.example")
        .set("captcha.secret", "captchaSecret4")
        .set("secrets.master_key", key);
    for arguments in
        [&["config", "print"][..], &["config", "print", "--json"], &["config", "check"]]
    {
        let ended = place.run(arguments).expect(0);
        let all = ended.stdout() + &ended.stderr();
        for secret in secrets.iter().chain(&[key]) {
            assert!(!all.contains(secret), "{arguments:?} tells {secret}: {all}");
        }
    }
    let printed = json(&place.run(&["config", "print", "--json"]).expect(0).stdout());
    let setting = |key: &str| -> Value {
        let all = printed.as_array().expect("a list");
        all.iter().find(|it| it["key"] == key).unwrap_or_else(|| panic!("no {key}")).clone()
    };
    assert!(setting("redis.url")["source"].to_string().contains("LATCHKEY_REDIS__URL"));
    assert_eq!(setting("tokens.user_ttl")["value"], "15m");
    assert!(setting("tokens.user_ttl")["source"].to_string().contains("default"));
}

#[tokio::test]
async fn a_secret_may_come_out_of_a_file_and_not_out_of_two_places() {
    let place = Place::new();
    std::fs::write(place.path("key"), format!("{}\n", "A".repeat(43))).expect("written");
    let file = place.path("key").display().to_string();
    let place = place.set("secrets.master_key_file", &file);
    place.run(&["config", "check"]).expect(0);
    let twice = place.set("secrets.master_key", &"A".repeat(43));
    let told = twice.run(&["config", "check"]).expect(78).stderr();
    assert!(told.contains("master_key"), "{told}");
}

#[tokio::test]
async fn what_is_made_out_of_the_program_is_printed() {
    let place = Place::new();
    let document = json(&place.run(&["openapi"]).expect(0).stdout());
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["paths"]["/api/login"]["post"].is_object());
    let version = place.run(&["version"]).expect(0).stdout();
    assert_eq!(version.trim(), concat!("latchkey ", env!("CARGO_PKG_VERSION")));
    assert_eq!(place.run(&["--version"]).expect(0).stdout(), version);
    let completions = place.run(&["completions", "bash"]).expect(0).stdout();
    assert!(completions.contains("_latchkey()") && completions.contains("healthcheck"));
    let page = place.run(&["man"]).expect(0).stdout();
    assert!(page.starts_with(".ie") || page.contains(".TH latchkey"), "{page:.200}");
    json(&place.run(&["config", "schema"]).expect(0).stdout());
    let told = place.run(&["nonsense"]).expect(2);
    assert_eq!(told.stdout(), "");
    assert!(told.stderr().contains("nonsense"));
    assert!(!place.path("data").exists(), "none of them made anything");
}

#[tokio::test]
async fn the_commented_file_of_config_init_changes_nothing() {
    let place = Place::new();
    let before = place.run(&["config", "print", "--json"]).expect(0).stdout();
    let file = place.run(&["config", "init"]).expect(0).stdout();
    std::fs::write(place.path("latchkey.toml"), file).expect("written");
    assert_eq!(place.run(&["config", "print", "--json"]).expect(0).stdout(), before);
}
