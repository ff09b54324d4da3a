//! Tests with secrets in invalid settings. The setting is malformed, is the wrong setting, has a
//! wrong name, or comes from a file that cannot be read.

use std::os::unix::ffi::OsStrExt as _;

use latchkey::config::settings;
use serde_json::{Map, Value};

use super::{MARKER, Run, every_command, holds_no_marker, marked, run_all};
use crate::process::{Ended, Place};

/// The settings that contain the URL of a server, each with its schemes.
const URLS: [(&str, &[&str]); 3] = [
    ("database.url", &["postgres", "postgresql"]),
    ("redis.url", &["redis", "rediss"]),
    ("mail.smtp_url", &["smtp", "smtps"]),
];

/// Invalid URLs. `S` stands for a scheme of the setting, and `M` for the marker.
const SHAPES: [&str; 21] = [
    "S://ada:M@db1:5432,db2:5432/d",
    "S://ada:M@db1,db2",
    "S://ada:M@[::1/d",
    "S://ada:M@[::1]x/d",
    "S://ada:M/x@h/d",
    "S://ada:1/M@h/d",
    "S://ada:1#M@h/d",
    "S://ada:1?M@h/d",
    "S://ada:M%zz@h/d",
    "S://ada:M%E4@h/d",
    "S://ada:M@/d",
    "S://ada:M@h:99999/d",
    "S://ada:M x@h/d",
    "S://ada:M\n@h/d",
    "S://:M",
    "S:ada:M@h/d",
    "S:/ada:M@h/d",
    "xS://ada:M@h/d",
    "host=h user=ada password=M",
    "host=h,password=M",
    "M",
];

/// URLs that only the drivers of the stores refuse, and special forms of single settings.
const SINGLE: [(&str, &str); 14] = [
    ("database.url", "postgres://ada@h/d?sslmode=M"),
    ("database.url", "postgres://ada@h/d?port=M"),
    ("database.url", "postgres://ada:M@h/d?host=a,b"),
    ("database.url", "sqlite://ada:M@h/x.db"),
    ("database.url", "sqlite://ada:M/x.db"),
    ("database.url", "sqlite://x.db?mode=M"),
    ("database.url", "sqlite://x.db?M=1"),
    ("redis.url", "redis://ada:p@h/M"),
    ("redis.url", "redis://ada:p@h/0?protocol=M"),
    ("redis.url", "rediss://ada:p@h/0#M"),
    ("redis.url", "redis+cluster://ada:M@a:1,b:x"),
    ("mail.smtp_url", "smtp://M@h"),
    ("mail.smtp_url", "smtp://h?tls=M"),
    ("mail.smtp_url", "smtp://h?M=1"),
];

/// The way in which a setting reaches the program.
#[derive(Clone, Copy)]
enum Way {
    Variable,
    VariablesFile,
    Toml,
    Json,
}

const WAYS: [Way; 4] = [Way::Variable, Way::VariablesFile, Way::Toml, Way::Json];

/// Sets one setting in this way.
fn give(place: Place, key: &str, value: &str, way: Way) -> Place {
    let write = |place: &Place, name: &str, text: &str| -> String {
        std::fs::write(place.path(name), text).expect("written");
        place.path(name).display().to_string()
    };
    match way {
        Way::Variable => place.set(key, value),
        Way::VariablesFile => {
            let path = write(&place, key, value);
            place.set(&format!("{key}_file"), &path)
        }
        Way::Toml => {
            let quoted = Value::from(value).to_string();
            let before = std::fs::read_to_string(place.path("latchkey.toml")).unwrap_or_default();
            write(&place, "latchkey.toml", &format!("{before}{key} = {quoted}\n"));
            place
        }
        Way::Json => {
            let (section, name) = key.split_once('.').expect("a section");
            let inner = Map::from_iter([(name.to_owned(), Value::from(value))]);
            let json = Value::from_iter([(section.to_owned(), Value::from(inner))]);
            write(&place, &format!("{key}.json"), &json.to_string());
            place
        }
    }
}

/// Returns the `--config` arguments for the files that [`give`] wrote as JSON.
fn configs(way: Way, keys: &[&str]) -> String {
    let is_json = matches!(way, Way::Json);
    let flags = keys.iter().filter(|_| is_json).map(|key| format!(" --config {key}.json"));
    flags.collect()
}

fn filled(shape: &str, scheme: &str) -> String {
    shape.replace('M', MARKER).replace('S', scheme)
}

