//! Tests of files, variables, flags and values in their own files: which source has priority, and
//! which problems are reported.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use super::{Given, KEY, SECRET, keys, toml, variable};
use crate::config::{Inputs, LogFormat, Machine, Profile, Source, VaultAlgorithm};

/// A file with this text and mode, and its path. The file is deleted when it is dropped.
fn value_file(text: &str, mode: u32) -> (tempfile::NamedTempFile, String) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file.as_file().set_permissions(std::fs::Permissions::from_mode(mode)).unwrap();
    let path = file.path().to_str().unwrap().to_owned();
    (file, path)
}

#[test]
fn nothing_given_is_a_configuration_for_one_machine() {
    let loaded = Given::default().loaded();
    let config = loaded.config;
    assert_eq!(config.profile, Profile::Development);
    assert_eq!(config.http.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.admin.listen.to_string(), "127.0.0.1:9090");
    assert_eq!(config.public_url, "http://127.0.0.1:8080");
    assert_eq!(config.tokens.issuer, config.public_url);
    assert_eq!(config.database.url.expose(), "sqlite://./data/latchkey.db");
    assert!(config.database.auto_migrate && config.is_embedded());
    assert_eq!(config.mail.from, "latchkey <no-reply@localhost>");
    assert_eq!(config.tokens.algorithm, VaultAlgorithm::Es256);
    assert_eq!(config.tokens.user_ttl, Duration::from_mins(15));
    assert_eq!(config.sessions.absolute_ttl, Duration::from_hours(720));
    assert_eq!(config.audit.retention, Duration::from_hours(9_600));
    assert_eq!(config.password.workers, 3);
    assert_eq!(config.captcha.on, [crate::config::CaptchaPoint::Resend]);
    assert_eq!(config.log.format, LogFormat::Json);
    assert!(config.secrets.master_key.is_none());
    assert_eq!(loaded.warnings, []);
    assert!(loaded.sources.iter().all(|shown| shown.source == Source::Default));
}

#[test]
fn the_log_has_colours_on_a_terminal_alone_and_not_where_they_are_refused() {
    let terminal = || Given::default().on_terminal();
    assert!(terminal().loaded().config.log_is_coloured);
    assert!(terminal().variable("NO_COLOR", "").loaded().config.log_is_coloured);
    assert!(!terminal().variable("NO_COLOR", "1").loaded().config.log_is_coloured);
    assert!(!Given::default().loaded().config.log_is_coloured);
}

#[test]
fn who_asks_or_tells_somebody_else_is_not_embedded() {
    for flag in [
        "telemetry.endpoint=http://127.0.0.1:4318",
        "password.breach_url=http://127.0.0.1:1/range/",
    ] {
        assert!(!Given::default().flag(flag).loaded().config.is_embedded(), "{flag}");
    }
    let vendor = variable("LATCHKEY_CAPTCHA__PROVIDER", "turnstile")
        .variable("LATCHKEY_CAPTCHA__SECRET", SECRET)
        .variable("LATCHKEY_CAPTCHA__SITE_KEY", "key")
        .variable("LATCHKEY_CAPTCHA__HOSTNAMES", "localhost");
    assert!(!vendor.loaded().config.is_embedded());
}

#[test]
fn flags_win_over_variables_over_later_files_over_earlier_ones() {
    let given = toml("http.max_in_flight = 1\nhttp.max_connections = 1\ntokens.audience = 'a'")
        .file("b.json", "{\"http\": {\"max_in_flight\": 2,\n\"max_connections\": 2}}");
    let loaded = given
        .variable("LATCHKEY_HTTP__MAX_IN_FLIGHT", "3")
        .flag("http.max_in_flight=4")
        .flag("log.filter=debug")
        .loaded();
    assert_eq!(loaded.config.http.max_in_flight, 4);
    assert_eq!(loaded.config.http.max_connections, 2);
    let source = |key: &str| {
        loaded.sources.iter().find(|shown| shown.key == key).unwrap().source.to_string()
    };
    assert_eq!(source("http.max_in_flight"), "--set");
    assert_eq!(source("http.max_connections"), "b.json:2");
    assert_eq!(source("tokens.audience"), "latchkey.toml:3");
    assert_eq!(source("http.listen"), "default");
}

