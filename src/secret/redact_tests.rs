use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use proptest::prelude::*;

use super::*;

const PASSWORD: &str = "S3cret/Marker";

#[test]
fn a_url_that_an_error_quotes_loses_its_password_and_its_parameters() {
    for (text, expected) in [
        (
            "The connection string 'postgres://u:pw@a:1,b:2/x' cannot be parsed.",
            "The connection string 'postgres://***@a:1,b:2/x' cannot be parsed.",
        ),
        ("redis://:p@ss/w#rd@h:1 is away", "redis://***@h:1 is away"),
        ("see https://h/x?token=abc, please", "see https://h/x?***, please"),
        ("http://h:4318/v1/traces: refused", "http://h:4318/v1/traces: refused"),
        ("two: a://x:y@z b://x:y@z", "two: a://***@z b://***@z"),
        ("no URL: a@b, c?d", "no URL: a@b, c?d"),
        ("illegal line: [45, 45, 45, 45, 45, 66, 69, 71]", "illegal line: [***]"),
        ("ports [1, 2] and [::1]:80", "ports [1, 2] and [::1]:80"),
    ] {
        assert_eq!(redact(text), expected);
    }
}

#[test]
fn a_known_password_is_found_in_each_of_its_forms() {
    let redactor = Redactor::of_url("redis://ada:S3cret%2FMarker@h:1/0?sslpassword=Other%20One");
    let plain = STANDARD.encode(format!("\0ada\0{PASSWORD}"));
    for text in [
        format!("unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'ada' '{PASSWORD}'"),
        "S3cret%2FMarker".to_owned(),
        format!("501 5.5.4 AUTH PLAIN {plain} is odd"),
        STANDARD.encode(PASSWORD),
        STANDARD.encode(format!("x{PASSWORD}")),
        "sslpassword is Other One".to_owned(),
    ] {
        let shown = redactor.redact(&text);
        assert!(shown.contains("***"), "{shown}");
        for secret in [PASSWORD, "S3cret", "Other", "M2V", "zY3Jl", plain.as_str()] {
            assert!(!shown.contains(secret), "{secret}: {shown}");
        }
    }
    let refused = "password authentication failed for user \"ada\", sslmode `require`";
    let shown = "password authentication failed for user \"***\", sslmode `require`";
    assert_eq!(redactor.redact(refused), shown);
    let no_right = "User ada has no permissions to run the 'select' command";
    assert_eq!(redactor.redact(no_right), no_right.replace("ada", "***"));
}

#[test]
fn a_password_that_is_the_user_is_no_secret_and_names_stay_readable() {
    let redactor = Redactor::of_url("postgres://latchkey:latchkey@h/latchkey?sslmode=require");
    let text = "database \"latchkey\" does not exist";
    assert_eq!(redactor.redact(text), text);
}

#[test]
fn values_shorter_than_four_characters_are_not_searched_for() {
    assert_eq!(Redactor::of_url("redis://:a@h").redact("a day"), "a day");
    assert_eq!(Redactor::default().redact("plain"), "plain");
}

#[test]
fn a_short_secret_is_found_in_base64_and_base64url_at_every_offset() {
    for secret in ["pass", "~~~?", "ÿÿ>?"] {
        let redactor = Redactor::of_values([secret]);
        for before in ["", "x", "xy", "xyz"] {
            for engine in [STANDARD, URL_SAFE] {
                let word = engine.encode(format!("{before}{secret}:after"));
                let shown = redactor.redact(&format!("AUTH {word} failed"));
                assert_eq!(shown, "AUTH *** failed", "{before}{secret} as {word}");
            }
        }
    }
}

proptest! {
    /// A driver or a server can quote the URL or repeat the password in any form. The redacted text
    /// must never contain the password.
    #[test]
    fn no_quoted_url_shows_its_password(
        scheme in prop::sample::select(vec!["postgres", "redis+cluster", "smtps", "nonsense"]),
        user in "[a-z]{0,6}",
        before in "[!-~]{0,6}",
        after in "[!-~]{0,6}",
        host in prop::sample::select(vec!["h", "a:1,b:2", "[::1]:5", "[::1", "", "h/x?y=z", "h#x"]),
        words in "[ -~]{0,12}",
    ) {
        let marker = "Zq7XMarkerZq7X";
        let password = format!("{before}{marker}{after}");
        let url = format!("{scheme}://{user}:{password}@{host}");
        let encoded = STANDARD.encode(format!("{user}\0{password}"));
        let redactor = Redactor::of_url(&url);
        for said in [
            format!("{words} '{url}' {words}"),
            format!("{words}{url:?}"),
            format!("{words} {encoded}"),
            format!("AUTH '{password}'"),
        ] {
            let shown = redactor.redact(&said);
            prop_assert!(!shown.contains(marker), "{shown}");
            prop_assert!(!shown.contains(&STANDARD.encode(marker)[..12]), "{shown}");
        }
    }

    /// The redactor knows no secrets in this test. If a URL contains no white space, everything
    /// before its last `@` must be removed.
    #[test]
    fn no_url_in_a_text_shows_its_userinfo(user in "[!-~&&[^@]]{0,8}", host in "[a-z.:0-9]{1,8}") {
        let shown = redact(&format!("cannot connect to 'x://{user}MARKER@{host}' now"));
        prop_assert!(!shown.contains("MARKER"), "{shown}");
    }

    /// A text that contains no URLs, secrets or lists must not change.
    #[test]
    fn other_texts_stay_as_they_are(text in "[a-zA-Z0-9 .,_@%-]{0,60}") {
        prop_assert_eq!(redact(&text), text);
    }
}
