//! Tests of the checks of URLs: which connections are refused, and what the operator reads.

use std::collections::BTreeMap;

use super::*;
use crate::config::{ConfigFile, Inputs, Machine, load};

const KEY: &str = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=";

/// Loads the settings of a file, and checks their URLs.
fn checked(text: &str) -> Result<Loaded, Problems> {
    let text = format!("secrets.master_key = '{KEY}'\n{text}");
    let file = ConfigFile { path: "latchkey.toml".into(), text: Ok(text) };
    load(&Inputs {
        files: vec![file],
        environment: &BTreeMap::new(),
        flags: &[],
        machine: Machine { cores: 1, log_on_terminal: false },
    })
    .and_then(check_urls)
}

/// The settings of a problem and of a warning.
fn told(text: &str) -> (Vec<String>, Vec<String>) {
    let keys = |all: Vec<Problem>| all.into_iter().map(|it| it.key).collect();
    match checked(text) {
        Ok(loaded) => (Vec::new(), keys(loaded.warnings)),
        Err(problems) => (keys(problems.0), Vec::new()),
    }
}

const MAIL: &str = "mail.smtp_url = 'smtps://mail.example.com'";
const EXPOSED: [(&str, &str); 16] = [
    ("database.url", "postgres://a@db.example/x"),
    ("database.url", "postgres://a@db.example/x?sslmode=prefer"),
    ("database.url", "postgres://a@db.example/x?sslmode=require"),
    ("database.url", "postgresql://a@10.0.0.7/x?sslmode=verify-full&sslmode=disable"),
    ("database.url", "postgres://a@localhost/x?host=db.example"),
    ("database.url", "postgres://a@127.0.0.1/x?hostaddr=10.0.0.7"),
    ("redis.url", "redis://redis.example:6379"),
    ("redis.url", "redis://:p@[2001:db8::7]:6379/1"),
    ("redis.url", "redis+cluster://localhost:1,b.example:2"),
    ("redis.url", "redis+cluster://127.0.0.1:7000"),
    ("database.url", "postgres://a@localhost./x"),
    ("redis.url", "redis://redis.localhost"),
    ("mail.smtp_url", "smtp://mail.localhost"),
    ("mail.smtp_url", "smtp://mail.example.com"),
    ("mail.smtp_url", "smtp://u:p@10.0.0.7:25"),
    ("mail.smtp_url", "smtp://localhost.example:25"),
];

#[test]
fn production_refuses_a_connection_without_verified_tls_unless_a_setting_allows_it() {
    for (key, url) in EXPOSED {
        let (section, _) = key.split_once('.').unwrap();
        let mail = if section == "mail" { "" } else { MAIL };
        let production = format!("profile = 'production'\n{mail}\n{key} = '{url}'");
        let problems = checked(&production).expect_err(url).0;
        assert_eq!(problems.len(), 1, "{url}: {problems:?}");
        assert_eq!(problems[0].key, key, "{url}");
        let instead = match section {
            "database" => "sslmode=verify-full",
            "redis" => "rediss://",
            _ => "?tls=required",
        };
        let allowed_by = format!("`{section}.tls_required` to false");
        let fix = &problems[0].fix;
        assert!(fix.contains(instead) && fix.contains(&allowed_by), "{url}: {fix}");
        let allowed = format!("{production}\n{section}.tls_required = false");
        assert_eq!(told(&allowed), (vec![], vec![key.to_owned()]), "{url}");
        let development = format!("{mail}\n{key} = '{url}'");
        assert_eq!(told(&development), (vec![], vec![key.to_owned()]), "{url}");
        let required = format!("{development}\n{section}.tls_required = true");
        assert_eq!(told(&required), (vec![key.to_owned()], vec![]), "{url}");
    }
}