#[tokio::test]
async fn no_command_prints_a_secret_of_a_url_that_it_refuses() {
    let mut runs = Vec::new();
    let refused = |what: &str, settings: &[(&str, String)], way: Way, runs: &mut Vec<Run>| {
        let place = || {
            let fold = |place, (key, value): &(&str, String)| give(place, key, value, way);
            let place = Place::new().set("secrets.master_key", &super::key(1));
            settings.iter().fold(place, fold)
        };
        let keys: Vec<&str> = settings.iter().map(|(key, _)| *key).collect();
        let flags = configs(way, &keys);
        runs.push(Run::new(what, place(), &format!("doctor --json{flags}")));
        if matches!(way, Way::Variable) {
            runs.push(Run::new(what, place(), &format!("serve{flags}")));
        }
    };
    for shape in SHAPES {
        for (number, way) in WAYS.into_iter().enumerate() {
            let one = |(key, schemes): &(&'static str, &[&str])| {
                (*key, filled(shape, schemes[number % schemes.len()]))
            };
            let settings: Vec<(&str, String)> = URLS.iter().map(one).collect();
            refused(shape, &settings, way, &mut runs);
        }
    }
    for (key, shape) in SINGLE {
        for way in WAYS {
            refused(shape, &[(key, shape.replace('M', MARKER))], way, &mut runs);
        }
    }
    for (what, code, text) in run_all(runs).await {
        assert_eq!(code, Some(78), "{what}: {text}");
        let named = URLS.iter().any(|(key, _)| text.contains(key));
        assert!(named, "{what} names no setting: {text}");
    }
}

#[tokio::test]
async fn every_command_refuses_a_database_of_several_hosts_and_says_what_to_do() {
    let url = format!("postgres://ada:{MARKER}@db1:5432,db2:5432/d");
    let place = || Place::new().set("database.url", &url).set("secrets.master_key", &super::key(1));
    let all = every_command().into_iter().map(|command| Run::new("hosts", place(), &command));
    let ended = run_all(all.collect()).await;
    let refused: Vec<_> = ended.iter().filter(|(_, code, _)| *code == Some(78)).collect();
    assert!(refused.len() > 25, "{ended:?}");
    for (what, _, text) in refused {
        for part in [
            "database.url",
            "LATCHKEY_DATABASE__URL",
            "one host name that always leads to the primary",
        ] {
            assert!(text.contains(part), "{what}: no `{part}` in {text}");
        }
    }
}

#[tokio::test]
async fn an_unescaped_password_is_refused_with_its_escape() {
    for (password, escape) in [("a#b", "%23"), ("a/b", "%2F"), ("a?b", "%3F"), ("a%zz", "%25")] {
        let url = format!("postgres://ada:{password}@nowhere.invalid/d");
        let place =
            Place::new().set("database.url", &url).set("secrets.master_key", &super::key(1));
        let told = place.run(&["config", "check"]).expect(78).stderr();
        assert!(told.contains("percent-encode user and password"), "{told}");
        assert!(told.contains(escape) && !told.contains(password), "{told}");
    }
}

/// Tests every setting, whether it is secret or not. The value is a URL with a password, the
/// setting is read from a file with invalid text, or the name of its file is a secret.
#[tokio::test]
async fn no_refusal_of_any_setting_shows_a_secret() {
    let url = format!("https://ada:{MARKER}@auth.example:99999/");
    let mut runs = Vec::new();
    for setting in settings::all() {
        let direct = Place::new().set(setting.key, &url);
        runs.push(Run::new(setting.key, direct, "config print"));
    }
    let file = |text: &str| {
        let place = Place::new();
        std::fs::write(place.path("wrong"), text).expect("written");
        let path = place.path("wrong").display().to_string();
        let given = |place: Place, key: &str| place.set(&format!("{key}_file"), &path);
        settings::all()
            .fold(place, |place, setting| given(without(place, setting.key), setting.key))
    };
    runs.push(Run::new("wrong files", file(MARKER), "config check"));
    runs.push(Run::new("wrong files", file(&format!("{MARKER}\n[x")), "doctor --json"));
    for text in [url.clone(), MARKER.to_owned(), super::key(1), format!("/{MARKER}/x")] {
        let place = settings::all().fold(Place::new(), |place, setting| {
            without(place, setting.key).set(&format!("{}_file", setting.key), &text)
        });
        runs.push(Run::new("no file", place, "config check --json"));
    }
    let ended = run_all(runs).await;
    let refused = ended.iter().filter(|(_, code, _)| *code == Some(78)).count();
    assert!(refused > settings::all().count() * 3 / 4, "{refused} of {} are refused", ended.len());
}

/// Removes a setting that [`Place::new`] has set.
fn without(mut place: Place, key: &str) -> Place {
    let variable = format!("LATCHKEY_{}", key.replace('.', "__").to_uppercase());
    place.settings.retain(|(name, _)| *name != variable);
    place
}

