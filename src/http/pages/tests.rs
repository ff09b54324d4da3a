//! Tests of every page in every state. They check that each page renders, escapes its input, and
//! obeys its content security policy.

mod invitation;
mod reference;

use std::process::Command;

use base64::Engine as _;
use serde_json::{Value, json};

use super::*;
use crate::mail::Locale;
use crate::problem::Code;

/// Markup that an attacker would like to see unescaped in a page.
const EVIL: &str = "\"><script>alert(1)</script><p style='x' onclick=alert(1)>";

fn mail(words: &str) -> Mail<'_> {
    Mail {
        id: words,
        kind: words,
        from: words,
        to: words,
        subject: words,
        text: words,
        source: words,
        link: Some(words),
        token: Some(words),
        received: words,
        received_at: words,
    }
}

fn document(words: &str) -> Value {
    json!({
        "openapi": "3.1.0",
        "info": { "title": words, "version": words, "description": words },
        "servers": [{ "url": words }],
        "tags": [{ "name": words, "description": words }],
        "paths": { words: {
            "parameters": [{ "name": words, "in": "query", "required": true, "description": words }],
            "post": {
                "tags": [words], "summary": words, "description": words,
                "security": [{ words: [] }],
                "requestBody": { "description": words, "content": { words: { "schema": { "$ref": "#/components/schemas/Thing" } } } },
                "responses": { words: {
                    "description": words,
                    "headers": { words: {} },
                    "content": { words: { "schema": { "$ref": "#/components/schemas/Thing" } } },
                } },
            },
        } },
        "components": {
            "securitySchemes": { words: { "type": "http", "scheme": words, "description": words } },
            "schemas": { "Thing": {
                "type": "object", "required": [words],
                "properties": { words: { "type": "string", "description": words, "enum": [words], "format": words } },
            } },
        },
    })
}

