//! Valid tokens in other forms: more or fewer parts, other serializations, other spellings of
//! base64, other signatures and other schemes.

use latchkey::token::keys::Key;
use serde_json::json;

use super::forge::{Cause, Good, decode, encode, parts, signed};
use crate::app::TestApp;

/// Returns all tokens of this module. `user` and `vault` are valid tokens of one session.
pub fn causes(app: &TestApp, user: &str, vault: &str) -> Vec<Cause> {
    let keys = app.inside().keys.current();
    let mut causes = parts_and_serializations(user);
    causes.extend(signatures(&keys.user, user, vault));
    causes.extend(spellings(&keys.user, user));
    causes.extend(schemes(user));
    causes
}

fn parts_and_serializations(user: &str) -> Vec<Cause> {
    let [header, payload, signature] = parts(user);
    let dir = encode(r#"{"alg":"dir","enc":"A128GCM"}"#);
    let flattened = json!({"protected": header, "payload": payload, "signature": signature});
    let general = json!({
        "payload": payload, "signatures": [{"protected": header, "signature": signature}]
    });
    let unprotected = json!({
        "protected": header, "header": {"alg": "none"}, "payload": payload, "signature": signature
    });
    [
        ("a letter", "a".to_owned()),
        ("a dot", ".".to_owned()),
        ("two dots", "..".to_owned()),
        ("four dots", "....".to_owned()),
        ("the header alone", header.to_owned()),
        ("no signature", format!("{header}.{payload}")),
        ("an empty signature", format!("{header}.{payload}.")),
        ("no payload (detached)", format!("{header}..{signature}")),
        ("no header", format!(".{payload}.{signature}")),
        ("a part before", format!("x.{user}")),
        ("an empty part before", format!(".{user}")),
        ("a part behind", format!("{user}.x")),
        ("an empty part behind", format!("{user}.")),
        ("twice", format!("{user}.{user}")),
        ("twice by a comma", format!("{user},{user}")),
        ("twice by a space", format!("{user} {user}")),
        ("parts turned round", format!("{signature}.{payload}.{header}")),
        ("the payload as the header", format!("{payload}.{payload}.{signature}")),
        ("JWE compact", format!("{dir}..{}.{payload}.{signature}", encode([0; 12]))),
        (
            "JWE with a key",
            format!("{header}.{signature}.{}.{payload}.{signature}", encode([0; 12])),
        ),
        ("nested", format!("{header}.{}.{signature}", encode(user))),
        ("JSON flattened", flattened.to_string()),
        ("JSON general", general.to_string()),
        ("JSON with an unprotected header", unprotected.to_string()),
        ("as a whole in base64url", encode(user)),
        ("percent-encoded dots", user.replace('.', "%2E")),
        ("quoted", format!("\"{user}\"")),
        ("in single quotes", format!("'{user}'")),
        ("in angle brackets", format!("<{user}>")),
        ("with a fragment", format!("{user}#")),
        ("with a query", format!("{user}?x=1")),
        ("with a parameter", format!("{user};realm=x")),
        ("with a tab behind", format!("{user}\tx")),
        (
            "a space in the payload",
            format!("{header}.{} {}.{signature}", &payload[..9], &payload[9..]),
        ),
        ("a space before the dot", format!("{header} .{payload}.{signature}")),
        ("a space behind the dot", format!("{header}. {payload}.{signature}")),
        ("8 000 dots", ".".repeat(8000)),
        ("8 000 letters", "a".repeat(8000)),
        ("a payload of 7 000", format!("{header}.{}.{signature}", "a".repeat(7000))),
    ]
    .map(|(name, token)| Cause::new(name, token))
    .into()
}

fn signatures(key: &Key, user: &str, vault: &str) -> Vec<Cause> {
    let [header, payload, signature] = parts(user);
    let [_, _, of_vault] = parts(vault);
    let bytes = decode(signature);
    let mut flipped = bytes.clone();
    flipped[0] ^= 1;
    let mut last = bytes.clone();
    last[31] ^= 0x80;
    let of_payload = key.material.sign(payload.as_bytes()).expect("signed");
    let of_header = key.material.sign(header.as_bytes()).expect("signed");
    let with_dot = key.material.sign(format!("{header}.{payload}.").as_bytes()).expect("signed");
    let of_decoded = key.material.sign(&decode(payload)).expect("signed");
    let another = signed(key, header, Good::of(user).with("name", Some(json!("Eve"))).as_bytes());
    [
        ("the first bit turned", flipped),
        ("the last bit turned", last),
        ("half", bytes[..16].to_vec()),
        ("31 bytes", bytes[..31].to_vec()),
        ("one byte", bytes[..1].to_vec()),
        ("a byte more", [bytes.as_slice(), &[0]].concat()),
        ("twice", bytes.repeat(2)),
        ("zeros", vec![0; 32]),
        ("ones", vec![255; 32]),
        ("64 zeros", vec![0; 64]),
        ("256 zeros", vec![0; 256]),
        ("of the payload alone", of_payload),
        ("of the header alone", of_header),
        ("with a dot more", with_dot),
        ("of the decoded payload", of_decoded),
        ("of the vaultToken", decode(of_vault)),
        ("of another token of the same key", decode(parts(&another)[2])),
        ("in hexadecimal", bytes.iter().flat_map(|b| format!("{b:02x}").into_bytes()).collect()),
        ("the secret's length in text", signature.as_bytes()[..32].to_vec()),
    ]
    .map(|(name, signature)| {
        let name = format!("a signature: {name}");
        Cause::new(name, format!("{header}.{payload}.{}", encode(signature)))
    })
    .into()
}

/// Returns tokens with other base64 spellings of the same bytes. Each spelling differs from the
/// correct one.
fn spellings(key: &Key, user: &str) -> Vec<Cause> {
    let good = Good::of(user);
    // The search changes the `name` claim, which latchkey does not verify, until one token contains
    // all the characters that the spellings need.
    let (payload, token) = (0..100_000_usize)
        .map(|n| {
            // The letters before the symbols shift them by up to two bytes.
            let letters = &"Ada"[..n % 3];
            let payload = good.with("name", Some(json!(format!("{letters}ö>?{n}"))));
            let token = signed(key, &key.header, payload.as_bytes());
            (payload, token)
        })
        .find(|(payload, token)| {
            let [_, p, s] = parts(token);
            payload.len() % 3 == 1 && p.contains(['-', '_']) && s.contains(['-', '_'])
        })
        .expect("there is one");
    let [header, p, s] = parts(&token);
    assert_eq!(encode(&payload), p);
    let standard = |text: &str| text.replace('-', "+").replace('_', "/");
    let mut causes: Vec<Cause> = [
        ("padding of the signature", format!("{token}=")),
        ("padding, twice", format!("{token}==")),
        ("padding of the header", format!("{header}=.{p}.{s}")),
        ("padding of the payload", format!("{header}.{p}==.{s}")),
        ("padding in percent", format!("{token}%3D")),
        ("the standard alphabet in the signature", format!("{header}.{p}.{}", standard(s))),
        ("the standard alphabet in the payload", format!("{header}.{}.{s}", standard(p))),
        ("other case in the signature", format!("{header}.{p}.{}", s.to_ascii_lowercase())),
        ("a letter less", token[..token.len() - 1].to_owned()),
        ("a letter more", format!("{token}A")),
        ("a line's end in letters", format!("{token}%0A")),
        ("a letter outside", format!("{header}.{p}.!{}", &s[1..])),
    ]
    .map(|(name, token)| Cause::new(format!("base64: {name}"), token))
    .into();
    // The last letter of a signature of 256 bits has two unused bits. The last letter of a payload
    // whose last group has 8 bits has four unused bits.
    for (part, unused) in [(s, 4), (p, 16)] {
        for bits in 1..unused {
            let other = with_last(part, bits);
            let token = if part == s {
                format!("{header}.{p}.{other}")
            } else {
                // The signature is made for the other spelling, so that nothing but the spelling is
                // wrong.
                let message = format!("{header}.{other}");
                let signature = key.material.sign(message.as_bytes()).expect("signed");
                format!("{message}.{}", encode(signature))
            };
            causes.push(Cause::new(format!("base64: unused bits {bits} of {unused}"), token));
        }
    }
    causes
}

/// Sets the unused bits in the last letter. In a correct spelling they are 0.
fn with_last(part: &str, bits: usize) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (rest, last) = part.split_at(part.len() - 1);
    let at = ALPHABET.iter().position(|letter| *letter == last.as_bytes()[0]).expect("a letter");
    format!("{rest}{}", char::from(ALPHABET[at + bits]))
}

/// A valid token with another authentication scheme, or without a scheme.
fn schemes(user: &str) -> Vec<Cause> {
    [
        ("no scheme", user.to_owned()),
        ("Basic", format!("Basic {}", encode(format!("user:{user}")))),
        ("Basic with the token", format!("Basic {user}")),
        ("DPoP", format!("DPoP {user}")),
        ("JWT", format!("JWT {user}")),
        ("Token", format!("Token {user}")),
        ("a colon", format!("Bearer:{user}")),
        ("an equals sign", format!("Bearer={user}")),
        ("a tab", format!("Bearer\t{user}")),
        ("twice", format!("Bearer Bearer {user}")),
        ("a list", format!("Basic x, Bearer {user}")),
        ("another before", format!("Bearer x, Bearer {user}")),
        ("a parameter", format!("Bearer token={user}")),
        ("nothing behind", "Bearer".to_owned()),
        ("a space behind", "Bearer ".to_owned()),
        ("nothing at all", String::new()),
        ("a longer scheme", format!("Bearers {user}")),
    ]
    .map(|(name, authorization)| Cause {
        name: format!("scheme: {name}"),
        authorization,
        untimely: false,
    })
    .into()
}
