//! Tests of the settings of connections: TLS and certificate authorities.

use super::rules::production;
use super::{Given, keys, toml, variable};

#[test]
fn tls_is_required_in_production_unless_a_setting_allows_its_absence() {
    let required = |given: Given| {
        let config = given.loaded().config;
        [config.database.tls_required, config.redis.tls_required, config.mail.tls_required]
    };
    assert_eq!(required(toml("")), [false; 3]);
    assert_eq!(required(production("")), [true; 3]);
    assert_eq!(required(production("database.tls_required = false")), [false, true, true]);
    assert_eq!(required(toml("redis.tls_required = true")), [false, true, false]);
    assert_eq!(
        required(production("").variable("LATCHKEY_MAIL__TLS_REQUIRED", "false")),
        [true, true, false]
    );
}

#[test]
fn a_file_of_authorities_without_tls_has_no_effect() {
    for (text, key) in [
        ("database.ca_file = 'ca.pem'", "database.ca_file"),
        ("redis.ca_file = 'ca.pem'", "redis.ca_file"),
        ("redis.ca_file = 'ca.pem'\nredis.url = 'redis://localhost'", "redis.ca_file"),
        ("mail.ca_file = 'ca.pem'\nmail.smtp_url = 'smtp://localhost'", "mail.ca_file"),
    ] {
        assert_eq!(keys(&toml(text).loaded().warnings), [key], "{text}");
    }
    for text in [
        "redis.ca_file = 'ca.pem'\nredis.url = 'rediss+cluster://a,b'",
        "mail.ca_file = 'ca.pem'\nmail.smtp_url = 'smtp://a?tls=required'",
        "mail.ca_file = 'ca.pem'\nmail.smtp_url = 'smtps://a'",
    ] {
        assert_eq!(toml(text).loaded().warnings, [], "{text}");
    }
}

#[test]
fn a_variable_that_names_no_authorities_is_refused() {
    let problems = variable("SSL_CERT_FILE", "/nowhere/ca.pem").problems();
    assert_eq!(keys(&problems), ["SSL_CERT_FILE"]);
    assert!(problems[0].what.contains("/nowhere/ca.pem"), "{problems:?}");
    assert!(variable("SSL_CERT_FILE", "").load().is_ok());
}

#[test]
fn headers_for_a_collector_elsewhere_are_not_sent_in_plain_text_unnoticed() {
    let warned = |endpoint: &str, headers: &str| {
        let given = toml(&format!("telemetry.endpoint = '{endpoint}'"));
        let given = given.variable("OTEL_EXPORTER_OTLP_HEADERS", headers);
        given.loaded().warnings.iter().any(|it| it.key == "telemetry.endpoint")
    };
    assert!(warned("http://otel.example:4318", "authorization=Bearer%20x"));
    for (endpoint, headers) in [
        ("https://otel.example:4318", "authorization=Bearer%20x"),
        ("http://127.0.0.1:4318", "authorization=Bearer%20x"),
        ("http://[::1]:4317", "authorization=Bearer%20x"),
        ("http://otel.example:4318", ""),
    ] {
        assert!(!warned(endpoint, headers), "{endpoint} {headers}");
    }
}
