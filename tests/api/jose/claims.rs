//! Tokens with a valid signature of latchkey and with claims that latchkey never issues. The claims
//! are missing, have a wrong type, are for another issuer or audience, or are outside their time.
//! Nobody can create these tokens without the key. Their refusal is a second line of defence.

use serde_json::{Value, json};

use super::forge::{Cause, Good, signed};
use crate::app::{PUBLIC_URL, TestApp};

/// The number of seconds by which a time claim is in the future. It is larger than the difference
/// that is allowed between the clocks of two replicas.
const TOO_FAR_AHEAD: i64 = 121;
/// The documented maximum lifetime of a userToken, in seconds.
const DAY: i64 = 24 * 3600;

/// The claims of a userToken, in the order in which they are declared.
const USER: [&str; 15] = [
    "iss",
    "aud",
    "sub",
    "sid",
    "jti",
    "gen",
    "iat",
    "nbf",
    "exp",
    "email",
    "email_verified",
    "name",
    "acr",
    "amr",
    "auth_time",
];
const VAULT: [&str; 17] = [
    "iss",
    "aud",
    "sub",
    "client_id",
    "sid",
    "jti",
    "iat",
    "nbf",
    "exp",
    "tid",
    "role",
    "pid",
    "scope",
    "mep",
    "acr",
    "amr",
    "auth_time",
];

/// Returns all tokens of this module.
pub fn causes(app: &TestApp, user: &str) -> Vec<Cause> {
    let (keys, good) = (app.inside().keys.current(), Good::of(user));
    let sign = |payload: &str| signed(&keys.user, &keys.user.header, payload.as_bytes());
    let now = app.clock.now_seconds();
    let mut causes = Vec::new();
    let members = good.claims.as_object().expect("an object");
    assert_eq!(members.len(), 15, "the contract's claims");
    for (name, value) in members {
        let missing = sign(&good.with(name, None));
        causes.push(Cause::new(format!("no {name}"), missing));
        for wrong in wrong_types(value) {
            let token = sign(&good.raw(name, wrong));
            causes.push(Cause::new(format!("{name}: {wrong}"), token));
        }
        let twice = format!("{{\"{name}\":{value},{}", &good.claims.to_string()[1..]);
        causes.push(Cause::new(format!("{name} twice"), sign(&twice)));
        let escaped = format!("\\u{:04x}{}", name.as_bytes()[0], &name[1..]);
        let twice = format!("{{\"{escaped}\":{value},{}", &good.claims.to_string()[1..]);
        causes.push(Cause::new(format!("{name} twice, once escaped"), sign(&twice)));
    }
    for (name, value) in values(now) {
        let token = sign(&good.with(name, Some(value.clone())));
        let mut claims = good.claims.clone();
        claims[name] = value.clone();
        let untimely = matches!(name, "iat" | "nbf") && has_a_lifetime(&claims);
        let name = format!("{name}: {value}");
        causes.push(if untimely { Cause::untimely(name, token) } else { Cause::new(name, token) });
    }
    for (name, iat, nbf, exp) in times(now) {
        let mut claims = good.claims.clone();
        (claims["iat"], claims["nbf"], claims["exp"]) = (json!(iat), json!(nbf), json!(exp));
        let token = sign(&claims.to_string());
        let untimely = has_a_lifetime(&claims);
        causes.push(if untimely { Cause::untimely(name, token) } else { Cause::new(name, token) });
    }
    for (name, payload) in payloads(&good) {
        causes.push(Cause::new(format!("a payload: {name}"), sign(&payload)));
    }
    causes
}

/// Says whether the lifetime of a token is one that latchkey could issue, at whatever time.
fn has_a_lifetime(claims: &Value) -> bool {
    let [iat, exp] = ["iat", "exp"].map(|name| claims[name].as_i64().expect("a number"));
    exp.checked_sub(iat).is_some_and(|lives| (0..=DAY).contains(&lives))
}