/// Every page in every state. Every input is `words`.
fn gallery(words: &str) -> Vec<(String, String)> {
    let token = words;
    let verify = [
        VerifyEmail::Ready { token, email_masked: words, created_at: Some(0), ip: Some(words) },
        VerifyEmail::Ready { token, email_masked: words, created_at: None, ip: Some(words) },
        VerifyEmail::Ready { token, email_masked: words, created_at: Some(0), ip: None },
        VerifyEmail::Ready { token, email_masked: words, created_at: None, ip: None },
        VerifyEmail::ChangeReady { token, email_masked: words },
        VerifyEmail::Confirmed,
        VerifyEmail::Changed,
        VerifyEmail::AlreadyVerified,
        VerifyEmail::Invalid,
        VerifyEmail::Rejected,
        VerifyEmail::ChangeRejected,
    ];
    let request = MailRequest { captcha: Captcha::Needed, email: words, error: Some(words) };
    let plain = MailRequest { captcha: Captcha::NotNeeded, email: "", error: None };
    let reset = [
        ResetPassword::Ready { token, min_length: 8, error: None },
        ResetPassword::Ready { token, min_length: 8, error: Some(words) },
        ResetPassword::Ask(plain),
        ResetPassword::Ask(request),
        ResetPassword::Invalid(plain),
        ResetPassword::Invalid(request),
        ResetPassword::Requested,
        ResetPassword::Done,
        ResetPassword::AlreadyDone,
    ];
    let undo = [
        UndoEmailChange::Ready { token, email_masked: words, changed_at: Some(0) },
        UndoEmailChange::Ready { token, email_masked: words, changed_at: None },
        UndoEmailChange::Undone,
        UndoEmailChange::AddressTaken,
        UndoEmailChange::Invalid,
    ];
    let undo_first =
        [UndoFactor::Ready { token, added_at: 0 }, UndoFactor::Undone, UndoFactor::Invalid];
    let mut pages: Vec<(String, String)> = invitation::gallery(words);
    pages.extend(verify.iter().map(|state| (format!("{state:?}"), verify_email(state))));
    pages.extend(reset.iter().map(|state| (format!("{state:?}"), reset_password(state))));
    pages.extend(undo.iter().map(|state| (format!("{state:?}"), undo_email_change(state))));
    for locale in Locale::ALL {
        let page = |state| (format!("{locale:?} {state:?}"), undo_factor(state, locale));
        pages.extend(undo_first.iter().map(page));
    }
    let troubles = [Trouble::Unavailable, Trouble::TooMany { retry_after_s: 45 }];
    pages.extend(troubles.map(|why| (format!("{why:?}"), trouble("/verify-email", token, why))));
    let german = |why| trouble_in(Locale::De, "/invitation", token, why);
    pages.extend(troubles.map(|why| (format!("De {why:?}"), german(why))));
    pages.push(("of another site".to_owned(), other_site(words)));
    pages.extend(
        Code::ALL.iter().map(|code| (format!("problem {code:?}"), problem(*code, Mailbox::Absent))),
    );
    pages.push(("problems".to_owned(), problems(Mailbox::Served)));
    for why in [MailboxLocked::NoKey, MailboxLocked::WrongKey, MailboxLocked::OtherSite] {
        pages.push((format!("mailbox, locked: {why:?}"), mailbox_locked(why, words)));
    }
    pages.push(("mailbox, empty".to_owned(), mailbox(&[])));
    pages.push(("mailbox".to_owned(), mailbox(&[mail(words), mail(words)])));
    pages.push(("message".to_owned(), message(&mail(words))));
    pages.push(("docs".to_owned(), docs(&document(words), Trials::Offered, Mailbox::Served)));
    pages.push(("docs of nothing".to_owned(), docs(&Value::Null, Trials::Absent, Mailbox::Absent)));
    let ours = crate::http::openapi::document("http://127.0.0.1:8080");
    pages.push(("our docs".to_owned(), docs(&ours, Trials::Offered, Mailbox::Served)));
    pages.push(("our docs, production".to_owned(), docs(&ours, Trials::Absent, Mailbox::Absent)));
    pages.push(("landing".to_owned(), landing(words, Mailbox::Served, Stores::Both)));
    pages.push(("landing, production".to_owned(), landing(words, Mailbox::Absent, Stores::Both)));
    pages
}

/// All texts between `open` and `close`.
fn between<'a>(text: &'a str, open: &'a str, close: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(open).skip(1).filter_map(move |rest| rest.split(close).next())
}

#[test]
fn every_page_in_every_state_has_a_language_a_title_one_heading_and_nothing_for_robots() {
    for (name, page) in gallery("words") {
        let language =
            if name.starts_with("De ") || name.starts_with("long: De ") { "de" } else { "en" };
        let start = format!("<!doctype html>\n<html lang=\"{language}\">");
        assert!(page.starts_with(&start), "{name}");
        assert_eq!(page.matches("<h1").count(), 1, "{name}");
        assert_eq!(page.matches("<main").count(), 1, "{name}");
        assert!(between(&page, "<title>", "</title>").all(|title| title.len() > 12), "{name}");
        for meta in ["viewport", "robots", "referrer"] {
            assert!(page.contains(&format!("<meta name=\"{meta}\"")), "{name}: {meta}");
        }
    }
}

/// Writes each page in each state to a file, together with the policy of the pages. `tests/browser`
/// renders this file in a real browser.
#[test]
#[expect(clippy::disallowed_methods, reason = "a test script sets the path, so it is no setting")]
fn the_gallery_can_be_drawn_by_a_browser() {
    let mut pages = gallery("words");
    // Narrow pages break most easily if a word is long.
    let long = "unbreakable".repeat(12);
    pages.extend(gallery(&long).into_iter().filter_map(|(name, page)| {
        (!name.starts_with("problem") && !name.starts_with("our "))
            .then(|| (format!("long: {name}"), page))
    }));
    let drawn = json!({ "policy": CSP, "pages": pages });
    if let Some(path) = std::env::var_os("LATCHKEY_TEST_GALLERY") {
        std::fs::write(path, drawn.to_string()).unwrap();
    }
    let names: std::collections::HashSet<&String> = pages.iter().map(|(name, _)| name).collect();
    assert!(names.len() > Code::ALL.len() + 40, "{}", names.len());
}

