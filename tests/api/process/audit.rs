//! Tests of `latchkey audit …` as an operator uses it.

use std::process::Command;

use serde_json::{Value, json};

use super::{Ended, Place};
use crate::servers::TestDatabase;

async fn an_operator_verifies_and_exports(mut place: Place) {
    place.run(&["migrate", "up"]).expect(0);
    let running = place.start().await;
    let body =
        json!({ "email": "ada@example.org", "password": "a long good password", "name": "Ada" });
    running.client.post_json("/api/register", body).await.expect(200);
    let told = place.run(&["audit", "verify"]).expect(0).stdout();
    assert!(told.contains("nothing was altered or removed"), "{told}");
    let told: Value =
        serde_json::from_str(&place.run(&["audit", "verify", "--json"]).expect(0).stdout())
            .expect("JSON");
    assert_eq!((&told["ok"], &told["events"]), (&json!(true), &json!(2)));
    let export = place.run(&["audit", "export"]).expect(0).stdout();
    let lines: Vec<Value> =
        export.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines[0]["action"], "account.registered");
    assert_eq!(lines[0]["actor"]["email"], "ada@example.org");
    let last = lines.last().expect("a line");
    assert!(last["heads"].is_string() && last["key"]["crv"] == "Ed25519", "{last}");
    let kept = place.path("heads.jsonl");
    std::fs::write(&kept, &export).expect("written");
    let file = kept.display().to_string();
    let told = place.run(&["audit", "verify", "--heads", &file]).expect(0).stdout();
    assert!(told.contains("1 heads compared"), "{told}");
    let forged = export.replacen("\"heads\":\"eyJ", "\"heads\":\"eyJx", 1);
    std::fs::write(&kept, forged).expect("written");
    let told = place.run(&["audit", "verify", "--heads", &file]).expect(3);
    assert!(told.stderr().contains("not signed with an audit key"), "{}", told.stderr());
    nothing_compared_is_no_success(&place, &export);
    another_master_key_is_named(&place);
    elsewhere(&place, &export);
    let since =
        place.run(&["audit", "export", "--since", "2999-01-01T00:00:00Z"]).expect(0).stdout();
    assert!(since.lines().all(|line| line.starts_with("{\"heads\"")), "{since}");
    place.run(&["audit", "export", "--since", "yesterday"]).expect(2);
}

/// Verifies with files that have no heads, with damaged heads, and with unreadable files.
fn nothing_compared_is_no_success(place: &Place, export: &str) {
    let file = place.path("other.jsonl");
    let name = file.display().to_string();
    let (rows, heads) = export.trim_end().rsplit_once('\n').expect("rows and heads");
    let cut = &heads[..heads.len() / 3];
    for text in [
        String::new(),
        "garbage\n".to_owned(),
        rows.to_owned(),
        heads.replacen("eyJ", "xyJ", 1),
        format!("{heads}\n{}", heads.replacen("eyJ", "e yJ", 1)),
        format!("{heads}\n{cut}"),
        "{\"heads\":\"eyJhbGc".to_owned(),
        "{\"message\":\"audit heads\"}".to_owned(),
    ] {
        std::fs::write(&file, &text).expect("written");
        let ended = place.run(&["audit", "verify", "--heads", &name]).expect(3);
        assert!(ended.stderr().contains("unproven stream"), "{text}: {}", ended.stderr());
    }
    std::fs::write(&file, b"\x1f\x8b\x08\xff\n").expect("written");
    let ended = place.run(&["audit", "verify", "--heads", &name]).expect(1);
    assert!(ended.stderr().contains("other.jsonl: is not UTF-8"), "{}", ended.stderr());
    let ended = place.run(&["audit", "verify", "--heads", "nope"]).expect(1);
    assert!(ended.stderr().contains("nope: No such file"), "{}", ended.stderr());
}

/// The operator sets a wrong master key by mistake. The audit is not called altered for this.
fn another_master_key_is_named(place: &Place) {
    for command in ["verify", "keys", "export"] {
        let mut command = place.command(&["audit", command]);
        command.env("LATCHKEY_SECRETS__MASTER_KEY", "E".repeat(43));
        let ended = Ended(command.output().expect("the program runs")).expect(78);
        let text = "is not the master key of the daemons";
        assert!(ended.stderr().contains(text), "{}", ended.stderr());
    }
}