/// Returns JSON values whose type differs from the type of this value.
pub fn wrong_types(value: &Value) -> &'static [&'static str] {
    match value {
        Value::String(_) => &["null", "1", "1.5", "true", "[]", "{}", "[\"x\"]", "1e400"],
        Value::Bool(_) => &["null", "\"true\"", "1", "0", "[]", "{}"],
        Value::Array(_) => &["null", "\"pwd\"", "1", "true", "{}", "[1]", "[null]", "[[\"pwd\"]]"],
        _ => &[
            "null",
            "\"1\"",
            "\"\"",
            "true",
            "[]",
            "{}",
            "[1]",
            "1.5",
            "1e3",
            "1e400",
            "-1e400",
            "18446744073709551616",
            "-9223372036854775809",
            "\"2099-01-01T00:00:00Z\"",
        ],
    }
}

/// Claims of the right type with wrong values.
fn values(now: i64) -> Vec<(&'static str, Value)> {
    vec![
        ("iss", json!("")),
        ("iss", json!(format!("{PUBLIC_URL}/"))),
        ("iss", json!(PUBLIC_URL.to_uppercase())),
        ("iss", json!("https://evil.example")),
        ("iss", json!(format!("{PUBLIC_URL} "))),
        ("iss", json!(format!("{PUBLIC_URL}\0"))),
        ("aud", json!("")),
        ("aud", json!("vault")),
        ("aud", json!([PUBLIC_URL])),
        ("aud", json!([PUBLIC_URL, "vault"])),
        ("aud", json!({"aud": PUBLIC_URL})),
        ("aud", json!(format!("{PUBLIC_URL}/"))),
        ("sub", json!("")),
        ("sub", json!("root")),
        ("sub", json!("00000000-0000-0000-0000-000000000000")),
        ("sub", json!("0190b6a0-0000-7000-8000-000000000001")),
        ("sub", json!("x' OR '1'='1")),
        ("sub", json!("s".repeat(4000))),
        ("sid", json!("")),
        ("sid", json!("nobody")),
        ("sid", json!("../x")),
        ("sid", json!("a\0b")),
        ("sid", json!("{sessions}:*")),
        ("sid", json!("s".repeat(4000))),
        ("gen", json!(-1)),
        ("gen", json!(1)),
        ("gen", json!(u64::MAX)),
        ("exp", json!(now + DAY + 1)),
        ("exp", json!(now + 10 * 365 * DAY)),
        ("exp", json!(i64::MAX)),
        ("iat", json!(now - DAY)),
        ("iat", json!(0)),
        ("iat", json!(i64::MIN)),
        ("iat", json!(now + TOO_FAR_AHEAD)),
        ("iat", json!(i64::MAX)),
        ("nbf", json!(now + TOO_FAR_AHEAD)),
        ("nbf", json!(now + 800)),
        ("nbf", json!(i64::MAX)),
    ]
}

/// Wrong combinations of `iat`, `nbf` and `exp`.
fn times(now: i64) -> [(&'static str, i64, i64, i64); 9] {
    [
        ("expires now", now - 900, now - 900, now),
        ("expired a second ago", now - 900, now - 900, now - 1),
        ("expired long ago", now - 900_000, now - 900_000, now - 899_100),
        ("expired before it was made", now, now, now - 1),
        ("at the epoch", 0, 0, 0),
        ("before the epoch", -900, -900, -1),
        ("milliseconds", now * 1000, now * 1000, (now + 900) * 1000),
        ("from the future", now + 600, now + 600, now + 1500),
        ("a second longer than a day", now, now, now + DAY + 1),
    ]
}

/// Payloads that are not a JSON object with claims.
pub fn payloads(good: &Good) -> Vec<(&'static str, String)> {
    let text = good.claims.to_string();
    // The array has the order of the declaration. A parser that reads claims by their position
    // would accept it.
    let order: &[&str] = if good.claims.get("gen").is_some() { &USER } else { &VAULT };
    let array: Vec<&Value> = order.iter().map(|name| &good.claims[name]).collect();
    vec![
        ("empty", String::new()),
        ("{}", "{}".to_owned()),
        ("null", "null".to_owned()),
        ("text", json!(text).to_string()),
        ("the claims in an array", format!("[{text}]")),
        ("the values in an array", json!(array).to_string()),
        ("twice", format!("{text}{text}")),
        ("cut off", text[..text.len() - 1].to_owned()),
        ("a comment", format!("/**/{text}")),
        ("a byte order mark", format!("\u{feff}{text}")),
        ("nested", format!("{{\"claims\":{text}}}")),
        ("NaN", text.replacen(&good.claims["exp"].to_string(), "NaN", 1)),
    ]
}
