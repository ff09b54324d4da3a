//! Tests that no command and no daemon prints a secret of any setting. Every secret contains a
//! marker. The tests search all output for the marker, in each form in which a program could print
//! it.

mod broken;
mod served;

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt as _;
use latchkey::config::settings;

use super::cli_tree::{ARGUMENTS, commands};
use super::{Ended, Place};
use crate::servers::free_port;

/// A text that every secret contains. Nothing else contains it.
const MARKER: &str = "Mk7qZ9xMarker";
/// The number of processes that run at the same time.
const AT_ONCE: usize = 4;
/// The time within which a command must end.
const ENDS_WITHIN: Duration = Duration::from_mins(1);

/// Returns the forms of the marker: plain, in hexadecimal, percent-encoded, as a list of bytes, and
/// inside base64 at each of the three possible positions.
fn forms() -> Vec<String> {
    let each = |form: fn(u8) -> String, between: &str| {
        MARKER.bytes().map(form).collect::<Vec<_>>().join(between)
    };
    let mut forms = vec![
        MARKER.to_owned(),
        each(|byte| format!("{byte:02x}"), ""),
        each(|byte| format!("%{byte:02x}"), ""),
        each(|byte| byte.to_string(), ", "),
        each(|byte| byte.to_string(), ","),
    ];
    forms.extend((0..3).map(|shift| {
        let encoded = STANDARD.encode([&vec![0; shift], MARKER.as_bytes()].concat());
        let sure = encoded.trim_end_matches('=').get([0, 2, 3][shift]..).unwrap_or_default();
        sure[..sure.len() - 2].to_owned()
    }));
    forms
}

/// Returns the first line that contains the marker in one of its forms.
fn leak(text: &str) -> Option<String> {
    let forms: Vec<String> = forms().iter().map(|form| form.to_lowercase()).collect();
    let shows = |line: &&str| {
        let line = line.to_lowercase();
        forms.iter().any(|form| line.contains(form))
    };
    text.lines().find(shows).map(str::to_owned)
}

#[track_caller]
fn holds_no_marker(what: &str, text: &str) {
    let leak = leak(text);
    assert!(leak.is_none(), "{what} prints a secret: {leak:?}");
}

/// One run of the program: its description, its place and its arguments.
struct Run {
    what: String,
    place: Place,
    arguments: Vec<String>,
}

impl Run {
    fn new(what: impl Into<String>, place: Place, line: &str) -> Self {
        let arguments = line.split(' ').map(str::to_owned).collect();
        Self { what: what.into(), place, arguments }
    }

    /// Runs the program to its end. Returns the description, the exit code and the complete output.
    async fn end(self) -> (String, Option<i32>, String) {
        let line: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        let mut command = tokio::process::Command::from(self.place.command(&line));
        let output = tokio::time::timeout(ENDS_WITHIN, command.kill_on_drop(true).output()).await;
        let what = format!("{}: latchkey {}", self.what, self.arguments.join(" "));
        let output = output.unwrap_or_else(|_| panic!("{what} does not end"));
        let ended = Ended(output.expect("the program runs"));
        (what, ended.code(), ended.stdout() + &ended.stderr())
    }
}

/// Runs the program for each entry, some entries at the same time, each with a time limit. Fails
/// the test if an output contains the marker. Returns the results.
async fn run_all(runs: Vec<Run>) -> Vec<(String, Option<i32>, String)> {
    let ended = futures_util::stream::iter(runs).map(Run::end);
    let ended: Vec<_> = ended.buffer_unordered(AT_ONCE).collect().await;
    let leaks: Vec<String> = ended
        .iter()
        .filter_map(|(what, _, text)| leak(text).map(|line| format!("{what}\n    {line}")))
        .collect();
    assert!(leaks.is_empty(), "{} leaks:\n{}", leaks.len(), leaks.join("\n"));
    ended
}

/// Returns 32 bytes that contain the marker, in base64.
fn key(number: u8) -> String {
    let mut bytes = [number; 32];
    bytes[..MARKER.len()].copy_from_slice(MARKER.as_bytes());
    bytes[31] = 0xff;
    STANDARD.encode(bytes)
}

/// Returns every secret setting with a valid value, and the settings that a secret setting needs.
/// No server listens at these ports. The URLs contain `password`.
fn secret_settings(password: &str, host: &str) -> Vec<(&'static str, String)> {
    let port = free_port();
    vec![
        ("database.url", format!("postgres://ada:{password}@{host}:{port}/d?sslpassword={MARKER}")),
        ("redis.url", format!("redis://ada:{password}@{host}:{port}/0?unknown={MARKER}")),
        ("mail.smtp_url", format!("smtp://ada:{password}@{host}:{port}")),
        ("secrets.master_key", key(1)),
        ("secrets.master_key_previous", key(2)),
        ("tokens.secret", format!("{MARKER}-0123456789-abcdefghijk")),
        ("tokens.algorithm", "HS256".to_owned()),
        ("tokens.allow_shared_secret", "true".to_owned()),
        ("captcha.provider", "turnstile".to_owned()),
        ("captcha.secret", MARKER.to_owned()),
        ("captcha.site_key", "a-public-key".to_owned()),
        ("captcha.hostnames", "localhost".to_owned()),
        ("captcha.verify_url", format!("http://127.0.0.1:{port}/siteverify")),
        ("password.pepper", format!("3:{}", key(3))),
        ("password.pepper_previous", format!("1:{},2:{}", key(4), key(5))),
        ("password.breach_url", format!("http://127.0.0.1:{port}/range/")),
        ("introspection.clients", format!("gateway:{MARKER}0123456789")),
        ("telemetry.endpoint", format!("http://127.0.0.1:{port}")),
        ("telemetry.headers", format!("authorization=Bearer%20{MARKER}")),
    ]
}

