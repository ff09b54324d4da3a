//! `latchkey audit …` as an operator uses it.

use serde_json::{Value, json};

use super::Place;
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
    assert!(lines.last().expect("a line")["heads"].is_string());
    let kept = place.path("heads.jsonl");
    std::fs::write(&kept, &export).expect("written");
    let file = kept.display().to_string();
    let told = place.run(&["audit", "verify", "--heads", &file]).expect(0).stdout();
    assert!(told.contains("1 heads compared"), "{told}");
    let forged = export.replacen("\"heads\":\"eyJ", "\"heads\":\"eyJx", 1);
    std::fs::write(&kept, forged).expect("written");
    let told = place.run(&["audit", "verify", "--heads", &file]).expect(3);
    assert!(told.stderr().contains("not signed by a key of ours"), "{}", told.stderr());
    let since =
        place.run(&["audit", "export", "--since", "2999-01-01T00:00:00Z"]).expect(0).stdout();
    assert!(since.lines().all(|line| line.starts_with("{\"heads\"")), "{since}");
    place.run(&["audit", "export", "--since", "yesterday"]).expect(2);
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
