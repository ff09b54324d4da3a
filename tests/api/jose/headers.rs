//! Tokens whose header differs from the header that latchkey writes: other algorithms, key ids and
//! types, and extra members. Each token comes in three forms: with the signature of the valid
//! token, without a signature, and signed by the key that signs valid tokens.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::forge::{Cause, Good, decode, encode, hmac, parts};
use crate::app::TestApp;

/// Returns all tokens of this module. `user` and `vault` are valid tokens of one session.
pub async fn causes(app: &TestApp, user: &str, vault: &str) -> Vec<Cause> {
    let keys = app.inside().keys.current();
    let good = Good::of(user);
    let [own_header, payload, signature] = parts(user);
    assert_eq!(own_header, keys.user.header);
    let mut causes = Vec::new();
    for (name, header) in variants(&good.header, &Good::of(vault).header) {
        let message = format!("{}.{payload}", encode(&header));
        assert_ne!(encode(&header), own_header, "{name} is the good header");
        let by_key = encode(keys.user.material.sign(message.as_bytes()).expect("signed"));
        causes.push(Cause::new(format!("{name}, signed by us"), format!("{message}.{by_key}")));
        causes.push(Cause::new(format!("{name}, not signed"), format!("{message}.")));
        let first = format!("{name}, with the good signature");
        causes.push(Cause::new(first, format!("{message}.{signature}")));
    }
    causes.extend(confusions(app, &good, own_header, payload).await);
    causes
}

