//! Tests of commands that cannot use the data. All commands have the same exit codes for this, and
//! they create nothing.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::json;

use super::{Ended, PATIENCE, Place};
use crate::poll::eventually;
use crate::servers::{PrivateServer, Signal, TestDatabase, free_port};

/// Commands that open the data, one command of each kind.
const COMMANDS: &[&[&str]] = &[
    &["users", "list"],
    &["users", "create", "--email", "ada@work.example", "--name", "Ada"],
    &["teams", "list"],
    &["keys", "list"],
    &["audit", "verify"],
    &["audit", "export"],
];

fn all_end(place: &Place, code: i32, why: &str) {
    for command in COMMANDS {
        let ended = place.run(command).expect(code);
        assert!(ended.stderr().contains(why), "{command:?}: {}", ended.stderr());
        assert_eq!(ended.stdout(), "", "{command:?}");
    }
}

#[tokio::test]
async fn without_a_database_every_command_is_exit_69_and_makes_nothing_embedded() {
    let place = Place::new();
    all_end(&place, 69, "there is no database");
    assert!(!place.path("data").exists());
}

#[tokio::test]
async fn without_a_master_key_every_command_is_exit_78_and_makes_none_embedded() {
    let place = Place::new();
    place.run(&["migrate", "up"]).expect(0);
    all_end(&place, 78, "secrets.master_key");
    assert!(!place.path("data/master.key").exists(), "only the daemon makes one");
    std::fs::write(place.path("data/master.key"), "short").expect("written");
    all_end(&place, 78, "does not contain a master key");
    assert_eq!(std::fs::read_to_string(place.path("data/master.key")).expect("there"), "short");
}

/// The operator sets a wrong master key by mistake. The command must not replace the audit key of
/// the daemons.
#[tokio::test]
async fn with_another_master_key_what_would_be_recorded_is_exit_78_and_changes_nothing_embedded() {
    let place = Place::new().set("secrets.master_key", &"A".repeat(43));
    place.run(&["migrate", "up"]).expect(0);
    let create = ["users", "create", "--email", "ada@work.example", "--name", "Ada"];
    place.run(&create).expect(0);
    let place = place.set("secrets.master_key", &"B".repeat(43));
    for command in [&["users", "disable", "ada@work.example"][..], &["keys", "rotate"]] {
        let told = place.run(command);
        assert!(matches!(told.code(), Some(1 | 78)), "{command:?}: {:?}", told.code());
        assert!(told.stderr().contains("master"), "{command:?}: {}", told.stderr());
    }
    let place = place.set("secrets.master_key", &"A".repeat(43));
    let told: serde_json::Value =
        serde_json::from_str(&place.run(&["audit", "verify", "--json"]).expect(0).stdout())
            .expect("JSON");
    assert_eq!(told["found"], 0, "{told}");
    place.run(&["users", "disable", "ada@work.example"]).expect(0);
}

#[tokio::test]
async fn a_wrong_redis_url_is_exit_78_embedded() {
    let place = Place::new();
    let place = place.set("secrets.master_key", &"A".repeat(43));
    place.run(&["migrate", "up"]).expect(0);
    let place = place.set("redis.url", "redis://127.0.0.1/not-a-number");
    for command in ["users", "teams"] {
        let told = place.run(&[command, "list"]).expect(78).stderr();
        assert!(told.contains("redis.url"), "{told}");
    }
}

#[tokio::test]
async fn a_database_without_our_schema_is_exit_3_and_stays_as_it_is_on_servers() {
    let database = TestDatabase::create().await;
    let place = Place::new()
        .set("database.url", &database.url())
        .set("secrets.master_key", &"A".repeat(43));
    all_end(&place, 3, "latchkey migrate up");
    place.run(&["migrate", "status"]).expect(3);
}

#[tokio::test]
async fn a_database_that_does_not_answer_is_exit_69_without_its_password() {
    let url = format!("postgres://ada:hunter2@127.0.0.1:{}/latchkey", free_port());
    let mut place =
        Place::new().set("database.url", &url).set("secrets.master_key", &"A".repeat(43));
    for command in COMMANDS {
        let told = place.run(command).expect(69).stderr();
        assert!(told.contains("cannot reach the database"), "{told}");
        assert!(told.contains("refused"), "{told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
    let waiting = place.spawn();
    let refused = eventually("its complaint", PATIENCE, async || {
        let log = waiting.log();
        log.lines().find(|it| it.contains("waiting for the database")).map(str::to_owned)
    })
    .await;
    assert!(refused.contains("refused") && !refused.contains("hunter2"), "{refused}");
}

#[tokio::test]
async fn a_database_that_goes_away_on_the_way_is_exit_69_on_servers() {
    let mut server = PrivateServer::postgres().await;
    let place =
        Place::new().set("database.url", &server.url()).set("secrets.master_key", &"A".repeat(43));
    place.run(&["migrate", "up"]).expect(0);
    let mut command = place.command(&["users", "import", "-"]);
    let import = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut import = import.spawn().expect("the program runs");
    let mut lines = import.stdin.take().expect("piped");
    // These 500 lines are the first batch. The line after them belongs to the second batch.
    for n in 0..500 {
        writeln!(lines, "{}", json!({ "email": format!("p{n}@away.example"), "name": "P" }))
            .expect("it reads");
    }
    lines.flush().expect("it reads");
    eventually("the first batch", PATIENCE, async || {
        let list = place.run(&["users", "list", "--json", "--limit", "1"]).expect(0).stdout();
        list.contains("@away.example").then_some(())
    })
    .await;
    server.signal(Signal::Quit);
    writeln!(lines, "{}", json!({ "email": "last@away.example", "name": "P" })).expect("it reads");
    drop(lines);
    let ended = Ended(import.wait_with_output().expect("our own child")).expect(69);
    let told = ended.stderr();
    assert!(told.contains("stopped before line 501, after it imported 500 accounts"), "{told}");
    assert!(told.contains("run the import again to continue"), "{told}");
}

#[tokio::test]
async fn a_healthcheck_of_nonsense_is_exit_2_and_of_bad_settings_78() {
    let place = Place::new();
    let told = place.run(&["healthcheck", "--url", "https://nowhere"]).expect(2).stderr();
    assert!(told.contains("host:port"), "{told}");
    let place = place.set("admin.listen", "nowhere");
    place.run(&["healthcheck"]).expect(78);
}