#[test]
fn every_problem_is_told_at_once_with_its_place_and_a_fix() {
    let given = toml(
        "profle = 'production'\n\n[tokens]\nacces_ttl = '15m'\nuser_ttl = 15\n\n[http]\nlisten = 'localhost:8080'\n",
    );
    let problems = given
        .variable("LATCHKEY_HTTP_LISTEN", "x")
        .variable("LATCHKEY_PASSWORD__ITERATIONS", "0")
        .flag("nonsense")
        .load()
        .unwrap_err();
    let text = problems.to_string();
    assert!(text.starts_with("error: 7 problems in the configuration\n"), "{text}");
    for line in [
        "profle is an unknown key (in latchkey.toml:1) did you mean `profile`?",
        "tokens.acces_ttl is an unknown key (in latchkey.toml:4) did you mean `tokens.",
        "tokens.user_ttl is an integer (in latchkey.toml:5) write it as a number and a unit: \"15m\"",
        "http.listen `localhost:8080` is not an IP address and a port (in latchkey.toml:8) write it as 127.0.0.1:8080",
        "LATCHKEY_HTTP_LISTEN is an unknown variable did you mean `LATCHKEY_HTTP__LISTEN`?",
        "password.iterations `0` is out of range (in LATCHKEY_PASSWORD__ITERATIONS) write an integer from 1",
        "--set is not key=value",
    ] {
        let squeezed =
            text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
        assert!(squeezed.into_iter().any(|told| told.starts_with(line)), "{line}\n{text}");
    }
}

#[test]
fn an_unknown_key_without_a_likeness_says_where_all_are() {
    let problems = toml("zzz = 1\n[http]\n[database.pool]\nsize = 3").problems();
    assert_eq!(keys(&problems), ["zzz", "database.pool.size"]);
    assert!(problems[0].fix.contains("config init"));
    assert!(toml("http = 5").problems()[0].fix.contains("`http` is a section"));
}

#[test]
fn kubernetes_own_variables_are_ignored() {
    let given = Given::default()
        .variable("LATCHKEY_SERVICE_HOST", "10.0.0.1")
        .variable("LATCHKEY_SERVICE_PORT_HTTP", "80")
        .variable("LATCHKEY_PORT", "tcp://10.0.0.1:80")
        .variable("LATCHKEY_PORT_80_TCP_ADDR", "10.0.0.1")
        .variable("PATH", "/bin");
    assert_eq!(given.loaded().warnings, []);
}

#[test]
fn the_links_of_other_kubernetes_services_are_ignored() {
    let links = |prefix: &str| {
        Given::default()
            .variable(&format!("{prefix}_SERVICE_HOST"), "10.0.0.2")
            .variable(&format!("{prefix}_SERVICE_PORT"), "5432")
            .variable(&format!("{prefix}_SERVICE_PORT_TCP_POSTGRESQL"), "5432")
            .variable(&format!("{prefix}_PORT"), "tcp://10.0.0.2:5432")
            .variable(&format!("{prefix}_PORT_5432_TCP"), "tcp://10.0.0.2:5432")
            .variable(&format!("{prefix}_PORT_5432_TCP_PROTO"), "tcp")
            .variable(&format!("{prefix}_PORT_5432_TCP_PORT"), "5432")
            .variable(&format!("{prefix}_PORT_5432_TCP_ADDR"), "10.0.0.2")
            .variable(&format!("{prefix}_PORT_53_UDP_ADDR"), "10.0.0.2")
    };
    for prefix in
        ["LATCHKEY_POSTGRESQL", "LATCHKEY_REDIS_MASTER", "LATCHKEY_ADMIN", "OTEL_COLLECTOR"]
    {
        assert_eq!(links(prefix).loaded().warnings, [], "{prefix}");
    }
    assert_eq!(variable("LATCHKEY_IMAGE", "latchkey:0.1.0").loaded().warnings, []);
}