#[test]
fn headings_never_skip_a_level() {
    for (name, page) in gallery("words") {
        let mut last = 1;
        for level in between(&page, "<h", ">").filter_map(|tag| tag.get(..1)?.parse::<u8>().ok()) {
            assert!(level <= last + 1, "{name}: h{level} after h{last}");
            last = level;
        }
    }
}

#[test]
fn whatever_a_field_holds_stays_text() {
    for (name, page) in gallery(EVIL) {
        assert!(!page.contains("<script>"), "{name}: {page}");
        assert!(!page.contains("<p style"), "{name}: {page}");
    }
}

#[test]
fn no_page_needs_more_than_its_content_security_policy_gives() {
    for (name, page) in gallery("words") {
        assert!(!page.contains("<style") && !page.contains(" style="), "{name}");
        for script in between(&page, "<script", "</script>") {
            assert!(script.contains("src=\"/assets/") && script.ends_with('>'), "{name}: {script}");
        }
        for tag in between(&page, "<", ">") {
            assert!(!tag.contains(" on"), "{name}: {tag}");
        }
        for attribute in ["src=\"", "action=\""] {
            assert!(
                between(&page, attribute, "\"").all(|target| target.starts_with('/')),
                "{name}: {attribute}"
            );
        }
    }
}

#[test]
fn every_asset_that_a_page_loads_is_there() {
    for (name, page) in gallery("words") {
        for path in between(&page, "\"/assets/", "?v=") {
            let path = format!("/assets/{path}");
            assert!(ASSETS.iter().any(|asset| asset.0 == path), "{name}: {path}");
        }
    }
    assert_eq!(assets::VERSION.len(), 16);
}

#[test]
fn ids_are_unique_and_what_refers_to_one_finds_it() {
    for (name, page) in gallery("words") {
        let ids: Vec<&str> = between(&page, " id=\"", "\"").collect();
        for (at, id) in ids.iter().enumerate() {
            assert!(!ids[..at].contains(id), "{name}: {id} twice");
        }
        for attribute in
            ["href=\"#", " for=\"", "aria-describedby=\"", "aria-labelledby=\"", "data-copy=\""]
        {
            for id in between(&page, attribute, "\"").flat_map(str::split_whitespace) {
                assert!(ids.contains(&id), "{name}: {attribute}{id}");
            }
        }
    }
}

#[test]
fn the_confirmation_can_be_sent_and_refused_without_script() {
    let page = verify_email(&VerifyEmail::Ready {
        token: "tok_en-1",
        email_masked: "a•••@example.com",
        created_at: Some(1_795_469_100_000),
        ip: Some("203.0.113.9"),
    });
    assert_eq!(page.matches("<form method=\"post\" action=\"/verify-email\">").count(), 2);
    assert_eq!(page.matches("name=\"token\" value=\"tok_en-1\"").count(), 2);
    assert!(page.contains("name=\"action\" value=\"reject\">This was not me</button>"));
    assert!(page.contains("23 November 2026 at 21:25 UTC"), "{page}");
    assert!(page.contains("203.0.113.9"));
}

#[test]
fn a_refused_password_is_told_beside_its_field() {
    let state =
        ResetPassword::Ready { token: "t", min_length: 15, error: Some("It is too common.") };
    let page = reset_password(&state);
    assert_eq!(state.status(), 422);
    assert!(page.contains("<title>Error: Choose a new password"));
    assert!(page.contains(
        "aria-describedby=\"new-password-hint new-password-error\" aria-invalid=\"true\""
    ));
    assert!(page.contains("role=\"alert\"><strong>Error:</strong> It is too common.</p>"));
    assert!(page.contains("minlength=\"15\" autocomplete=\"new-password\""));
}

