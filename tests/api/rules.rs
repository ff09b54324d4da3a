//! Tests of the documented rules for email addresses, names, passwords and bodies, at the
//! endpoints.

use bytes::Bytes;
use hyper::Method;
use serde_json::{Value, json};

use crate::app::{TestApp, both};
use crate::ask::broken_rules;
use crate::client::Answer;

const PASSWORD: &str = "correct horse battery";

async fn register(app: &TestApp, email: &str, password: &str, name: &str) -> Answer {
    app.anonymous().register(email, password, name).await
}

#[track_caller]
fn breaks(answer: &Answer, pointer: &str, code: &str, what: &str) {
    assert_eq!(answer.status, 422, "{what}: {}", answer.text());
    assert_eq!(broken_rules(answer), [(pointer.to_owned(), code.to_owned())], "{what}");
}

/// Returns an email address with exactly this many bytes before and after the `@`.
fn address(local: usize, domain: usize) -> String {
    let mut labels = "d.".repeat(domain / 2);
    labels.truncate(domain - 3);
    let labels = labels.trim_end_matches('.');
    let labels = format!("{labels}{}", "d".repeat(domain - 3 - labels.len()));
    format!("{}@{labels}.ex", "l".repeat(local))
}

both!(good_addresses_register_and_come_back_as_typed, async |app| {
    let longest = address(64, 189);
    assert_eq!(longest.len(), 254);
    for email in [
        "a@example.org",
        "Ada.Lovelace+tag@Example.ORG",
        "!#$%&'*+-/=?^_`{|}~@example.org",
        "o'brien@sub.domain.example.org",
        "ada@bücher.example",
        "ada@xn--80ak6aa92e.example",
        "1@1.example",
        longest.as_str(),
    ] {
        let tokens = register(app, email, PASSWORD, "Ada").await.tokens();
        let me = app.anonymous().bearer(&tokens.user).get("/api/me").await.expect(200).json();
        assert_eq!(me["email"], email);
    }
});

both!(bad_addresses_are_refused_everywhere, async |app| {
    let long_local = address(65, 20);
    let long_domain = address(10, 244);
    for (email, code) in [
        ("", "format"),
        ("ada", "format"),
        ("@example.org", "format"),
        ("ada@", "format"),
        ("ada@localhost", "format"),
        ("ada@@example.org", "format"),
        ("ada@example.org@example.org", "format"),
        (" ada@example.org", "format"),
        ("ada@example.org ", "format"),
        ("ada lovelace@example.org", "format"),
        ("ada@exam ple.org", "format"),
        (".ada@example.org", "format"),
        ("ada.@example.org", "format"),
        ("a..da@example.org", "format"),
        ("\"ada\"@example.org", "format"),
        ("ada(comment)@example.org", "format"),
        ("Ada <ada@example.org>", "format"),
        ("ada@[127.0.0.1]", "format"),
        ("ada@127.0.0.1", "format"),
        ("ada@example..org", "format"),
        ("ada@-example.org", "format"),
        ("ada@exa_mple.org", "format"),
        ("ädä@example.org", "format"),
        ("\u{212a}ate@example.org", "format"),
        ("ada@example.org\r\nBcc: eve@example.org", "format"),
        ("ada\u{0}@example.org", "format"),
        ("ada@example.org\u{0}", "format"),
        (long_local.as_str(), "format"),
        (long_domain.as_str(), "too-long"),
    ] {
        let anonymous = app.anonymous();
        breaks(&register(app, email, PASSWORD, "Ada").await, "/email", code, email);
        breaks(&anonymous.login(email, PASSWORD).await, "/email", code, email);
        breaks(&anonymous.forgot(email).await, "/email", code, email);
        if !email.is_empty() {
            breaks(&anonymous.exists(email).await, "/email", code, email);
        }
    }
});

