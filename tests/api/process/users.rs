//! Tests of `latchkey users …` beside a running daemon. If the operator changes an account, the
//! change takes effect for its user at once.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use hyper::Method;
use serde_json::{Value, json};

use super::{PATIENCE, Place, Running};
use crate::client::Person;
use crate::poll::eventually;
use crate::servers::{TestDatabase, redis_space, rounds};

const PASSWORD: &str = "a staple of the battery";

pub(super) fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| panic!("no JSON: {text}"))
}

/// Returns a place on PostgreSQL and Redis whose database is migrated.
pub(super) async fn on_servers() -> (Place, TestDatabase) {
    let database = TestDatabase::create().await;
    let place = Place::new()
        .set("database.url", &database.url())
        .set("redis.url", &redis_space().await)
        .set("secrets.master_key", &"A".repeat(43));
    place.run(&["migrate", "up"]).expect(0);
    (place, database)
}

async fn login(running: &Running, email: &str, password: &str) -> (u16, Value) {
    let body = json!({ "email": email, "password": password });
    let answer = running.client.post_json("/api/login", body).await;
    (answer.status, answer.json())
}

/// Runs every command for a single account.
async fn an_operator_looks_after_accounts(mut place: Place) {
    let running = place.start().await;
    let created = place.run(&[
        "users",
        "create",
        "--email",
        "Eve@work.example",
        "--name",
        "Eve",
        "--verified",
    ]);
    let id = created.expect(0).stdout().trim().to_owned();
    let twice = place.run(&["users", "create", "--email", "eve@WORK.example", "--name", "Eve"]);
    assert!(twice.expect(3).stderr().contains("already exists"));
    // The account has no password until the user sets one with the mailed link.
    assert_eq!(login(&running, "eve@work.example", PASSWORD).await.0, 401);
    let mail = running.mail_to("Eve@work.example", 0).await;
    let body = json!({ "token": mail.token(), "newPassword": PASSWORD });
    running.client.post_json("/api/reset-password", body).await.expect(200);
    let (status, tokens) = login(&running, "eve@work.example", PASSWORD).await;
    assert_eq!(status, 200);
    let eve = running.client.bearer(tokens["userToken"].as_str().expect("a token"));
    let me = eve.get("/api/me").await.expect(200).json();
    assert_eq!((&me["id"], &me["team"]["role"]), (&json!(id), &json!("owner")));

    let shown = value(&place.run(&["users", "show", &id, "--json"]).expect(0).stdout());
    assert_eq!(shown["email"], "Eve@work.example");
    assert_eq!((&shown["sessions"], &shown["passwordFormat"]), (&json!(1), &json!("argon2id")));
    let text = place.run(&["users", "show", "EVE@work.example"]).expect(0).stdout();
    assert!(text.contains(&id) && !text.contains("$argon2"), "{text}");

    place.run(&["users", "disable", "eve@work.example"]).expect(0);
    assert_eq!(eve.get("/api/me").await.expect(401).json()["code"], "invalid-token");
    assert_eq!(login(&running, "eve@work.example", PASSWORD).await.1["code"], "account-disabled");
    let wrong = login(&running, "eve@work.example", "not the password").await;
    assert_eq!(wrong.1["code"], "invalid-credentials", "only the right password is told");
    let again = value(&place.run(&["users", "disable", &id, "--json"]).expect(0).stdout());
    assert_eq!(again["changed"], false);
    place.run(&["users", "enable", &id]).expect(0);
    eve.get("/api/me").await.expect(401);
    let (status, tokens) = login(&running, "eve@work.example", PASSWORD).await;
    assert_eq!(status, 200);
    let eve = running.client.bearer(tokens["userToken"].as_str().expect("a token"));

    place.run(&["users", "revoke-sessions", &id]).expect(0);
    eve.get("/api/me").await.expect(401);
    assert_eq!(login(&running, "eve@work.example", PASSWORD).await.0, 200);
    for command in ["show", "disable", "enable", "revoke-sessions"] {
        place.run(&["users", command, "nobody@work.example"]).expect(3);
        place.run(&["users", command, "not-an-address"]).expect(2);
    }
    running.stop().await;
}

