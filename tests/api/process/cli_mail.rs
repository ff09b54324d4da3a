//! Tests of `latchkey mail …`. It lists the unsent mails, and it reports each step while it sends a
//! test mail.

use serde_json::{Value, json};

use super::{PATIENCE, Place};
use crate::client::Person;
use crate::poll::eventually;
use crate::servers::{TestDatabase, free_port, redis_space};
use crate::smtp::{Fault, SmtpSink, Stage};

fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| panic!("no JSON: {text}"))
}

fn items(place: &Place, arguments: &[&str]) -> Vec<Value> {
    let line = [&["mail", "list", "--json"], arguments].concat();
    let listed = value(&place.run(&line).expect(0).stdout());
    listed["items"].as_array().expect("a list").clone()
}

/// Checks that a retry sends a mail that latchkey had given up. The mail still has its link, and no
/// other mail changes.
async fn a_dead_mail_is_listed_and_sent_again(place: Place) {
    let sink = SmtpSink::start().await;
    sink.refuse_recipient("ada@work.example", 550);
    let mut place = place.set("mail.smtp_url", &sink.url());
    place.run(&["migrate", "up"]).expect(0);
    let running = place.start().await;
    let ada = Person::register(&running.client, "ada@work.example").await;
    Person::register(&running.client, "bob@work.example").await;
    let dead = eventually("a mail given up", PATIENCE, async || {
        items(&place, &["--state", "dead"]).into_iter().next()
    })
    .await;
    assert_eq!((&dead["to"], &dead["kind"]), (&json!(ada.email), &json!("confirm")));
    assert!(dead["lastError"].as_str().is_some_and(|it| it.starts_with("550")), "{dead}");
    eventually("the other mail", PATIENCE, async || {
        (items(&place, &["--state", "sent"]).len() == 1).then_some(())
    })
    .await;
    let id = dead["id"].as_str().expect("an id").to_owned();
    let table = place.run(&["mail", "list"]).expect(0).stdout();
    assert!(table.contains(&id) && !table.contains("bob@work.example"), "{table}");
    assert_eq!(items(&place, &["--to", "ADA@"]).len(), 1);
    assert_eq!(items(&place, &["--kind", "recover"]).len(), 0);
    let page = value(
        &place
            .run(&["mail", "list", "--state", "all", "--limit", "1", "--json"])
            .expect(0)
            .stdout(),
    );
    let next = page["next"].as_str().expect("there is another");
    assert_eq!(items(&place, &["--state", "all", "--after", next]).len(), 1);

    let dry = place.run(&["mail", "retry", "--dead", "--dry-run"]).expect(0).stderr();
    assert!(dry.contains("1 would be due"), "{dry}");
    assert_eq!(items(&place, &["--state", "dead"]).len(), 1, "nothing was changed");
    sink.heal();
    let told = value(&place.run(&["mail", "retry", &id, "--json"]).expect(0).stdout());
    assert_eq!(told, json!({ "due": 1, "refused": [] }));
    let to_ada = || sink.mails().into_iter().filter(|mail| mail.to == ada.email).count();
    eventually("the mail", PATIENCE, async || (to_ada() == 1).then_some(())).await;
    eventually("its mark", PATIENCE, async || {
        (items(&place, &["--state", "sent"]).len() == 2).then_some(())
    })
    .await;
    let told = place.run(&["mail", "retry", &id]).expect(3);
    assert!(told.stderr().contains("it was already sent"), "{}", told.stderr());
    let nobody = "0197d3c1-0000-7000-8000-000000000001";
    let told = place.run(&["mail", "retry", nobody]).expect(3).stderr();
    assert!(told.contains("no mail with this id"), "{told}");
    assert!(place.run(&["mail", "retry", "--dead"]).expect(0).stderr().contains("0 due"));
    for wrong in [
        &["mail", "retry"][..],
        &["mail", "retry", "--dead", &id],
        &["mail", "retry", "--dry-run", &id],
        &["mail", "list", "--kind", "x"],
    ] {
        place.run(wrong).expect(2);
    }
    assert_eq!(to_ada(), 1);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_mail_is_listed_and_sent_again_embedded() {
    a_dead_mail_is_listed_and_sent_again(Place::new().set("secrets.master_key", &"A".repeat(43)))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_mail_is_listed_and_sent_again_on_servers() {
    let database = TestDatabase::create().await;
    let place = Place::new()
        .set("database.url", &database.url())
        .set("redis.url", &redis_space().await)
        .set("secrets.master_key", &"A".repeat(43));
    a_dead_mail_is_listed_and_sent_again(place).await;
}

const TEST: &[&str] = &["mail", "test", "--to", "ops@work.example"];

#[tokio::test(flavor = "multi_thread")]
async fn a_test_mail_leaves_and_every_step_is_said() {
    let sink = SmtpSink::start().await;
    sink.require_login("latchkey", "hunter2");
    let place = Place::new().set("mail.smtp_url", &sink.url());
    let told = place.run(TEST).expect(0);
    let steps: Vec<String> = told
        .stdout()
        .lines()
        .map(|line| line.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(steps, ["ok resolve", "ok connect", "ok login", "ok sender", "ok send"]);
    let mails = sink.mails();
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].to, "ops@work.example");
    assert!(!place.path("data").exists(), "it needs no database");

    sink.fail_at(Stage::Login, Fault::Refuse(535));
    let told = place.run(&[TEST, &["--json"]].concat()).expect(1);
    let json = value(&told.stdout());
    assert_eq!(json["sent"], false);
    let login = &json["steps"][2];
    assert_eq!((&login["step"], &login["ok"]), (&json!("login"), &json!(false)));
    assert!(login["detail"].to_string().contains("535"), "{json}");
    let all = told.stdout() + &told.stderr();
    assert!(!all.contains("hunter2"), "{all}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_mail_that_cannot_leave_says_at_which_step() {
    let sink = SmtpSink::start().await;
    let place = Place::new().set("mail.smtp_url", &sink.url());
    sink.fail_at(Stage::Recipient, Fault::Refuse(550));
    let told = place.run(TEST).expect(1).stdout();
    let last = told.lines().last().expect("a line").to_owned();
    assert!(last.starts_with("failed  send") && last.contains("550"), "{told}");
    // If the setting requires TLS, the mail is never sent without TLS.
    let place = place.set("mail.smtp_url", &format!("{}?tls=required", sink.url()));
    let told = place.run(TEST).expect(1).stdout();
    assert!(told.lines().last().is_some_and(|it| it.starts_with("failed  starttls")), "{told}");
    let place = place.set("mail.smtp_url", &format!("smtp://127.0.0.1:{}", free_port()));
    let told = place.run(TEST).expect(69).stdout();
    assert!(told.lines().last().is_some_and(|it| it.starts_with("failed  connect")), "{told}");
    place.run(&["mail", "test", "--to", "nobody"]).expect(2);
    let told = Place::new().run(TEST).expect(78).stderr();
    assert!(told.contains("mail.smtp_url"), "{told}");
}
