//! Tests of hostile authenticators at the registration of a passkey. Each of them is refused in the
//! same way, and adds nothing.

use serde_json::json;

use super::authenticator::{
    ATTESTED, BACKED_UP, EXTENSIONS, Key, PRESENT, Passkey, VERIFIED, encoded,
};
use super::callers::Change;
use super::cbor;
use crate::app::both;
use crate::ask::alike;

const ADA: &str = "ada@example.org";

/// A coordinate with this first byte.
fn low(first: u8) -> [u8; 32] {
    let mut x = [0; 32];
    x[0] = first;
    x
}

/// A change of the key in the authenticator data.
fn key(draft: &mut super::authenticator::Draft, label: i64, value: Vec<u8>) {
    draft.cose.retain(|(it, _)| *it != cbor::integer(label));
    draft.cose.push((cbor::integer(label), value));
}

const CASES: &[(&str, Change)] = &[
    // The response.
    ("another type", |it| it.kind = "password".into()),
    ("no type", |it| it.kind = json!(null)),
    ("id unlike rawId", |it| it.id = encoded(&[1; 32]).into()),
    ("rawId unlike id", |it| it.raw_id = encoded(&[1; 32]).into()),
    ("an id that is not in the data", |it| {
        it.id = encoded(&[1; 32]).into();
        it.raw_id = it.id.clone();
    }),
    ("padded base64url", |it| {
        it.id = format!("{}=", it.id.as_str().unwrap_or_default()).into();
        it.raw_id = it.id.clone();
    }),
    ("a number as id", |it| (it.id, it.raw_id) = (json!(5), json!(5))),
    ("no client data", |it| it.response = vec![("clientDataJSON", json!(null))]),
    ("no attestation object", |it| it.response = vec![("attestationObject", json!(null))]),
    ("an object in place of text", |it| it.response = vec![("attestationObject", json!({}))]),
    ("standard base64", |it| it.response = vec![("attestationObject", json!("+/+/"))]),
    // The client data.
    ("the other ceremony", |it| it.says("type", "webauthn.get")),
    ("an unknown ceremony", |it| it.says("type", "payment.get")),
    ("another challenge", |it| it.says("challenge", encoded(&[1; 32]))),
    ("an empty challenge", |it| it.says("challenge", "")),
    ("a padded challenge", |it| {
        let challenge = it.client_data[1].1.as_str().unwrap_or_default().to_owned();
        it.says("challenge", format!("{challenge}="));
    }),
    ("another origin", |it| it.says("origin", "https://evil.example")),
    ("an origin below the domain", |it| it.says("origin", "https://x.latchkey.test")),
    ("an origin without TLS", |it| it.says("origin", "http://latchkey.test")),
    ("another port", |it| it.says("origin", "https://latchkey.test:8443")),
    ("no origin", |it| it.client_data.retain(|(name, _)| *name != "origin")),
    ("a page in a frame", |it| it.says("crossOrigin", true)),
    ("a text as crossOrigin", |it| it.says("crossOrigin", "false")),
    ("null as crossOrigin", |it| it.says("crossOrigin", json!(null))),
    ("a duplicate member", |it| it.client_data.push(("origin", it.client_data[2].1.clone()))),
    ("a duplicate unknown member", |it| it.client_data.extend([("x", 1.into()), ("x", 2.into())])),
    ("bytes after the client data", |it| it.client_data_tail = b"x".to_vec()),
    ("client data that are not UTF-8", |it| it.client_data_tail = vec![0xff]),
    // The authenticator data.
    ("another domain", |it| "evil.example".clone_into(&mut it.rp_id)),
    ("the origin as the domain", |it| "https://latchkey.test".clone_into(&mut it.rp_id)),
    ("no user", |it| it.flags &= !PRESENT),
    ("no user verification", |it| it.flags &= !VERIFIED),
    ("a backup that is not possible", |it| it.flags = PRESENT | VERIFIED | ATTESTED | BACKED_UP),
    ("no passkey", |it| it.flags &= !ATTESTED),
    ("bytes after the authenticator data", |it| it.tail = vec![0]),
    ("extensions without their flag", |it| it.tail = cbor::map(&[])),
    ("the flag of extensions without them", |it| it.flags |= EXTENSIONS),
    ("extensions that are no map", |it| {
        it.flags |= EXTENSIONS;
        it.tail = cbor::integer(1);
    }),
    ("bytes after the extensions", |it| {
        it.flags |= EXTENSIONS;
        it.tail = [cbor::map(&[]), vec![0]].concat();
    }),
    ("an empty credential id", |it| it.named(Vec::new())),
    ("a short credential id", |it| it.named(vec![1; 15])),
    ("a long credential id", |it| it.named(vec![1; 1_024])),
    // The public key.
    ("an unknown algorithm", |it| key(it, 3, cbor::integer(-36))),
    ("another algorithm than the key", |it| key(it, 3, cbor::integer(-8))),
    ("another type of key", |it| key(it, 1, cbor::integer(3))),
    ("another curve", |it| key(it, -1, cbor::integer(2))),
    ("a point that is not on the curve", |it| key(it, -2, cbor::bytes(&[1; 32]))),
    ("the point at infinity", |it| {
        key(it, -2, cbor::bytes(&[0; 32]));
        key(it, -3, cbor::bytes(&[0; 32]));
    }),
    ("a compressed point", |it| key(it, -3, vec![0xf5])),
    ("a short coordinate", |it| key(it, -2, cbor::bytes(&[1; 31]))),
    ("a missing coordinate", |it| it.cose.truncate(4)),
    ("another parameter", |it| it.cose.push((cbor::integer(2), cbor::bytes(b"kid")))),
    ("a duplicate parameter", |it| it.cose.push(it.cose[1].clone())),
    ("no parameters", |it| it.cose.clear()),
    ("a private key", |it| it.cose.push((cbor::integer(-4), cbor::bytes(&[1; 32])))),
    ("an RSA key of 1024 bits", |it| it.cose = cbor::rsa_key(&[0xff; 128], &[1, 0, 1])),
    ("an RSA key of 2047 bits", |it| {
        it.cose = cbor::rsa_key(&[&[0x7f][..], &[0xff; 255]].concat(), &[1, 0, 1]);
    }),
    ("an RSA key with a leading zero", |it| {
        it.cose = cbor::rsa_key(&[&[0][..], &[0xff; 256]].concat(), &[1, 0, 1]);
    }),
    ("an RSA key of 8192 bits", |it| it.cose = cbor::rsa_key(&[0xff; 1_024], &[1, 0, 1])),
    ("an RSA key with the exponent 1", |it| it.cose = cbor::rsa_key(&[0xff; 256], &[1])),
    ("an RSA key with an even exponent", |it| it.cose = cbor::rsa_key(&[0xff; 256], &[4])),
    ("an Ed25519 key that is the neutral point", |it| it.cose = cbor::okp_key(&low(1))),
    ("an Ed25519 key of order 4", |it| it.cose = cbor::okp_key(&low(0))),
    ("an Ed25519 key of order 2", |it| {
        let mut x = [0xff; 32];
        (x[0], x[31]) = (0xec, 0x7f);
        it.cose = cbor::okp_key(&x);
    }),
    ("an Ed25519 key that is not on the curve", |it| it.cose = cbor::okp_key(&low(2))),
    ("an Ed25519 key in a second spelling", |it| it.cose = cbor::okp_key(&[0xff; 32])),
    ("a secp256k1 key", |it| it.cose = cbor::ec2_key(-47, 8, (&[1; 32], &[2; 32]))),
    // The attestation object.
    ("an attestation", |it| it.fmt = cbor::text("packed")),
    ("a format that is no text", |it| it.fmt = cbor::bytes(b"none")),
    ("a statement", |it| {
        it.statement = cbor::map(&[(cbor::text("alg"), cbor::integer(-7))]);
    }),
    ("bytes after the attestation object", |it| it.object_tail = vec![0]),
    ("a truncated attestation object", |it| it.cut = 1),
    ("half an attestation object", |it| it.cut = 100),
    ("an item of four gigabytes", |it| it.statement = vec![0x5a, 0xff, 0xff, 0xff, 0xff]),
    ("a map of many entries", |it| it.statement = vec![0xba, 0xff, 0xff, 0xff, 0xff]),
    ("an indefinite length", |it| it.statement = vec![0xbf, 0xff]),
    ("deep nesting", |it| it.statement = [vec![0x81; 200], vec![0]].concat()),
    ("a tag", |it| it.statement = vec![0xc0, 0xa0]),
    ("an empty attestation object", |it| it.response = vec![("attestationObject", json!(""))]),
];