both!(names_of_the_world_pass_and_invisible_ones_do_not, async |app| {
    let hundred = "ä".repeat(100);
    for (turn, name) in [
        "X",
        "O'Brien-Núñez",
        "山田太郎",
        "👩\u{200d}🚀",
        &hundred,
        "<b>&",
        "မြန်\u{200b}မာ",
        "🏴\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}",
    ]
    .into_iter()
    .enumerate()
    {
        let answer = register(app, &format!("n{turn}@example.org"), PASSWORD, name).await;
        let user = answer.tokens().user;
        let me = app.anonymous().bearer(&user).get("/api/me").await.expect(200).json();
        assert_eq!(me["name"], name);
    }
    let long = "a".repeat(101);
    for (name, code) in [
        ("", "too-short"),
        (" \t\u{3000}", "too-short"),
        ("\u{200d}", "too-short"),
        ("\u{3164}", "too-short"),
        ("\u{2800}", "too-short"),
        (long.as_str(), "too-long"),
        ("a\u{0}b", "forbidden-character"),
        ("a\nb", "forbidden-character"),
        ("a\u{202e}b", "forbidden-character"),
        ("a\u{200b} b", "forbidden-character"),
        ("a\u{2028}b", "forbidden-character"),
        ("a\u{ffff}b", "forbidden-character"),
    ] {
        let answer = register(app, "bad@example.org", PASSWORD, name).await;
        breaks(&answer, "/name", code, name);
    }
});

both!(marks_of_direction_are_removed_from_the_names_of_users_teams_and_projects, async |app| {
    let ada = app.verified("ada@example.org").await.as_user();
    let marked = json!({ "name": "\u{202a}Anna\u{202c} \u{2068}Smith\u{2069}\u{200e}" });
    let broken = json!({ "name": "Acme\u{2028}Call us" });
    let team = ada.post_json("/api/teams", marked.clone()).await.expect(200).json();
    assert_eq!(team["name"], "Anna Smith");
    let team = format!("/api/teams/{}", team["id"].as_str().expect("an id"));
    let project = ada.json(Method::POST, &format!("{team}/projects"), marked.clone()).await;
    assert_eq!(project.expect(200).json()["name"], "Anna Smith");
    let me = ada.json(Method::PATCH, "/api/me", marked).await.expect(200).json();
    assert_eq!(me["name"], "Anna Smith");
    for (method, path) in [
        (Method::POST, "/api/teams".to_owned()),
        (Method::PATCH, team.clone()),
        (Method::POST, format!("{team}/projects")),
        (Method::PATCH, "/api/me".to_owned()),
    ] {
        let answer = ada.json(method, &path, broken.clone()).await;
        breaks(&answer, "/name", "forbidden-character", &path);
        assert!(answer.text().contains("U+2028 (a line break)"), "{}", answer.text());
    }
});

both!(a_space_around_an_address_is_named, async |app| {
    let anonymous = app.anonymous();
    for space in [" ", "\t", "\n", "\u{a0}", "\u{3000}", "\u{2028}", "\u{feff}"] {
        for (email, told) in [
            (format!("{space}ada@example.org"), "There is a space at the start"),
            (format!("ada@example.org{space}"), "There is a space at the end"),
        ] {
            for answer in [
                register(app, &email, PASSWORD, "Ada").await,
                anonymous.login(&email, PASSWORD).await,
                anonymous.forgot(&email).await,
                anonymous.exists(&email).await,
            ] {
                breaks(&answer, "/email", "format", &email);
                assert!(answer.text().contains(told), "{}", answer.text());
            }
        }
    }
});

both!(passwords_are_judged_by_length_and_by_what_attackers_try, async |app| {
    let longest = "ü".repeat(256);
    for (turn, password) in
        ["12345 ab", "        ", "a\u{0}\n\tbcdef", "パスワード密碼安全", &longest]
            .into_iter()
            .enumerate()
    {
        let email = format!("p{turn}@example.org");
        register(app, &email, password, "Ada").await.expect(200);
        app.anonymous().login(&email, password).await.expect(200);
    }
    let long = "ü".repeat(257);
    for (password, code) in [
        ("", "too-short"),
        ("1234567", "too-short"),
        ("éééé", "too-short"),
        ("e\u{301}e\u{301}e\u{301}e\u{301}", "too-short"),
        (long.as_str(), "too-long"),
        ("password", "too-common"),
        ("PassWord", "too-common"),
        ("12345678", "too-common"),
        ("ada.lovelace@example.org", "contextual"),
        ("ADA.LOVELACE", "contextual"),
        ("countess of ada", "contextual"),
        ("Latchkey", "contextual"),
    ] {
        let answer = register(app, "ada.lovelace@example.org", password, "Countess of Ada").await;
        breaks(&answer, "/password", code, password);
    }
});

