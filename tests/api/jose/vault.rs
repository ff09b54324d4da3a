//! Tests of the signature of a vaultToken, as a resource server verifies it. The cases are special
//! cases of ECDSA, and a retired key.

use latchkey::token::jwt::{mint, verify_user, verify_vault};
use latchkey::token::{Expiry, jwt::VAULT_TTL_MAX};
use serde_json::json;

use super::forge::{Good, decode, encode, parts, signed};
use crate::app::{PUBLIC_URL, TestApp, both};
use crate::ask::sql;

/// The order of the group of P-256 (SEC 2 §2.4.2).
const N: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

fn passes(app: &TestApp, token: &str) -> bool {
    let now = app.clock.now_seconds();
    verify_vault(&app.inside().keys.current(), token, PUBLIC_URL, "vault", now).is_ok()
}

/// Computes `n − s`, big-endian.
fn negated(s: &[u8]) -> Vec<u8> {
    let mut borrow = 0;
    let mut out: Vec<u8> = N
        .iter()
        .zip(s)
        .rev()
        .map(|(n, s)| {
            let difference = i16::from(*n) - i16::from(*s) - borrow;
            borrow = i16::from(difference < 0);
            u8::try_from(difference.rem_euclid(256)).expect("a byte")
        })
        .collect();
    out.reverse();
    out
}

/// Encodes an ASN.1 integer.
fn integer(bytes: &[u8]) -> Vec<u8> {
    let mut value: Vec<u8> = bytes.iter().copied().skip_while(|byte| *byte == 0).collect();
    if value.first().is_none_or(|byte| *byte >= 0x80) {
        value.insert(0, 0);
    }
    let length = u8::try_from(value.len()).expect("short");
    [&[2, length], value.as_slice()].concat()
}

both!(a_vault_token_passes_by_its_own_signature_alone, async |app| {
    let person = app.verified("ada@jose.example").await;
    let [header, payload, signature] = parts(&person.vault_token);
    let bytes = decode(signature);
    let (r, s) = bytes.split_at(32);
    let sequence = [integer(r), integer(s)].concat();
    let der = [&[0x30, u8::try_from(sequence.len()).expect("short")], sequence.as_slice()].concat();
    let zero = [0; 32];
    assert!(passes(app, &person.vault_token));
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", Vec::new()),
        ("r = s = 0", vec![0; 64]),
        ("r = 0", [&zero, s].concat()),
        ("s = 0", [r, &zero].concat()),
        ("r = n", [&N, s].concat()),
        ("s = n", [r, &N].concat()),
        ("r = s = n", [N, N].concat()),
        ("r = s = 1", [[0; 31].as_slice(), &[1], &[0; 31], &[1]].concat()),
        ("all ones", vec![255; 64]),
        ("s and r", [s, r].concat()),
        ("n − r", [&negated(r), s].concat()),
        ("in DER", der),
        ("63 bytes", bytes[..63].to_vec()),
        ("65 bytes", [bytes.as_slice(), &[0]].concat()),
        ("a zero before", [&[0], bytes.as_slice()].concat()),
        ("P-384's length", [&[0; 16], r, &[0; 16], s].concat()),
        ("32 bytes", r.to_vec()),
    ];
    for (name, signature) in &cases {
        let token = format!("{header}.{payload}.{}", encode(signature));
        assert!(!passes(app, &token), "{name}");
        let refused = app.anonymous().bearer(&token).get("/api/me").await;
        refused.expect_problem(401, "invalid-token");
    }
    // The pair (r, n − s) is a second valid signature of the same token, and every verifier accepts
    // it. Therefore latchkey must not identify a token by its bytes. It uses `jti` and `sid`, which
    // are the same in both forms of the token.
    let twin = format!("{header}.{payload}.{}", encode([r, &negated(s)].concat()));
    assert!(twin != person.vault_token && passes(app, &twin));
    app.anonymous().bearer(&twin).get("/api/me").await.expect_problem(401, "invalid-token");
});

both!(a_vault_token_lives_for_an_hour_at_most, async |app| {
    let person = app.verified("ada@jose.example").await;
    let (keys, good) = (app.inside().keys.current(), Good::of(&person.vault_token));
    let now = app.clock.now_seconds();
    let hour = i64::try_from(VAULT_TTL_MAX.as_secs()).expect("an hour");
    for (seconds, expected) in [(0, false), (1, true), (hour, true), (hour + 1, false)] {
        let payload = good.with("exp", Some(json!(now + seconds)));
        let token = signed(&keys.vault, &keys.vault.header, payload.as_bytes());
        assert_eq!(passes(app, &token), expected, "{seconds} s");
    }
});

both!(a_retired_key_verifies_for_as_long_as_its_tokens_matter, async |app| {
    let person = app.verified("ada@jose.example").await;
    let old = app.inside().keys.current().user.clone();
    let now = app.clock.now();
    sql(
        app,
        &format!(
            "UPDATE signing_keys SET state = 'retired', retired_at = {now} WHERE kind = 'user'"
        ),
    )
    .await;
    app.inside().keys.reload().await.expect("read");
    let new = app.inside().keys.current().user.clone();
    assert_ne!(old.id, new.id);
    person.me().await.expect(200);
    // One month and one hour later, the retired key signs the claims of a new session. So nothing
    // but the key of this token is wrong.
    app.clock.advance(std::time::Duration::from_hours(30 * 24 + 1));
    app.inside().keys.reload().await.expect("read");
    let mut person = person;
    person.login().await.expect(200);
    let now = app.clock.now_seconds();
    let read = |token: &str| {
        verify_user(&app.inside().keys.current(), token, PUBLIC_URL, now, Expiry::Enforced).ok()
    };
    let claims = read(&person.user_token).expect("good");
    let by_old = mint(&old, &claims).expect("signed");
    assert!(read(&by_old).is_none());
    app.anonymous().bearer(&by_old).get("/api/me").await.expect_problem(401, "invalid-token");
    app.anonymous().bearer(&by_old).get("/api/refresh").await.expect_problem(401, "invalid-token");
    person.me().await.expect(200);
});

// Only a holder of the signing key can sign such a token, for example a resource server that shares
// an HS256 key with latchkey.
both!(a_scope_that_the_role_does_not_have_makes_a_token_inactive, async |app| {
    let person = app.verified("ada@jose.example").await;
    let key = app.inside().keys.current().vault.clone();
    let with_scope = |scope: &str| {
        let mut claims = crate::client::claims(&person.vault_token);
        claims["scope"] = serde_json::json!(scope);
        latchkey::token::jwt::mint(&key, &claims).expect("signed")
    };
    let ask = async |scope: &str| {
        app.anonymous().bearer(&with_scope(scope)).get("/api/forward-auth").await.status
    };
    assert_eq!(ask("vault:read").await, 200, "fewer scopes than the role has");
    for scope in ["vault:read everything", "", "vault:read  vault:write", "VAULT:read"] {
        assert_eq!(ask(scope).await, 401, "{scope}");
    }
});
