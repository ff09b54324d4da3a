//! The fuzz harness for both kinds of tokens, with the keys of a daemon. The first byte of the
//! input selects how the harness uses the other bytes.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use latchkey::token::jwt::{
    Expiry, PEOPLE, UserClaims, VaultClaims, mint, verify_user, verify_vault,
};
use latchkey::token::keys::{Key, KeySet};
use serde_json::{Value, json};

use super::edits::edited;
use super::fixture::{Fixture, ISSUER};

/// The time at which the tokens are created, in Unix seconds.
const NOW: i64 = 1_800_000_000;
const AUDIENCE: &str = "vault";
/// How far the clock of another replica may be ahead, in seconds.
const AHEAD_MAX: i64 = 120;

/// Checks that latchkey has signed every byte of an accepted token. A signed token must be accepted
/// only as a token of its own kind, and only if its claims are valid.
pub fn run(fixture: &Fixture, data: &[u8]) {
    let Some((&mode, rest)) = data.split_first() else { return };
    let keys = fixture.app().keys.current();
    match mode & 7 {
        0 | 1 => {
            let Ok(token) = std::str::from_utf8(rest) else { return };
            nothing_passes(&keys, token);
        }
        2 => {
            let token = mint(&keys.user, &user_claims()).expect("signed");
            assert!(
                user(&keys, &token, Expiry::Enforced).is_some() && vault(&keys, &token).is_none()
            );
            let other = edited(&token, rest);
            if other != token {
                nothing_passes(&keys, &other);
            }
        }
        3 => {
            let token = mint(&keys.vault, &vault_claims()).expect("signed");
            assert!(vault(&keys, &token).is_some());
            assert!(user(&keys, &token, Expiry::Ignored).is_none());
            let other = edited(&token, rest);
            if other != token {
                nothing_passes(&keys, &other);
            }
        }
        4 => signed_user(&keys, rest),
        5 => signed_vault(&keys, rest),
        6 => {
            // The fuzzer supplies the header, and the signature is valid for this header.
            let header = URL_SAFE_NO_PAD.encode(rest);
            if header != keys.user.header {
                let payload = serde_json::to_vec(&user_claims()).expect("JSON");
                nothing_passes(&keys, &sign(&keys.user, &header, &payload));
            }
        }
        _ => {
            // The fuzzer supplies one claim, and all other claims are valid.
            let Some((&which, value)) = rest.split_first() else { return };
            let Ok(value) = serde_json::from_slice::<Value>(value) else { return };
            let mut claims = json!(user_claims());
            let members = claims.as_object_mut().expect("an object");
            let at = usize::from(which) % members.len();
            let name = members.keys().nth(at).cloned().expect("a claim");
            members.insert(name, value);
            signed_user(&keys, &serde_json::to_vec(&claims).expect("JSON"));
        }
    }
}

fn nothing_passes(keys: &KeySet, token: &str) {
    assert!(user(keys, token, Expiry::Enforced).is_none(), "{token}");
    assert!(user(keys, token, Expiry::Ignored).is_none(), "{token}");
    assert!(vault(keys, token).is_none(), "{token}");
}

fn user(keys: &KeySet, token: &str, expiry: Expiry) -> Option<UserClaims> {
    verify_user(keys, token, ISSUER, NOW, expiry).ok()
}

fn vault(keys: &KeySet, token: &str) -> Option<VaultClaims> {
    verify_vault(keys, token, ISSUER, AUDIENCE, NOW).ok()
}

fn sign(key: &Key, header: &str, payload: &[u8]) -> String {
    let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(payload));
    let signature = key.material.sign(signed.as_bytes()).expect("signed");
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn signed_user(keys: &KeySet, payload: &[u8]) {
    let token = sign(&keys.user, &keys.user.header, payload);
    assert!(vault(keys, &token).is_none());
    let alive = user(keys, &token, Expiry::Enforced);
    let Some(claims) = user(keys, &token, Expiry::Ignored) else {
        assert!(alive.is_none(), "what is not good expired is not good alive");
        return;
    };
    let begun = claims.iat.max(claims.nbf) <= NOW + AHEAD_MAX;
    assert_eq!(alive.is_some(), begun && claims.exp > NOW);
    assert_eq!((claims.iss.as_str(), claims.aud.as_str()), (ISSUER, ISSUER));
    sound(payload, (claims.iat, claims.nbf, claims.exp), 24 * 3600);
}

fn signed_vault(keys: &KeySet, payload: &[u8]) {
    let token = sign(&keys.vault, &keys.vault.header, payload);
    assert!(user(keys, &token, Expiry::Ignored).is_none());
    let Some(claims) = vault(keys, &token) else { return };
    assert!(claims.exp > NOW && claims.iat.max(claims.nbf) <= NOW + AHEAD_MAX);
    assert_eq!((claims.iss.as_str(), claims.aud.as_str()), (ISSUER, AUDIENCE));
    assert_eq!(
        claims.sid.is_some(),
        claims.client_id == PEOPLE,
        "people have sessions, keys have none"
    );
    sound(payload, (claims.iat, claims.nbf, claims.exp), 3600);
}

/// Checks that another JSON parser also reads the times as whole numbers, and that the lifetime of
/// the token is not longer than the maximum.
fn sound(payload: &[u8], (iat, nbf, exp): (i64, i64, i64), lives_at_most: i64) {
    let text = std::str::from_utf8(payload).expect("what passed is text");
    // JSON members that latchkey does not read can contain JSON that serde_json refuses, such as
    // deep nesting or a number outside the range of a double. Such a payload is not checked
    // further.
    let Ok(value) = serde_json::from_str::<Value>(text) else { return };
    for (name, time) in [("iat", iat), ("nbf", nbf), ("exp", exp)] {
        assert_eq!(value[name].as_i64(), Some(time), "{name}");
    }
    assert!(value["sub"].as_str().is_some_and(|sub| !sub.is_empty()));
    assert!((0..=lives_at_most).contains(&(exp - iat)));
}

fn user_claims() -> UserClaims {
    UserClaims {
        iss: ISSUER.to_owned(),
        aud: ISSUER.to_owned(),
        sub: "0190b6a0-0000-7000-8000-000000000001".to_owned(),
        sid: "sid".to_owned(),
        jti: "jti".to_owned(),
        generation: 0,
        iat: NOW,
        nbf: NOW,
        exp: NOW + 900,
        email: "ada@a.example".to_owned(),
        email_verified: true,
        name: "Ada".to_owned(),
        acr: "aal1".to_owned(),
        amr: vec!["pwd".to_owned()],
        auth_time: NOW,
    }
}

fn vault_claims() -> VaultClaims {
    VaultClaims {
        iss: ISSUER.to_owned(),
        aud: AUDIENCE.to_owned(),
        sub: "0190b6a0-0000-7000-8000-000000000001".to_owned(),
        client_id: "latchkey".to_owned(),
        sid: Some("sid".to_owned()),
        jti: "jti".to_owned(),
        iat: NOW,
        nbf: NOW,
        exp: NOW + 300,
        tid: None,
        role: None,
        pid: None,
        scope: String::new(),
        mep: None,
        acr: Some("aal1".to_owned()),
        amr: Some(vec!["pwd".to_owned()]),
        auth_time: Some(NOW),
    }
}