both!(a_longer_least_length_is_held, ["password.min_length" = "15"], async |app| {
    let answer = register(app, "ada@example.org", "fourteen chars", "Ada").await;
    breaks(&answer, "/password", "too-short", "14 characters");
    register(app, "ada@example.org", "fifteen charact", "Ada").await.expect(200);
});

both!(a_body_is_one_json_object_and_nothing_else, async |app| {
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    let deep = format!("{{\"email\":{deep}}}");
    let bodies: [&[u8]; 13] = [
        b"",
        b"null",
        b"[]",
        b"\"text\"",
        b"{",
        b"{} {}",
        b"{}x",
        br#"{"email":"a@example.org","email":"b@example.org","password":"x"}"#,
        br#"{"other":{"a":1,"a":2}}"#,
        b"{\"email\":\"\xff\xfe\"}",
        br#"{"email":"\ud800"}"#,
        b"\xef\xbb\xbf{}",
        deep.as_bytes(),
    ];
    for path in ["/api/login", "/api/register", "/api/forgot-password", "/api/reset-password"] {
        for body in bodies {
            let body = Bytes::copy_from_slice(body);
            let json = Some("application/json");
            let answer = app.anonymous().send(Method::POST, path, json, body.clone()).await;
            assert_eq!(answer.status, 400, "{path} {body:?}: {}", answer.text());
            answer.expect_problem(400, "malformed-request");
        }
    }
});

both!(a_body_has_its_type_and_its_size, async |app| {
    let anonymous = app.anonymous();
    let body = Bytes::from(json!({ "email": "a@example.org", "password": "x" }).to_string());
    for kind in [None, Some("text/plain"), Some("application/x-www-form-urlencoded")] {
        let answer = anonymous.send(Method::POST, "/api/login", kind, body.clone()).await;
        answer.expect_problem(415, "unsupported-media-type");
    }
    // The charset of JSON has no meaning (RFC 8259 §11): the body is UTF-8 in any case.
    for charset in ["utf8", "\"UTF-8\"", "ISO-8859-1", "utf-16", ""] {
        let kind = format!("application/json; charset={charset}");
        let answer = anonymous.send(Method::POST, "/api/login", Some(&kind), body.clone()).await;
        answer.expect_problem(401, "invalid-credentials");
        let latin1 = Bytes::from_static(b"{\"email\":\"a@example.org\",\"password\":\"\xfc\"}");
        let answer = anonymous.send(Method::POST, "/api/login", Some(&kind), latin1).await;
        answer.expect_problem(400, "malformed-request");
    }
    let padded = |size: usize| {
        let mut body = body.to_vec();
        body.resize(size, b' ');
        Bytes::from(body)
    };
    let kind = Some("application/json; charset=UTF-8");
    let fits = anonymous.send(Method::POST, "/api/login", kind, padded(16_384)).await;
    fits.expect_problem(401, "invalid-credentials");
    let over = anonymous.send(Method::POST, "/api/login", kind, padded(16_385)).await;
    over.expect_problem(413, "body-too-large");
});

both!(a_problem_says_what_the_contract_has, async |app| {
    let answer = app.anonymous().post_json("/api/login", json!({})).await;
    let body = answer.expect_problem(422, "validation-failed").json();
    let members: Vec<&str> =
        body.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(members, ["code", "detail", "errors", "status", "title", "traceId", "type"]);
    assert_eq!(body["type"], format!("{}/problems/validation-failed", crate::app::PUBLIC_URL));
    assert_eq!(body["status"], 422);
    let trace_id = body["traceId"].as_str().expect("a text");
    assert!(trace_id.len() == 32 && trace_id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let other = app.anonymous().get("/nowhere").await.expect_problem(404, "not-found").json();
    assert_eq!(other.get("errors"), None);
    assert_ne!(other["traceId"], Value::from(trace_id));
});