/// Checks an export, and then a manipulated export, with only the script in docs/audit.md and the
/// keys.
fn elsewhere(place: &Place, export: &str) {
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/audit.md");
    let page = std::fs::read_to_string(docs).expect("the page");
    let (_, script) = page.split_once("```python\n").expect("a script");
    let (script, _) = script.split_once("```").expect("an end");
    let write = |name: &str, text: &str| {
        std::fs::write(place.path(name), text).expect("written");
        place.path(name)
    };
    let script = write("check.py", script);
    let keys = write("keys.jsonl", &place.run(&["audit", "keys"]).expect(0).stdout());
    let checked = |export: &str| {
        let export = write("export.jsonl", export);
        let ended = Command::new("python3").arg(&script).arg(export).arg(&keys).output();
        let ended = ended.expect("python3 runs");
        (ended.status.code(), String::from_utf8_lossy(&ended.stderr).into_owned())
    };
    assert_eq!(checked(export), (Some(0), String::new()));
    for (from, to) in [("session.login", "session.logout"), ("ada@example.org", "eve@example.org")]
    {
        assert!(export.contains(from), "{from}: {export}");
        assert_eq!(checked(&export.replacen(from, to, 1)).0, Some(3), "{from} is {to}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_and_the_heads_are_in_the_log_from_the_start_on_embedded() {
    // The test waits for the message `listening`, so the filter must include the module that logs
    // it.
    let filter = "warn,latchkey::audit=info,latchkey::daemon=info,latchkey::http=info,latchkey::account=info";
    let mut place = Place::new().set("log.filter", filter);
    let running = place.start().await;
    let ada = crate::client::Person::register(&running.client, "ada@example.org").await;
    running.anonymous().login(&ada.email, "a wrong password").await.expect(401);
    running.daemon.says("login refused").await;
    let log = running.stop().await;
    let told: Vec<Value> = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|line| line["message"] == "audit event")
        .collect();
    let said = |line: &Value| {
        ["action", "outcome", "actor", "reason"].map(|name| line[name].as_str().map(str::to_owned))
    };
    let text = |words: [&str; 4]| words.map(|word| (!word.is_empty()).then(|| word.to_owned()));
    let expected = [
        text(["account.registered", "success", "person", ""]),
        text(["session.login", "success", "person", ""]),
        text(["session.login", "refused", "nobody", "password"]),
    ];
    assert_eq!(told.iter().map(said).collect::<Vec<_>>(), expected, "{log}");
    for line in &told {
        assert_eq!((&line["level"], &line["target"]), (&json!("INFO"), &json!("latchkey::audit")));
        assert!(line["event"].is_string() && line["seq"].is_u64(), "{line}");
        assert_eq!(line["stream"], told[0]["stream"], "one account, one stream");
        assert!(line["trace_id"].is_string(), "{line}");
        assert!(!line.to_string().contains("ada@") && !line.to_string().contains("127.0.0.1"));
    }
    // The first process perhaps ended before it logged all heads. The next process logs the missing
    // heads at its start.
    let running = place.start().await;
    running.daemon.says("audit heads").await;
    let kept = place.path("heads.log");
    let log = running.stop().await;
    std::fs::write(&kept, log).expect("written");
    let file = kept.display().to_string();
    let told = place.run(&["audit", "verify", "--heads", &file]).expect(0).stdout();
    assert!(told.contains("1 heads compared"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_verifies_and_exports_embedded() {
    let place = Place::new();
    place.run(&["audit", "verify"]).expect(69);
    assert!(!place.path("data").exists(), "looking makes nothing");
    an_operator_verifies_and_exports(place).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_verifies_and_exports_on_servers() {
    let database = TestDatabase::create().await;
    let place = Place::new()
        .set("database.url", &database.url())
        .set("secrets.master_key", &"A".repeat(43));
    an_operator_verifies_and_exports(place).await;
}