#[test]
fn a_misspelled_setting_is_no_link_of_a_service() {
    for (name, value) in [
        ("LATCHKEY_HTTP_LISTEN", "127.0.0.1:1"),
        ("LATCHKEY_HTTP_PORT", "8080"),
        ("LATCHKEY_HTTP__PORT", "tcp://10.0.0.2:80"),
        ("LATCHKEY_HTTP__SERVICE_HOST", "10.0.0.2"),
        ("LATCHKEY_DB_PORT_X_TCP", "5432"),
        ("LATCHKEY_DB_PORT_5432_HTTP", "5432"),
        ("LATCHKEY_SMTP_HOST", "mail.example.com"),
    ] {
        let problems = variable(name, value).problems();
        assert_eq!(keys(&problems), [name]);
        assert_eq!(problems[0].what, "is an unknown variable", "{name}");
    }
    let problems = variable("LATCHKEY_POSTGRESQL_HOST", "10.0.0.2").problems();
    assert!(!problems[0].fix.contains("did you mean"), "{problems:?}");
}

#[test]
fn no_setting_looks_like_the_link_of_a_service() {
    for setting in crate::config::settings::all() {
        for name in [setting.variable(), format!("{}_FILE", setting.variable())] {
            let is_link = crate::config::environment::is_service_link(&name, "tcp://10.0.0.2:1");
            assert!(!is_link, "{name}");
        }
    }
}

#[test]
fn lists_come_by_commas_from_variables_and_as_lists_from_files() {
    let loaded = variable("LATCHKEY_HTTP__TRUSTED_PROXIES", "10.0.0.0/8, fd00::/8,192.0.2.1")
        .variable("LATCHKEY_CAPTCHA__ON", "")
        .file(
            "a.toml",
            "http.cors_origins = ['HTTPS://App.example.com:443/']\ncaptcha.on = ['forgot']",
        )
        .loaded();
    let proxies: Vec<_> =
        loaded.config.http.trusted_proxies.iter().map(ToString::to_string).collect();
    assert_eq!(proxies, ["10.0.0.0/8", "fd00::/8", "192.0.2.1/32"]);
    assert_eq!(loaded.config.http.cors_origins, ["https://app.example.com"]);
    assert_eq!(loaded.config.captcha.on, []);
    assert_eq!(
        toml("captcha.on = 'resend'").problems()[0].what,
        "is a string (in latchkey.toml:1)"
    );
    assert_eq!(toml("captcha.on = [1]").problems().len(), 1);
    assert_eq!(variable("LATCHKEY_CAPTCHA__ON", "resend,login").problems().len(), 1);
}

#[test]
fn a_value_may_come_from_a_file_without_its_trailing_newline() {
    let (_file, path) = value_file(&format!("{KEY}\n"), 0o600);
    let (_other, listen) = value_file("127.0.0.1:1\r\n", 0o644);
    let loaded = variable("LATCHKEY_SECRETS__MASTER_KEY_FILE", &path)
        .file("a.json", &format!("{{\"http\":{{\"listen_file\":{listen:?}}}}}"))
        .loaded();
    assert!(loaded.config.secrets.master_key.is_some());
    assert_eq!(loaded.config.http.listen.port(), 1);
    assert_eq!(loaded.warnings, []);
}

#[test]
fn a_value_given_both_ways_is_an_error() {
    let (_file, path) = value_file(SECRET, 0o600);
    let problems = variable("LATCHKEY_TOKENS__SECRET_FILE", &path)
        .variable("LATCHKEY_TOKENS__SECRET", SECRET)
        .problems();
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].key, "tokens.secret");
    assert_eq!(problems[0].what, "is set twice in the environment: as a value and as a file");
    assert_eq!(problems[0].fix, "remove one of them");
    let problems = toml(&format!("[mail]\nfrom = 'a@b'\nfrom_file = '{path}'")).problems();
    assert_eq!(problems[0].what, "is set both as a value and as a file (in latchkey.toml:3)");
    let twice =
        Given::default().file("a.json", r#"{"profile":"production","profile":"development"}"#);
    assert_eq!(twice.problems()[0].what, "is set twice (in a.json:1)");
}

