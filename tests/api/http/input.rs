//! Tests of invalid bodies. Each of them gets its documented status and code, and no response
//! quotes the body.

use super::{Raw, post, post_chunked};
use crate::app::both;

const JSON: (&str, &str) = ("Content-Type", "application/json");
/// The documented limit of the size of a body, in bytes.
const BODY_BYTES_MAX: usize = 16 * 1024;
/// A text that every refused body contains and that must not be in any response.
const PLANTED: &str = "planted-Zq7";

/// The name, the headers and the body of a request, and the expected status and code.
type Case = (&'static str, &'static [(&'static str, &'static str)], Vec<u8>, u16, &'static str);

fn deep() -> Vec<u8> {
    let (open, close) = ("[".repeat(5000), "]".repeat(5000));
    format!("{{\"password\":\"{PLANTED}\",\"a\":{open}1{close}}}").into_bytes()
}

/// Bodies that no endpoint accepts.
fn malformed() -> Vec<Case> {
    let body = |text: &str| text.replace('~', PLANTED).into_bytes();
    let (full, types): (_, &[_]) =
        (r#"{"email":"a@b.example","password":"~","name":"A"}"#, &[JSON]);
    let malformed = [
        ("empty", Vec::new()),
        ("only space", body("  ")),
        ("not JSON", body("email=a@b.example&password=~")),
        ("cut off", body(r#"{"email":"a@b.example","password":"~"#)),
        ("an array", body(r#"["~"]"#)),
        ("a string", body("\"~\"")),
        ("null", body("null")),
        ("a duplicate member", body(r#"{"email":"a@b.example","password":"~","password":"~"}"#)),
        (
            "a duplicate member, one of them escaped",
            body(r#"{"email":"a@b.example","password":"~","pass\u0077ord":"~"}"#),
        ),
        (
            "a duplicate member inside an unknown one",
            body(r#"{"email":"a@b.example","password":"~","name":"A","x":[{"y":1,"y":2}]}"#),
        ),
        ("trailing data", body(&format!("{full} {{}}"))),
        ("a trailing comma", body(r#"{"email":"a@b.example","password":"~",}"#)),
        ("a comment", body(r#"{"email":"a@b.example",/* */"password":"~"}"#)),
        ("a byte order mark", [b"\xef\xbb\xbf".as_slice(), &body(full)].concat()),
        ("UTF-16", full.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("invalid UTF-8", [b"{\"email\":\"\xff".as_slice(), PLANTED.as_bytes(), b"\"}"].concat()),
        ("an overlong encoding", b"{\"email\":\"\xc0\xaf\"}".to_vec()),
        ("a raw NUL", body("{\"email\":\"a@b.example\",\"password\":\"~\0\"}")),
        ("a lone surrogate", body(r#"{"email":"a@b.example","password":"~\ud800"}"#)),
        ("NaN", body(r#"{"email":"a@b.example","password":NaN}"#)),
        ("5 000 deep", deep()),
    ];
    malformed
        .into_iter()
        .map(|(name, body)| (name, types, body, 400, "malformed-request"))
        .chain([
            ("no content type", [].as_slice(), body(full), 415, "unsupported-media-type"),
            ("text", &[("Content-Type", "text/plain")], body(full), 415, "unsupported-media-type"),
            (
                "a form",
                &[("Content-Type", "application/x-www-form-urlencoded")],
                body(full),
                415,
                "unsupported-media-type",
            ),
            (
                "a content coding",
                &[JSON, ("Content-Encoding", "gzip")],
                body(full),
                415,
                "unsupported-media-type",
            ),
            ("one byte too many", types, vec![b' '; BODY_BYTES_MAX + 1], 413, "body-too-large"),
        ])
        .collect()
}

/// JSON objects in which one member breaks a rule.
fn invalid(names: &[&str]) -> Vec<Case> {
    let types: &[_] = &[JSON];
    let mut cases = vec![
        ("nothing in it", types, b"{}".to_vec(), 422, "validation-failed"),
        (
            "\\u0000 in the address",
            types,
            format!(r#"{{"email":"a\u0000@b.example","password":"{PLANTED}","name":"A"}}"#).into(),
            422,
            "validation-failed",
        ),
    ];
    for name in names {
        for wrong in ["1", "null", "true", "[]", "{}", "1e999"] {
            let text = r#"{"email":"a@b.example","password":"planted-Zq7 horse","name":"A"}"#;
            let mut members: serde_json::Value = serde_json::from_str(text).expect("JSON");
            members.as_object_mut().expect("an object").remove(*name);
            let rest = members.to_string();
            let body = format!("{{\"{name}\":{wrong},{}", &rest[1..]);
            // JSON parsers do not agree on a number that is too large for a double (RFC 7493 §2.2),
            // so latchkey reports such a body as malformed.
            let (status, code) = if wrong == "1e999" {
                (400, "malformed-request")
            } else {
                (422, "validation-failed")
            };
            cases.push(("a wrong type", types, body.into_bytes(), status, code));
        }
    }
    cases
}

both!(a_bad_body_is_refused_and_never_quoted, async |app| {
    let endpoints: [(&str, &[&str]); 2] =
        [("/api/login", &["email", "password"]), ("/api/register", &["email", "password", "name"])];
    for (path, members) in endpoints {
        for (name, headers, body, status, code) in malformed().into_iter().chain(invalid(members)) {
            let answer = Raw::only(&app.raw(&post(path, headers, &body)).await);
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            let sent = String::from_utf8_lossy(&body).into_owned();
            assert_eq!(answer.problem(), (status, code.to_owned()), "{path}, {name}: {sent:.200}");
            assert!(!text.contains(PLANTED), "{path}, {name} is quoted: {text}");
        }
    }
});

both!(a_body_of_16_kib_is_read_and_one_byte_more_is_not, async |app| {
    let mut body = br#"{"email":"nobody@b.example","password":"a wrong password"}"#.to_vec();
    body.resize(BODY_BYTES_MAX, b' ');
    let refused = (401, "invalid-credentials".to_owned());
    let told = app.raw(&post("/api/login", &[JSON], &body)).await;
    assert_eq!(Raw::only(&told).problem(), refused);
    let chunked = app.raw(&post_chunked("/api/login", &body)).await;
    assert_eq!(Raw::only(&chunked).problem(), refused);
    body.push(b' ');
    let too_large = (413, "body-too-large".to_owned());
    let told = app.raw(&post("/api/login", &[JSON], &body)).await;
    assert_eq!(Raw::only(&told).problem(), too_large);
    let chunked = app.raw(&post_chunked("/api/login", &body)).await;
    assert_eq!(Raw::only(&chunked).problem(), too_large);
});

both!(a_nul_is_welcome_in_a_password_and_nowhere_else, async |app| {
    let body = |email: &str, name: &str| {
        format!(r#"{{"email":"{email}","password":"nine lives\u0000of a cat","name":"{name}"}}"#)
    };
    let refused = body("nul@b.example", r"A\u0000");
    let refused = Raw::only(&app.raw(&post("/api/register", &[JSON], refused.as_bytes())).await);
    assert_eq!(refused.problem(), (422, "validation-failed".to_owned()));
    let taken = body("nul@b.example", "A");
    let taken = Raw::only(&app.raw(&post("/api/register", &[JSON], taken.as_bytes())).await);
    assert_eq!(taken.status, 200, "{}", String::from_utf8_lossy(&taken.body));
    let person = app.anonymous();
    person.login("nul@b.example", "nine lives\0of a cat").await.expect(200);
    person.login("nul@b.example", "nine lives").await.expect_problem(401, "invalid-credentials");
});

both!(unknown_members_are_ignored_and_never_bound, async |app| {
    let body = br#"{"email":"more@b.example","password":"nine lives of a cat","name":"A",
        "status":"disabled","emailVerified":true,"role":"owner","id":"00000000-0000-7000-8000-000000000000"}"#;
    let answer = Raw::only(&app.raw(&post("/api/register", &[JSON], body)).await);
    assert_eq!(answer.status, 200);
    let tokens: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
    let token = tokens["userToken"].as_str().expect("a token");
    let me = app.anonymous().bearer(token).get("/api/me").await.expect(200).json();
    assert_eq!(me["emailVerified"], false);
    assert_ne!(me["id"], "00000000-0000-7000-8000-000000000000");
    assert_eq!(me["team"], serde_json::Value::Null);
});