#[test]
fn trouble_keeps_the_token_for_the_next_try() {
    let page = trouble("/verify-email", "a&b", Trouble::TooMany { retry_after_s: 100 });
    assert!(page.contains("Wait 2 minutes and try again."));
    assert!(page.contains("href=\"/verify-email?token=a%26b\""));
    let page = trouble("/reset-password", "", Trouble::Unavailable);
    assert!(page.contains("href=\"/reset-password\""));
}

#[test]
fn the_proof_of_work_is_loaded_only_where_it_is_needed() {
    let ask = |captcha| {
        reset_password(&ResetPassword::Ask(MailRequest { captcha, email: "", error: None }))
    };
    assert!(ask(Captcha::Needed).contains("/assets/captcha.js"));
    assert!(!ask(Captcha::NotNeeded).contains("captcha"));
}

#[test]
fn only_a_web_address_becomes_a_link_in_the_mailbox() {
    let with = |link| message(&Mail { link: Some(link), ..mail("m") });
    assert!(with("https://example.com/x").contains("href=\"https://example.com/x\""));
    assert!(!with("javascript:alert(1)").contains("href=\"javascript"));
}

#[test]
fn a_framed_mail_opens_its_links_in_a_tab() {
    assert_eq!(
        mailbox::framed("<!doctype html><head><title>x"),
        "<!doctype html><head><base target=\"_blank\"><title>x"
    );
    assert!(mailbox::framed("<p>x").starts_with("<base"));
}

#[test]
fn pages_for_developers_lead_to_the_mailbox_where_it_is_served() {
    let document = document("words");
    let pages = |mailbox| {
        [
            landing("http://127.0.0.1:8080", mailbox, Stores::Both),
            docs(&document, Trials::Offered, mailbox),
            problems(mailbox),
            problem(Code::RateLimited, mailbox),
        ]
    };
    for page in pages(Mailbox::Served) {
        assert!(page.contains("<a href=\"/dev/mailbox\">Mailbox</a>"), "{page}");
    }
    for page in pages(Mailbox::Absent) {
        assert!(!page.contains("/dev/mailbox") && !page.contains("embedded"), "{page}");
    }
}

#[test]
fn the_embedded_stores_announce_themselves_where_the_mailbox_is_served() {
    let page = |stores| landing("http://127.0.0.1:8080", Mailbox::Served, stores);
    assert!(page(Stores::Both).contains("The database and the token store are embedded"));
    assert!(page(Stores::Database).contains("The database is embedded"));
    assert!(page(Stores::Tokens).contains("The token store is embedded"));
    assert!(!page(Stores::Servers).contains("embedded"));
}

/// The solver of the captcha runs wherever WebCrypto is available. This test runs it in node, and
/// `tests/browser` runs it in Chromium.
#[test]
fn the_server_accepts_what_the_script_solves() {
    const SECRET: &str = "a secret of this test";
    let challenge = altcha::create_challenge(altcha::CreateChallengeOptions {
        cost: 500,
        hmac_signature_secret: Some(SECRET.to_owned()),
        ..Default::default()
    })
    .unwrap();
    let script = format!(
        "globalThis.crypto ??= require('crypto').webcrypto; const {{ solve, payload }} = require('./captcha.js'); const challenge = {}; \
         solve(challenge, 3).then((solution) => console.log(payload(challenge, solution)));",
        serde_json::to_string(&challenge).unwrap()
    );
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/src/http/pages/assets");
    let output = Command::new("node").args(["-e", &script]).current_dir(directory).output();
    let output = output.expect("node is installed; scripts/test installs it");
    let payload = base64::engine::general_purpose::STANDARD
        .decode(String::from_utf8_lossy(&output.stdout).trim())
        .unwrap();
    let payload: altcha::Payload = serde_json::from_slice(&payload).unwrap();
    let verdict = altcha::verify_solution(altcha::VerifySolutionOptions::new(
        &payload.challenge,
        &payload.solution,
        SECRET,
    ))
    .unwrap();
    assert!(verdict.verified, "{verdict:?}");
}