#[test]
fn a_value_file_that_is_missing_or_empty_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("secret").display().to_string();
    let problems = variable("LATCHKEY_TOKENS__SECRET_FILE", &missing).problems();
    assert!(problems[0].what.contains(&format!("`{missing}`, which cannot be read")));
    assert_eq!(problems[0].key, "tokens.secret_file");
    // Text that is not the path of a file in an existing folder may be the secret itself.
    for text in [SECRET, "/hunter2==", "postgres://u:hunter2@h/d", "/nonexistent/hunter2"] {
        let problems = variable("LATCHKEY_TOKENS__SECRET_FILE", text).problems();
        assert!(problems[0].what.contains("names a file, which cannot be read"), "{text}");
        assert!(problems[0].what.ends_with("(in LATCHKEY_TOKENS__SECRET_FILE)"), "{text}");
    }
    let (_file, path) = value_file("\n", 0o600);
    let problems = variable("LATCHKEY_REDIS__URL_FILE", &path).problems();
    assert!(problems[0].what.contains("which is empty"));
    assert!(variable("LATCHKEY_REDIS__URL", "").problems()[0].what.starts_with("is empty"));
}

#[test]
fn a_secret_that_everybody_can_read_is_an_error_in_production_and_else_a_warning() {
    let (_file, path) = value_file(KEY, 0o644);
    let given = || variable("LATCHKEY_SECRETS__MASTER_KEY_FILE", &path);
    assert_eq!(keys(&given().loaded().warnings), ["secrets.master_key_file"]);
    let problems = given()
        .variable("LATCHKEY_PROFILE", "production")
        .variable("LATCHKEY_MAIL__SMTP_URL", "smtps://mail.example.com")
        .problems();
    assert_eq!(keys(&problems), ["secrets.master_key_file"]);
    assert!(problems[0].fix.starts_with("run chmod o-r"));
}

#[test]
fn a_configuration_file_with_a_secret_in_it_is_a_secret_file() {
    let given = |text: &str, mode| {
        let (file, path) = value_file(text, mode);
        let given = Given::default().file(&path, text);
        let given = given.variable("LATCHKEY_MAIL__SMTP_URL", "smtps://mail.example.com");
        (file, path, given)
    };
    let inline = "mail.smtp_url = 'smtps://ada:hunter2@mail.example.com'\ncaptcha.secret = 'x'";
    for mode in [0o644, 0o602] {
        let (_file, path, given) = given(inline, mode);
        let loaded = given.loaded();
        let told: Vec<_> = loaded.warnings.iter().filter(|it| it.key == path).collect();
        assert_eq!(told.len(), 1, "{mode:o}: {:?}", loaded.warnings);
        // A secret counts even if an environment variable overrides it.
        assert!(told[0].what.starts_with("contains `mail.smtp_url`, `captcha.secret`"));
        assert!(!told[0].what.contains("hunter2"));
        assert_eq!(loaded.secret_files, [std::path::PathBuf::from(&path)]);
        let problems = given.variable("LATCHKEY_PROFILE", "production").problems();
        let fix = format!("run chmod o-rw {path}, or set `mail.smtp_url_file` instead");
        assert!(problems.iter().any(|it| it.key == path && it.fix == fix), "{problems:?}");
    }
    let (_file, path, closed) = given(inline, 0o640);
    assert!(closed.loaded().warnings.iter().all(|it| it.key != path));
    let (_file, path, open) = given("mail.smtp_url = 'smtps://mail.example.com'", 0o644);
    let loaded = open.loaded();
    assert!(loaded.warnings.iter().all(|it| it.key != path), "there is no secret in it");
    assert_eq!(loaded.secret_files, [] as [std::path::PathBuf; 0]);
}