/// Returns the changed headers as text. Some of them are invalid JSON.
fn variants(good: &Value, vault: &Value) -> Vec<(String, String)> {
    let with = |name: &str, value: Value| {
        let mut header = good.clone();
        header[name] = value;
        header.to_string()
    };
    let without = |name: &str| {
        let mut header = good.clone();
        header.as_object_mut().expect("an object").remove(name);
        header.to_string()
    };
    let mut variants = Vec::new();
    for alg in [
        "none", "None", "NONE", "nOnE", "", "hs256", "HS256 ", "HS384", "HS512", "RS256", "RS512",
        "PS256", "ES256", "ES384", "EdDSA", "Ed25519", "dir", "A256KW", "RSA-OAEP", "ES256K",
    ] {
        variants.push((format!("alg {alg:?}"), with("alg", json!(alg))));
    }
    for alg in [json!(null), json!(1), json!(true), json!(["HS256"]), json!({"HS256": 1})] {
        variants.push((format!("alg {alg}"), with("alg", alg)));
    }
    for kid in [
        "",
        "0",
        "../../../../dev/null",
        "/dev/null",
        "file:///dev/null",
        "https://evil.example/key",
        "x' OR '1'='1",
        "x' UNION SELECT 'AA",
        "'; DROP TABLE signing_key; --",
        "a\0b",
        "|cat /etc/passwd",
        "$(id)",
        "\r\nX-A: b",
        "*",
        "%00",
    ] {
        variants.push((format!("kid {kid:?}"), with("kid", json!(kid))));
    }
    variants.push(("a huge kid".to_owned(), with("kid", json!("k".repeat(4000)))));
    variants.push(("the other kind's kid".to_owned(), with("kid", vault["kid"].clone())));
    variants.push(("the other kind's header".to_owned(), vault.to_string()));
    for kid in [json!(null), json!(1), json!([good["kid"]]), json!({})] {
        variants.push((format!("kid {kid}"), with("kid", kid)));
    }
    for typ in ["", "JWT", "jwt", "at+jwt", "USER+JWT", "application/user+jwt", "user+jwt ", "JOSE"]
    {
        variants.push((format!("typ {typ:?}"), with("typ", json!(typ))));
    }
    variants.push(("typ null".to_owned(), with("typ", json!(null))));
    for name in ["alg", "kid", "typ"] {
        variants.push((format!("no {name}"), without(name)));
    }
    let own = json!({"kty": "oct", "k": encode([7; 32])});
    for (name, value) in [
        ("jku", json!("https://evil.example/jwks.json")),
        ("jku", json!(format!("{}/.well-known/jwks.json", crate::app::PUBLIC_URL))),
        ("x5u", json!("https://evil.example/cert.pem")),
        ("jwk", own),
        ("x5c", json!(["MIIB"])),
        ("x5t", json!("AAAA")),
        ("x5t#S256", json!("AAAA")),
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("crit", json!(["b64"])),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
        ("cty", json!("JWT")),
        ("enc", json!("A128GCM")),
        ("epk", json!({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"})),
        ("p2c", json!(2_147_483_647)),
        ("iss", json!(crate::app::PUBLIC_URL)),
        ("url", json!("https://evil.example")),
        ("nonce", json!("x")),
    ] {
        variants.push((format!("{name} {value}"), with(name, value)));
    }
    variants.extend(spellings(&good.to_string()));
    variants
}

/// Returns the valid header in other spellings, and JSON texts that two parsers could read
/// differently.
fn spellings(good: &str) -> Vec<(String, String)> {
    let rest = &good[1..];
    let typ = "\"typ\":\"user+jwt\"";
    assert!(good.contains(typ) && good.contains("\"alg\""), "{good}");
    [
        ("a space", format!(" {good}")),
        ("a line", format!("{good}\n")),
        ("spaces between", good.replace(':', ": ")),
        ("a byte order mark", format!("\u{feff}{good}")),
        ("alg twice, none first", format!("{{\"alg\":\"none\",{rest}")),
        ("alg twice, none last", good.replace('}', ",\"alg\":\"none\"}")),
        ("alg twice, the same", format!("{{\"alg\":\"HS256\",{rest}")),
        ("kid twice", format!("{{\"kid\":\"x\",{rest}")),
        ("typ twice", format!("{{\"typ\":\"at+jwt\",{rest}")),
        ("an escaped name", good.replace("\"alg\"", "\"\\u0061lg\"")),
        ("an escaped value", good.replace("HS256", "\\u0048S256")),
        ("an escaped second alg", format!("{{\"\\u0061lg\":\"none\",{rest}")),
        ("a name in capitals", good.replace("\"alg\"", "\"ALG\"")),
        ("an array", format!("[{good}]")),
        ("twice", format!("{good}{good}")),
        ("cut off", good[..good.len() - 1].to_owned()),
        ("empty", String::new()),
        ("an empty object", "{}".to_owned()),
        ("null", "null".to_owned()),
        ("a number", "1e400".to_owned()),
        ("5 000 deep", format!("{}{}", "[".repeat(1000), "]".repeat(1000))),
        ("another member", good.replace('}', ",\"x\":1}")),
    ]
    .map(|(name, header)| (format!("spelled with {name}"), header))
    .into()
}

/// Returns tokens with an HS256 signature. Its secret is the published key, in each form that a
/// library could use as a secret.
async fn confusions(app: &TestApp, good: &Good, own: &str, payload: &str) -> Vec<Cause> {
    let set = app.anonymous().get("/.well-known/jwks.json").await.expect(200);
    let key = set.json()["keys"][0].clone();
    let point = [[4].as_slice(), &decode(text(&key["x"])), &decode(text(&key["y"]))].concat();
    // The beginning of the SubjectPublicKeyInfo of a P-256 key (RFC 5480). Two keys differ only in
    // the point at the end.
    let der = [&decode("MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgA"), point.as_slice()].concat();
    let lines: Vec<String> = STANDARD
        .encode(&der)
        .as_bytes()
        .chunks(64)
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .collect();
    let pem = |end: &str| {
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----{end}", lines.join("\n"))
    };
    let secrets: [(&str, Vec<u8>); 14] = [
        ("PEM", pem("").into()),
        ("PEM with a line's end", pem("\n").into()),
        ("PEM in DOS lines", pem("\r\n").replace('\n', "\r\n").into()),
        ("DER", der.clone()),
        ("DER in base64", STANDARD.encode(&der).into()),
        ("the point", point.clone()),
        ("the point without its mark", point[1..].to_vec()),
        ("x", point[1..33].to_vec()),
        ("x in base64url", text(&key["x"]).into()),
        ("the JWK", key.to_string().into()),
        ("the JWKS", set.body.to_vec()),
        ("the kid", text(&key["kid"]).into()),
        ("nothing", Vec::new()),
        ("zeros", vec![0; 32]),
    ];
    let mut causes = Vec::new();
    for (kid, typ) in [("vault", "user+jwt"), ("vault", "at+jwt"), ("user", "user+jwt")] {
        let id = if kid == "vault" { &key["kid"] } else { &good.header["kid"] };
        let header = json!({"typ": typ, "alg": "HS256", "kid": id}).to_string();
        for (name, secret) in &secrets {
            let message = format!("{}.{payload}", encode(&header));
            let name = format!("HS256 under {name} as the secret, {kid} kid, typ {typ}");
            let signature = hmac(secret, &message);
            causes.push(Cause::new(name, format!("{message}.{signature}")));
        }
    }
    for (name, secret) in &secrets {
        let message = format!("{own}.{payload}");
        let name = format!("the good header under {name} as the secret");
        causes.push(Cause::new(name, format!("{message}.{}", hmac(secret, &message))));
    }
    causes
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}
