//! Tests of all commands on the documentation page of the command line. Each command has a manual
//! page and completions. It either prints JSON or reports why it cannot print JSON.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Place;
use crate::client::Person;

const PAGE: &str = include_str!("../../../docs/cli.md");

/// Returns every command on the page, with the text about this command.
pub(super) fn commands() -> Vec<(&'static str, &'static str)> {
    let sections = PAGE.split("\n## `latchkey ").skip(1);
    sections.map(|section| section.split_once('`').expect("a heading ends")).collect()
}

/// The arguments of the commands that need arguments. `{email}`, `{team}` and `{kid}` stand for a
/// user, the user's team and a key.
pub(super) const ARGUMENTS: &[(&str, &[&str])] = &[
    ("users show", &["{email}"]),
    ("users create", &["--email", "eve@work.example", "--name", "Eve", "--no-mail"]),
    ("users disable", &["{email}"]),
    ("users enable", &["{email}"]),
    ("users revoke-sessions", &["{email}"]),
    ("users reset-factors", &["{email}"]),
    ("users import", &["people.jsonl"]),
    ("teams show", &["{team}"]),
    ("teams disable", &["{team}"]),
    ("teams enable", &["{team}"]),
    ("limits explain", &["{email}"]),
    ("limits reset", &["{email}"]),
    ("keys retire", &["{kid}"]),
    ("mail retry", &["--dead"]),
    ("mail test", &["--to", "ops@work.example"]),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_command_speaks_json_or_says_why_not_embedded() {
    let mut place = Place::new();
    let sink = crate::smtp::SmtpSink::start().await;
    let running = place.start().await;
    let mut ada = Person::register(&running.client, "ada@work.example").await;
    let mail = running.mail_to(&ada.email, 0).await;
    ada.verify(mail.token()).await.expect(200);
    let place = place.set("admin.listen", &running.admin.to_string());
    let place = place.set("mail.smtp_url", &sink.url());
    let first = |command: &[&str], name: &str| -> String {
        let listed = place.run(command).expect(0).stdout();
        let listed: Value = serde_json::from_str(&listed).expect("JSON");
        let items = listed["items"].as_array().or(listed.as_array()).expect("a list");
        items[0][name].as_str().expect("text").to_owned()
    };
    let team = first(&["teams", "list", "--json"], "id");
    let keys = place.run(&["keys", "list", "--json"]).expect(0).stdout();
    let keys: Value = serde_json::from_str(&keys).expect("JSON");
    // The key of second factors cannot be retired.
    let key = keys.as_array().expect("a list").iter().find(|key| key["kind"] == "vault");
    let kid = key.expect("a key")["kid"].as_str().expect("a kid").to_owned();
    std::fs::write(place.path("people.jsonl"), "").expect("written");
    let mut spoken = BTreeSet::new();
    for (command, said) in commands() {
        if said.contains("`--json` has no effect: the command ") {
            continue;
        }
        let given = ARGUMENTS.iter().find(|(name, _)| *name == command);
        let given = given.map(|(_, given)| *given).unwrap_or_default();
        let filled: Vec<String> = command
            .split(' ')
            .chain(given.iter().copied())
            .chain(["--json"])
            .map(|it| {
                it.replace("{email}", &ada.email).replace("{team}", &team).replace("{kid}", &kid)
            })
            .collect();
        let line: Vec<&str> = filled.iter().map(String::as_str).collect();
        let ended = place.run(&line);
        let data = ended.stdout();
        assert!(matches!(ended.code(), Some(0 | 3)), "{command}: {}", ended.stderr());
        serde_json::from_str::<Value>(&data).unwrap_or_else(|_| panic!("{command}: {data}"));
        spoken.insert(command);
    }
    for (name, _) in ARGUMENTS {
        assert!(spoken.contains(name), "{name} is no command that speaks JSON");
    }
    for command in [
        "users export",
        "audit export",
        "audit keys",
        "keys export-jwks",
        "config schema",
        "openapi",
    ] {
        let line: Vec<&str> = command.split(' ').collect();
        let data = place.run(&line).expect(0).stdout();
        let whole = serde_json::from_str::<Value>(&data).is_ok();
        let is_json = |line: &str| serde_json::from_str::<Value>(line).is_ok();
        assert!(whole || data.lines().all(is_json), "{command}: {data}");
        let said =
            commands().into_iter().find(|(name, _)| *name == command).expect("on the page").1;
        assert!(said.contains("always prints JSON"), "{command}");
    }
    running.stop().await;
}

#[tokio::test]
async fn every_command_has_a_manual_page_and_every_shell_completes_it() {
    let place = Place::new();
    place.run(&["man", "--dir", "man"]).expect(0);
    for (command, _) in commands() {
        let page = place.path("man").join(format!("latchkey-{}.1", command.replace(' ', "-")));
        let text = std::fs::read_to_string(&page);
        let text = text.unwrap_or_else(|error| panic!("{}: {error}", page.display()));
        assert!(text.contains(".TH ") && text.contains("NAME"), "{command}");
    }
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = place.run(&["completions", shell]).expect(0).stdout();
        for (command, _) in commands() {
            for word in command.split(' ') {
                assert!(script.contains(word), "{shell} does not know {command}");
            }
        }
    }
    assert_eq!(place.run(&["man", "--markdown"]).expect(0).stdout(), PAGE);
    assert!(commands().len() > 30, "the page is read");
    assert!(!place.path("data").exists());
}