#[tokio::test]
async fn an_operator_looks_after_accounts_embedded() {
    an_operator_looks_after_accounts(Place::new()).await;
}

#[tokio::test]
async fn an_operator_looks_after_accounts_on_servers() {
    let (place, _database) = on_servers().await;
    an_operator_looks_after_accounts(place).await;
}

#[tokio::test]
async fn a_password_comes_from_a_file_and_is_held_to_the_policy_embedded() {
    let mut place = Place::new();
    let running = place.start().await;
    let create = |email: &str, password: &str| {
        fs::write(place.path("password"), password).expect("written");
        let file = place.path("password").display().to_string();
        let arguments =
            ["users", "create", "--email", email, "--name", "Ada", "--password-file", &file];
        place.run(&arguments)
    };
    create("ada@work.example", "a staple of the battery\n").expect(0);
    assert_eq!(login(&running, "ada@work.example", PASSWORD).await.0, 200);
    let mail = running.mail_to("ada@work.example", 0).await;
    running.anonymous().verify(mail.token()).await.expect(200);
    for bad in ["short", "password", "eve@work.example"] {
        assert!(create("eve@work.example", bad).expect(2).stderr().contains("password"));
    }
    running.stop().await;
}

#[tokio::test]
async fn the_list_is_paged_searched_and_never_reads_a_wildcard_embedded() {
    let mut place = Place::new();
    let running = place.start().await;
    for n in 0..5 {
        Person::register(&running.client, &format!("a_{n}@list.example")).await;
    }
    Person::register(&running.client, "abc@list.example").await;
    let mut after = String::from("00000000-0000-0000-0000-000000000000");
    let mut seen = Vec::new();
    loop {
        let arguments = ["users", "list", "--json", "--limit", "2", "--after", &after];
        let page = value(&place.run(&arguments).expect(0).stdout());
        let items = page["items"].as_array().expect("a list");
        seen.extend(items.iter().map(|item| item["email"].as_str().expect("text").to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        after = next.to_owned();
    }
    assert_eq!(seen.len(), 6);
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 6);
    let found = |arguments: &[&str]| {
        let all = [&["users", "list", "--json"][..], arguments].concat();
        value(&place.run(&all).expect(0).stdout())["items"].as_array().expect("a list").len()
    };
    assert_eq!(found(&["--search", "A_"]), 5, "an underscore is an underscore");
    assert_eq!(found(&["--search", "%"]), 0);
    assert_eq!(found(&["--unverified"]), 6);
    place.run(&["users", "disable", "abc@list.example"]).expect(0);
    assert_eq!(found(&["--status", "disabled"]), 1);
    let table = place.run(&["users", "list"]).expect(0).stdout();
    assert_eq!(table.lines().count(), 7);
    running.stop().await;
}

fn lines(count: u32) -> String {
    let line = |n: u32| {
        let record = json!({ "email": format!("p{n}@import.example"), "name": format!("P {n}"),
            "emailVerified": n.is_multiple_of(2), "createdAt": "2020-02-03T04:05:06Z" });
        format!("{record}\n")
    };
    (0..count).map(line).collect()
}

/// Kills an import and runs it again. In the end every account must exist exactly once.
async fn a_broken_import_goes_on(place: Place) {
    let count = rounds(2_000, 100_000);
    fs::write(place.path("people.jsonl"), lines(count)).expect("written");
    place.run(&["migrate", "up"]).expect(0);
    let mut command = place.command(&["users", "import", "people.jsonl"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
    let listed = || {
        // On a busy machine the command sometimes gets no connection in time, so the test repeats
        // it.
        let list = place.run(&["users", "list", "--json", "--limit", "1"]);
        let items = || value(&list.stdout())["items"].as_array().expect("a list").len();
        if list.code() == Some(0) { items() } else { 0 }
    };
    eventually("the first batch", PATIENCE, async || (listed() > 0).then_some(())).await;
    child.kill().expect("our own child");
    child.wait().expect("our own child");
    let told = place.run(&["users", "import", "people.jsonl", "--json"]).expect(0).stdout();
    let told = value(&told);
    let number = |name: &str| told[name].as_u64().expect("a number");
    assert!(number("exists") > 0, "{told}");
    assert_eq!(number("imported") + number("exists"), u64::from(count));
    let third =
        value(&place.run(&["users", "import", "people.jsonl", "--json"]).expect(0).stdout());
    let counts = json!({ "imported": 0, "exists": count, "refused": 0, "withoutFactors": 0 });
    assert_eq!(third, counts);

    // The test imports an export into another database. An export of that database must have the
    // same content.
    place.run(&["users", "export", "--with-password-hashes", "--out", "all.jsonl"]).expect(0);
    assert_eq!(super::mode(&place.path("all.jsonl")), 0o600);
    place.run(&["users", "export", "--out", "all.jsonl"]).expect(1);
    let elsewhere = Place::new().set("secrets.master_key", &"A".repeat(43));
    elsewhere.run(&["migrate", "up"]).expect(0);
    let file = place.path("all.jsonl").display().to_string();
    elsewhere.run(&["users", "import", &file]).expect(0);
    let again = elsewhere.run(&["users", "export", "--with-password-hashes"]).expect(0).stdout();
    let before = fs::read_to_string(place.path("all.jsonl")).expect("there");
    let verified = |text: &str| -> BTreeSet<String> {
        text.lines().filter(|it| it.contains("\"emailVerified\":true")).map(str::to_owned).collect()
    };
    assert_eq!(before.lines().count(), usize::try_from(count).expect("small"));
    assert_eq!(verified(&again), verified(&before));
    assert_eq!(again.lines().count(), before.lines().count());
    let plain = elsewhere.run(&["users", "export"]).expect(0).stdout();
    assert!(!plain.contains("argon2"));
}

#[tokio::test]
async fn a_broken_import_goes_on_embedded() {
    a_broken_import_goes_on(Place::new().set("secrets.master_key", &"A".repeat(43))).await;
}

#[tokio::test]
async fn a_broken_import_goes_on_on_servers() {
    let (place, _database) = on_servers().await;
    a_broken_import_goes_on(place).await;
}

/// SQLite allows one writer at a time. An import without pauses would block all other writes.
#[tokio::test]
async fn an_import_leaves_a_running_daemon_its_turn_embedded() {
    let mut place = Place::new().set("secrets.master_key", &"A".repeat(43));
    let running = place.start().await;
    let ada = Person::register(&running.client, "ada@work.example").await.as_user();
    fs::write(place.path("people.jsonl"), lines(3_000)).expect("written");
    let mut command = place.command(&["users", "import", "people.jsonl"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
    let (mut changed, mut refused) = (0_u32, 0_u32);
    while changed < 200 && child.try_wait().expect("our own child").is_none() {
        let name = json!({ "name": format!("Ada {changed}") });
        let answer = ada.json(Method::PATCH, "/api/me", name).await;
        // On a busy machine a batch sometimes takes longer than the time that a request waits for
        // the database.
        if answer.status == 200 {
            changed += 1;
        } else {
            answer.expect_problem(503, "dependency-unavailable");
            refused += 1;
        }
    }
    assert!(child.wait().expect("our own child").success());
    assert!(changed > refused, "{changed} changes, and {refused} that the import left no turn");
}

#[tokio::test]
async fn a_report_of_refusals_is_replaced_by_the_next_run_and_nothing_else_is_embedded() {
    let place = Place::new().set("secrets.master_key", &"A".repeat(43));
    place.run(&["migrate", "up"]).expect(0);
    let count = 2_000;
    let text = format!("{{ not json\n{}[1]\n", lines(count));
    fs::write(place.path("people.jsonl"), &text).expect("written");
    let line = ["users", "import", "people.jsonl", "--errors", "bad.jsonl", "--json"];
    let dry: Vec<&str> = line.iter().copied().chain(["--dry-run"]).collect();
    let report = || -> Vec<u64> {
        let report = fs::read_to_string(place.path("bad.jsonl")).expect("written");
        report.lines().map(|line| value(line)["line"].as_u64().expect("a number")).collect()
    };
    let all = [1, u64::from(count) + 2];
    place.run(&dry).expect(1);
    assert_eq!(report(), all);
    let mut child = place.command(&line);
    let child = child.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = child.spawn().expect("it runs");
    eventually("the first batch", PATIENCE, async || {
        // On a busy machine the command sometimes gets no connection in time.
        let list = place.run(&["users", "list", "--json", "--limit", "1"]);
        (list.code() == Some(0) && value(&list.stdout())["items"] != json!([])).then_some(())
    })
    .await;
    child.kill().expect("our own child");
    child.wait().expect("our own child");
    // If a run is killed while it writes this file, it leaves the file incomplete.
    fs::write(place.path("bad.jsonl"), "{\"detail\":\"x\",\"line\":1,\"member\":\"\"}\n{\"det")
        .expect("written");
    let open = fs::Permissions::from_mode(0o644);
    fs::set_permissions(place.path("bad.jsonl"), open).expect("ours");
    let told = value(&place.run(&line).expect(1).stdout());
    let number = |name: &str| told[name].as_u64().expect("a number");
    assert_eq!((number("refused"), number("imported") + number("exists")), (2, count.into()));
    assert_eq!(report(), all);
    assert_eq!(super::mode(&place.path("bad.jsonl")), 0o600, "it names people");
    let slip = ["users", "import", "people.jsonl", "--errors", "people.jsonl"];
    let told = place.run(&slip).expect(1).stderr();
    assert!(told.contains("not the report of an import"), "{told}");
    assert_eq!(fs::read_to_string(place.path("people.jsonl")).expect("there"), text);
}

#[tokio::test]
async fn an_import_names_every_line_it_refuses_and_takes_the_others_embedded() {
    let place = Place::new().set("secrets.master_key", &"A".repeat(43));
    let id = "0197d3c1-0000-7000-8000-000000000001";
    let text = [
        json!({ "email": "ada@import.example", "name": "Ada", "id": id }).to_string(),
        String::new(),
        "{ not json".to_owned(),
        json!({ "email": "ADA@import.example", "name": "Ada again" }).to_string(),
        json!({ "email": "eve@import.example", "name": "Eve", "id": id }).to_string(),
        json!({ "email": "eve@import.example", "name": "Eve", "passwordHash": "hunter22" })
            .to_string(),
        json!({ "email": "eve@import.example", "name": "x".repeat(20_000) }).to_string(),
        json!({ "email": "zoe@import.example", "name": "Zoe" }).to_string(),
    ]
    .join("\n");
    fs::write(place.path("people.jsonl"), text).expect("written");
    let dry = place.run(&["users", "import", "people.jsonl", "--dry-run", "--json"]).expect(1);
    let counts = json!({ "imported": 2, "exists": 0, "refused": 5, "withoutFactors": 0 });
    assert_eq!(value(&dry.stdout()), counts);
    assert!(dry.stderr().contains("not compared with the database: there is no database"));
    assert!(!place.path("data").exists(), "a dry run makes nothing");
    place.run(&["users", "import", "people.jsonl"]).expect(69);
    place.run(&["migrate", "up"]).expect(0);
    let arguments = ["users", "import", "people.jsonl", "--errors", "bad.jsonl", "--json"];
    let ended = place.run(&arguments).expect(1);
    assert_eq!(value(&ended.stdout()), counts);
    assert!(!ended.stderr().contains("hunter22"), "{}", ended.stderr());
    let report = fs::read_to_string(place.path("bad.jsonl")).expect("written");
    assert!(!report.contains("hunter22"), "{report}");
    let refused: BTreeSet<u64> =
        report.lines().map(|line| value(line)["line"].as_u64().expect("a number")).collect();
    assert_eq!(refused, BTreeSet::from([3, 4, 5, 6, 7]));
}