fn with(place: Place, settings: &[(&'static str, String)]) -> Place {
    settings.iter().fold(place, |place, (key, value)| place.set(key, value))
}

/// Returns a place in which every secret setting contains the marker.
fn marked(password: &str, host: &str) -> Place {
    with(Place::new(), &secret_settings(password, host))
        .variable("OTEL_EXPORTER_OTLP_METRICS_HEADERS", &format!("x={MARKER}"))
        .variable("LATCHKEY_SERVICE_HOST", MARKER)
}

/// Returns every command of the program, with its arguments.
fn every_command() -> Vec<String> {
    let id = "018f0000-0000-7000-8000-000000000000";
    let line = |command: &str| {
        let given = ARGUMENTS.iter().find(|(name, _)| *name == command);
        let given = given.map(|(_, given)| *given).unwrap_or_default();
        let words = command.split(' ').chain(given.iter().copied());
        let words = words.map(|word| {
            word.replace("{email}", "ada@work.example").replace("{team}", id).replace("{kid}", "k")
        });
        words.collect::<Vec<_>>().join(" ")
    };
    let all = commands().into_iter().map(|(command, _)| command);
    // `serve` runs until it is stopped, so the tests in `served` start it.
    all.filter(|command| *command != "serve").map(line).collect()
}

#[test]
fn the_search_finds_the_marker_in_each_of_its_forms() {
    let plain = STANDARD.encode(format!("\0ada\0{MARKER}"));
    for shown in [
        format!("password {MARKER}!"),
        MARKER.to_uppercase(),
        format!("AUTH PLAIN {plain}"),
        key(1),
        STANDARD.encode(format!("1{MARKER} and more")),
        format!("{:?}", format!("x{MARKER}").as_bytes()),
        "%4D%6B%37%71%5A%39%78%4D%61%72%6B%65%72".to_owned(),
        "4d6b37715a39784d61726b6572".to_owned(),
    ] {
        assert!(leak(&format!("a line\n{shown}\n")).is_some(), "{shown}");
    }
    assert_eq!(leak("Mk7qZ9x\nMarker"), None);
    let settings = secret_settings("p", "h");
    let known: BTreeSet<&str> = settings.iter().map(|(key, _)| *key).collect();
    // The daemon does not use the URL of the owner. A test of `latchkey migrate` looks for its
    // password.
    let of_daemon = |key: &str| key != "database.migrate_url";
    for setting in settings::all().filter(|it| it.kind.is_secret() && of_daemon(it.key)) {
        assert!(known.contains(setting.key), "give {} a marker here", setting.key);
    }
    for (key, value) in &settings {
        let is_secret = settings::all().any(|it| it.key == *key && it.kind.is_secret());
        let is_url = ["redis.url", "mail.smtp_url"].contains(key);
        assert!(!is_secret || is_url || leak(value).is_some(), "{key} holds no marker");
    }
}

/// In this test the marker is in a setting that is not a secret, so the program prints it. The
/// search must find it in the output of a real run.
#[tokio::test]
#[should_panic(expected = "1 leaks")]
async fn a_run_that_prints_the_marker_fails() {
    let place = Place::new().set("tokens.audience", MARKER);
    run_all(vec![Run::new("control", place, "config print")]).await;
}

#[tokio::test]
async fn no_command_prints_a_secret_while_its_servers_are_away() {
    let passwords = [
        (MARKER.to_owned(), "127.0.0.1"),
        (format!("{MARKER}@p%3A%2F%23%3F%25"), "[::1]"),
        (format!("%4D%6B%37%71%5A%39%78%4D%61%72%6B%65%72:{MARKER}"), "nowhere.invalid"),
    ];
    let mut runs = Vec::new();
    for (number, (password, host)) in passwords.iter().enumerate() {
        for command in every_command() {
            let json = format!("{command} --json");
            runs.push(Run::new(password, marked(password, host), &command));
            if number == 0 && !command.starts_with("completions") {
                runs.push(Run::new(password, marked(password, host), &json));
            }
        }
    }
    let ended = run_all(runs).await;
    assert!(ended.len() > 100, "every command is run: {}", ended.len());
    let printed = ended.iter().find(|(what, ..)| what.ends_with("latchkey config print"));
    let (_, code, text) = printed.expect("it is a command");
    assert_eq!(*code, Some(0), "{text}");
    assert!(text.contains("postgres://***@") && text.contains("redis://***@"), "{text}");
    let away = ended.iter().filter(|(.., text)| text.contains("cannot reach the database"));
    assert!(away.count() > 20, "commands got as far as the database");
}
