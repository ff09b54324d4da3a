//! Tests of `GET /api/forward-auth` with every forgery of both kinds of token. It is the only route
//! that accepts a vaultToken.

use serde_json::{Value, json};

use super::claims::{payloads, wrong_types};
use super::forge::{Cause, Good, encode, parts, signed};
use super::{all_refused_at, headers, keys, shapes};
use crate::app::{PUBLIC_URL, TestApp, both};

/// The minimum number of cases in the table.
const VAULT_CAUSES: usize = 130;
/// The documented maximum lifetime of a vaultToken, in seconds.
const HOUR: i64 = 3600;

/// Returns vaultTokens with a valid signature and with claims that latchkey never issues.
fn vault_causes(app: &TestApp, vault: &str) -> Vec<Cause> {
    let (keys, good) = (app.inside().keys.current(), Good::of(vault));
    let sign = |payload: &str| signed(&keys.vault, &keys.vault.header, payload.as_bytes());
    let now = app.clock.now_seconds();
    let mut causes = Vec::new();
    let members = good.claims.as_object().expect("an object");
    assert_eq!(members.len(), 17, "the contract's claims");
    for (name, value) in members {
        causes.push(Cause::new(format!("no {name}"), sign(&good.with(name, None))));
        for wrong in wrong_types(value) {
            causes.push(Cause::new(format!("{name}: {wrong}"), sign(&good.raw(name, wrong))));
        }
        let twice = format!("{{\"{name}\":{value},{}", &good.claims.to_string()[1..]);
        causes.push(Cause::new(format!("{name} twice"), sign(&twice)));
    }
    for (name, value) in values(now) {
        let token = sign(&good.with(name, Some(value.clone())));
        causes.push(Cause::new(format!("{name}: {value}"), token));
    }
    for (name, payload) in payloads(&good) {
        causes.push(Cause::new(format!("a payload: {name}"), sign(&payload)));
    }
    // These tokens have the key or the header of the other kind of token, or the valid header
    // without a valid signature.
    let [header, payload, signature] = parts(vault);
    let claims = good.claims.to_string();
    for (name, token) in [
        ("the user's key", signed(&keys.user, &keys.vault.header, claims.as_bytes())),
        ("the user's header", signed(&keys.vault, &keys.user.header, claims.as_bytes())),
        ("the user's key and header", signed(&keys.user, &keys.user.header, claims.as_bytes())),
        ("no signature", format!("{header}.{payload}.")),
        ("another payload", format!("{header}.{}.{signature}", encode("{}"))),
        ("padding", format!("{header}.{payload}.{signature}=")),
        ("a fourth part", format!("{vault}.x")),
    ] {
        causes.push(Cause::new(name, token));
    }
    causes
}

/// Values of the right type that do not match the session, the membership or the clock.
fn values(now: i64) -> Vec<(&'static str, Value)> {
    let stranger = "0190b6a0-0000-7000-8000-000000000001";
    vec![
        ("iss", json!(format!("{PUBLIC_URL}/"))),
        ("iss", json!("https://evil.example")),
        ("aud", json!(PUBLIC_URL)),
        ("aud", json!(["vault"])),
        ("aud", json!("Vault")),
        ("sub", json!("")),
        ("sub", json!(stranger)),
        ("sub", json!("x' OR '1'='1")),
        ("sid", json!("nobody")),
        ("sid", json!("a\0b")),
        ("sid", json!("{sessions}:*")),
        ("tid", json!(stranger)),
        ("tid", json!("")),
        ("pid", json!(stranger)),
        ("role", json!("admin")),
        ("role", json!("Owner")),
        ("mep", json!(-1)),
        ("mep", json!(1_000_000)),
        ("exp", json!(now)),
        ("exp", json!(now - 1)),
        ("exp", json!(now + HOUR + 1)),
        ("exp", json!(i64::MAX)),
        ("iat", json!(0)),
        ("iat", json!(now + 121)),
        ("iat", json!(i64::MIN)),
        ("nbf", json!(now + 121)),
        ("nbf", json!(i64::MAX)),
    ]
}

both!(forward_auth_refuses_every_forged_vault_token_alike, async |app| {
    let person = app.verified("ada@jose.example").await;
    let causes = vault_causes(app, &person.vault_token);
    all_refused_at(app, "/api/forward-auth", &causes, VAULT_CAUSES).await;
    let client = app.anonymous().bearer(&person.vault_token);
    client.get("/api/forward-auth").await.expect(200);
});

both!(forward_auth_refuses_every_forged_user_token_alike, async |app| {
    let mut person = app.verified("ada@jose.example").await;
    let mut causes = headers::causes(app, &person.user_token, &person.vault_token).await;
    causes.extend(shapes::causes(app, &person.user_token, &person.vault_token));
    causes.extend(Box::pin(keys::causes(app, &mut person)).await);
    causes.push(Cause::new("the userToken", &person.user_token));
    // The vaultToken is valid on this route, so it is no forgery.
    causes.retain(|cause| cause.name != "the vaultToken");
    all_refused_at(app, "/api/forward-auth", &causes, 300).await;
});