both!(every_hostile_registration_is_refused_alike, async |app| {
    let mut person = app.verified(ADA).await;
    person.login().await.expect(200);
    let mut first = None;
    for (name, change) in CASES {
        let mut passkey = Passkey::new(Key::es256());
        let answer = person.add_passkey(&mut passkey, change).await;
        let broken = [("/credential".to_owned(), "invalid".to_owned())];
        assert_eq!(answer.status, 422, "{name}: {}", answer.text());
        assert_eq!(crate::ask::broken_rules(&answer), broken, "{name}");
        let parts = alike(&answer);
        assert_eq!(*first.get_or_insert_with(|| parts.clone()), parts, "{name}");
    }
    assert_eq!(person.factors().await.json()["items"], json!([]));
    assert_eq!(person.proof(), ("aal1".to_owned(), "pwd".to_owned()));
    app.no_mail_to(ADA).await;
});

both!(a_credential_that_is_no_object_is_refused_before_the_challenge, async |app| {
    let mut person = app.verified(ADA).await;
    person.login().await.expect(200);
    let options = person.passkey_options().await.expect(200).json();
    for (credential, code) in [(json!("x"), "type"), (json!([]), "type"), (json!(null), "type")] {
        let answer = person.send_passkey(&options["challenge"], &credential).await;
        let broken = [("/credential".to_owned(), code.to_owned())];
        assert_eq!(crate::ask::broken_rules(&answer), broken, "{credential}");
    }
    let mut passkey = Passkey::new(Key::es256());
    let credential = passkey.create(&options["publicKey"], |_| {});
    person.send_passkey(&options["challenge"], &credential).await.expect(201);
    app.mail_to(ADA).await;
});