#[test]
fn secrets_are_blank_in_what_is_shown_and_absent_from_problems() {
    let loaded = variable("LATCHKEY_SECRETS__MASTER_KEY", KEY)
        .variable("LATCHKEY_DATABASE__URL", "postgres://u:hunter2@db/x?password=hunter3")
        .variable("LATCHKEY_CAPTCHA__SECRET", "hunter4")
        .loaded();
    let shown = format!("{:?}", loaded.sources);
    for secret in [KEY, "hunter"] {
        assert!(!shown.contains(secret), "{shown}");
        assert!(!format!("{:?}", loaded.config).contains(secret));
    }
    let given = toml("tokens.secret = 'hunter5'").variable("LATCHKEY_REDIS__URL", "x://:hunter6@h");
    let inputs = Inputs {
        files: given.files.clone(),
        environment: &given.environment,
        flags: &["redis.url=hunter7".to_owned()],
        machine: Machine { cores: 1, log_on_terminal: false },
    };
    assert!(!format!("{inputs:?}").contains("hunter"), "{inputs:?}");
    assert!(shown.contains("postgres://***@db/x"));
    let problems = Given::default()
        .variable("LATCHKEY_SECRETS__MASTER_KEY", "hunter2")
        .variable("LATCHKEY_DATABASE__URL", "hunter2")
        .variable("LATCHKEY_REDIS__URL", "http://hunter2")
        .variable("LATCHKEY_TOKENS__SECRET", "hunter2")
        .variable("LATCHKEY_INTROSPECTION__CLIENTS", "hunter2")
        .flag("mail.smtp_url=smtp://hunter2")
        .load()
        .unwrap_err();
    assert_eq!(problems.0.len(), 6, "{problems}");
    assert!(!problems.to_string().contains("hunter2"), "{problems}");
}

#[test]
fn a_file_that_cannot_be_read_or_parsed_is_named_with_its_line() {
    let problems = toml("[http\nlisten = 1\n").problems();
    assert!(problems[0].key.starts_with("latchkey.toml:1"), "{problems:?}");
    let problems = Given::default().file("a.json", "{\n \"http\": {,}}").problems();
    assert!(problems[0].fix.contains("line 2"), "{problems:?}");
    let missing = super::ConfigFile::read(std::path::Path::new("/nonexistent/a.toml"));
    let given = Given { files: vec![missing], ..Given::default() };
    assert_eq!(given.problems()[0].what, "cannot be read");
}

#[test]
fn values_in_files_have_their_own_shapes() {
    for text in [
        "http.max_in_flight = '5'",
        "http.max_in_flight = 5.0",
        "http.max_in_flight = -5",
        "rate_limit.enabled = 'true'",
        "profile = true",
        "http.listen = 8080",
        "public_url = { a = 1 }",
        "tokens.secret_file = 5",
        "log.filter = 'a=b=c=d'",
        "mail.from = 'nobody'",
    ] {
        assert_eq!(toml(text).problems().len(), 1, "{text}");
    }
    assert_eq!(toml("http.max_in_flight = 0x10").loaded().config.http.max_in_flight, 16);
}

#[test]
fn a_value_that_is_not_utf_8_is_refused() {
    assert!(
        variable("LATCHKEY_TOKENS__AUDIENCE", "a\u{fffd}").problems()[0].what.contains("UTF-8")
    );
}

#[test]
fn a_url_that_is_shown_holds_no_user_no_query_and_no_fragment() {
    for key in ["captcha.verify_url", "tokens.issuer", "password.breach_url", "telemetry.endpoint"]
    {
        for url in ["https://u:hunter2@h", "https://h/?k=hunter2", "https://h/#hunter2"] {
            let problems = Given::default().flag(&format!("{key}={url}")).problems();
            assert_eq!(keys(&problems), [key], "{url}");
            assert!(!format!("{problems:?}").contains("hunter2"), "{problems:?}");
        }
    }
    for name in ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"] {
        let problems = variable(name, "https://u:hunter2@h:4318").problems();
        assert!(problems.iter().all(|it| it.key == name), "{problems:?}");
        assert!(problems[0].fix.contains("OTEL_EXPORTER_OTLP_HEADERS"));
    }
}

#[test]
fn a_value_is_quoted_where_it_is_no_secret_and_stands_in_no_file() {
    let (_file, path) = value_file("hunter2", 0o600);
    let told = |given: Given| given.problems()[0].what.clone();
    assert!(told(variable("LATCHKEY_HTTP__LISTEN", "nowhere")).starts_with("`nowhere` is not"));
    let file = told(variable("LATCHKEY_HTTP__LISTEN_FILE", &path));
    assert!(file.starts_with("is not an IP address and a port"), "{file}");
    let long = told(variable("LATCHKEY_HTTP__LISTEN", &"x".repeat(500)));
    assert!(long.contains("x…`") && long.len() < 200, "{long}");
    let flag = Given::default().flag("postgres://u:hunter2@h/d?a=b").load().unwrap_err();
    assert!(!flag.to_string().contains("hunter2"), "{flag}");
}