#[tokio::test]
async fn no_file_that_cannot_be_parsed_is_quoted() {
    let files = [
        "database.url = \"postgres://ada:M@h/d",
        "database.url = postgres://ada:M@h/d",
        "database.url = 'postgres://ada:M@h/d' x",
        "secrets.master_key = M",
        "tokens.secret = [\"M\"]",
        "tokens.secret = {M = 1}",
        "tokens.secret = \"\\M\"",
        "tokens.secret = 'M'\ntokens.secret = 'M'",
        "introspection.clients = \"gateway:M\"",
        "[introspection.clients]\ngateway = \"M\"",
        "password.pepper_previous = [\"M\", 1]",
        "captcha.secret = '''M",
        "\"postgres://ada:M@h/d\" = 1",
        "M",
        "postgres://ada:M@h/d",
    ];
    let json = [
        "{\"tokens\": {\"secret\": \"M\"",
        "{\"tokens\": {\"secret\": M}}",
        "{\"tokens\": {\"secret\": [\"M\"]}}",
        "{\"tokens\": {\"secret\": \"M\", \"secret\": \"M\"}}",
        "{\"tokens\": {\"secret\": \"\\ud800M\"}}",
        "{\"postgres://ada:M@h/d\": 1}",
        "\"M\"",
    ];
    let mut runs = Vec::new();
    for (name, texts) in [("bad.toml", &files[..]), ("bad.json", &json[..])] {
        for text in texts {
            let place = Place::new();
            std::fs::write(place.path(name), text.replace('M', MARKER)).expect("written");
            runs.push(Run::new(*text, place, &format!("doctor --json --config {name}")));
        }
    }
    for (what, code, text) in run_all(runs).await {
        assert_eq!(code, Some(78), "{what}: {text}");
    }
}

#[tokio::test]
async fn no_secret_under_a_wrong_name_or_in_a_wrong_place_is_repeated() {
    let url = format!("postgres://ada:{MARKER}@h/d?a=b");
    let named = |name: &str, value: &str| Place::new().variable(name, value);
    let mut runs = vec![
        Run::new("typo", named("LATCHKEY_SECRETS__MASTER_KY", MARKER), "config check"),
        Run::new("typo", named("LATCHKEY_DATABASE_URL", &url), "serve"),
        Run::new("typo", named("LATCHKEY_DATABASE__ULR_FILE", &url), "doctor --json"),
        Run::new("otel", named("OTEL_EXPORTER_OTLP_HEADERS", MARKER), "config check"),
        Run::new("otel", named("OTEL_EXPORTER_OTLP_ENDPOINT", &url), "config check"),
        Run::new("otel", named("OTEL_EXPORTER_OTLP_HEADER", MARKER), "config print"),
    ];
    let http = format!("http://ada:{MARKER}@127.0.0.1:1/");
    let traces = named("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &http);
    runs.push(Run::new("otel", traces, "config check"));
    for line in [
        format!("--set {url} config check"),
        format!("--set database.url={url} config check"),
        format!("--set database.ulr={url} config check"),
        format!("--set secrets.master_key={MARKER} serve"),
        format!("--set {MARKER}== config check"),
        format!("config check database.url={url}"),
        format!("secrets.master_key={MARKER}"),
        format!("{url} serve"),
        format!("--sett=secrets.master_key={MARKER} serve"),
        format!("users list --limit=database.url={url}"),
        format!("healthcheck --url {http}"),
        format!("healthcheck --url http://127.0.0.1:1/readyz?token={MARKER}"),
        format!("--config {url} config check"),
    ] {
        runs.push(Run::new("command line", Place::new(), &line));
    }
    for (what, code, text) in run_all(runs).await {
        let is_warning = what.contains("config print");
        assert_eq!(code == Some(0), is_warning, "{what}: {text}");
    }
}

#[tokio::test]
async fn a_value_that_is_not_utf_8_is_not_repeated() {
    let place = Place::new();
    let value = [b"postgres://ada:", MARKER.as_bytes(), b"\xff@h/d"].concat();
    for variable in ["LATCHKEY_DATABASE__URL", "LATCHKEY_TOKENS__SECRET", "LATCHKEY_MISTYPED"] {
        let mut command = place.command(&["config", "check"]);
        command.env(variable, std::ffi::OsStr::from_bytes(&value));
        let ended = Ended(command.output().expect("the program runs")).expect(78);
        holds_no_marker(variable, &(ended.stdout() + &ended.stderr()));
    }
}

#[tokio::test]
async fn a_key_of_tls_that_lost_its_line_breaks_is_not_repeated() {
    let place = || {
        let place = marked(MARKER, "127.0.0.1");
        let key = format!("-----BEGIN PRIVATE KEY----- {MARKER} -----END PRIVATE KEY-----");
        std::fs::write(place.path("tls.pem"), key).expect("written");
        let path = place.path("tls.pem").display().to_string();
        place.set("http.tls.cert", &path).set("http.tls.key", &path)
    };
    let runs = ["serve", "doctor", "doctor --json"].map(|line| Run::new("PEM", place(), line));
    for (what, code, text) in run_all(runs.into()).await {
        assert_ne!(code, Some(0), "{what}: {text}");
        assert!(text.contains("BEGIN line"), "{what}: {text}");
    }
}