#[test]
fn this_machine_and_a_verified_server_are_allowed_in_production() {
    for (key, url) in [
        ("database.url", "postgres://a@127.0.0.2/x"),
        ("database.url", "postgres://a@[::1]/x?sslmode=disable"),
        ("database.url", "postgres://a@localhost/x"),
        ("database.url", "postgres://a@%2Frun%2Fpostgresql/x"),
        ("database.url", "postgresql:///x?host=/run/postgresql"),
        ("database.url", "postgres://a@db.example/x?sslmode=verify-full"),
        ("redis.url", "redis://[::ffff:127.0.0.1]:6379"),
        ("redis.url", "unix:///run/redis.sock"),
        ("redis.url", "rediss://:p@redis.example"),
        ("redis.url", "rediss+cluster://a.example:1,b.example:2"),
        ("mail.smtp_url", "smtp://u:p@localhost:25"),
        ("mail.smtp_url", "smtp://[::1]:25"),
        ("mail.smtp_url", "smtp://mail.example?tls=required"),
    ] {
        let mail = if key.starts_with("mail") { "" } else { MAIL };
        let text = format!("profile = 'production'\n{mail}\n{key} = '{url}'");
        assert_eq!(told(&text), (vec![], vec![]), "{url}");
    }
    let any_name = "postgres://a@db.example/x?sslmode=verify-ca";
    let text = format!("profile = 'production'\n{MAIL}\ndatabase.url = '{any_name}'");
    assert_eq!(told(&text), (vec![], vec!["database.url".to_owned()]));
}

#[test]
fn a_file_of_authorities_that_cannot_be_used_is_a_problem_of_its_setting() {
    for (section, url) in [
        ("database", "database.url = 'postgres://a@localhost/x?sslmode=verify-full'"),
        ("redis", "redis.url = 'rediss://localhost'"),
        ("mail", "mail.smtp_url = 'smtps://localhost'"),
    ] {
        let text = format!("{url}\n{section}.ca_file = '/nowhere/ca.pem'");
        let problems = checked(&text).expect_err(section).0;
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(problems[0].key, format!("{section}.ca_file"));
        assert!(problems[0].what.contains("/nowhere/ca.pem"), "{problems:?}");
    }
    let text = "database.url = 'postgres://a:hunter2@localhost/x?sslrootcert=/nowhere/ca.pem'";
    let problems = checked(text).unwrap_err().to_string();
    assert!(problems.contains("sslrootcert that names the file /nowhere/ca.pem"), "{problems}");
    assert!(!problems.contains("hunter2"), "{problems}");
}

#[test]
fn the_owners_url_needs_verified_tls_as_well() {
    let settings = format!(
        "profile = 'production'\n{MAIL}\ndatabase.url = 'postgres://a@db.example/x?sslmode=verify-full'\n\
         database.migrate_url = 'postgres://owner@db.example/x"
    );
    let problems = checked(&format!("{settings}'")).expect_err("no TLS").0;
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0].key, "database.migrate_url");
    checked(&format!("{settings}?sslmode=verify-full'")).expect("verified");
}

#[test]
fn require_is_told_as_encrypted_and_not_verified() {
    for (mode, what) in [
        ("require", "encrypts the connection, but does not verify the server"),
        ("prefer", "does not verify the server, and may connect without encryption"),
    ] {
        let text = format!("{MAIL}\ndatabase.url = 'postgres://a@db.example/x?sslmode={mode}'");
        let warnings = checked(&text).expect("a warning").warnings;
        assert!(warnings[0].what.contains(what), "{mode}: {warnings:?}");
    }
}

#[test]
fn settings_without_effect_are_told_for_both_roles() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ca.pem");
    let certificate = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
    std::fs::write(&file, certificate.cert.pem()).unwrap();
    let ca = format!("{MAIL}\ndatabase.ca_file = '{}'", file.display());
    let at = |url: &str| format!("{ca}\ndatabase.url = '{url}'");
    for unverified in ["", "?sslmode=require", "?sslmode=prefer", "?sslmode=disable"] {
        let told = told(&at(&format!("postgres://a@localhost/x{unverified}")));
        assert_eq!(told, (vec![], vec!["database.ca_file".to_owned()]), "{unverified}");
    }
    for verified in ["?sslmode=verify-full", "?sslmode=verify-ca"] {
        let told = told(&at(&format!("postgres://a@localhost/x{verified}")));
        assert_eq!(told, (vec![], vec![]), "{verified}");
    }
    let owner = "database.url = 'postgres://a@localhost/x'\n\
                 database.migrate_url = 'postgres://owner@localhost/x?pgbouncer=true'";
    assert_eq!(told(owner), (vec![], vec!["database.migrate_url".to_owned()]));
}
