//! Tests of hostile authenticators at a login, at the second step of a login, and at a step-up.
//! Each of them is refused in the same way, and opens nothing.

use serde_json::json;

use super::authenticator::{
    ATTESTED, BACKED_UP, ELIGIBLE, EXTENSIONS, Key, PRESENT, VERIFIED, encoded,
};
use super::callers::{Change, as_is, holder_of, log_in, prove};
use super::cbor;
use crate::app::{TestApp, both};
use crate::ask::alike;
use crate::client::Answer;
use crate::factors::challenge_of;

const ADA: &str = "ada@example.org";

const CASES: &[(&str, Change)] = &[
    // The response.
    ("another type", |it| it.kind = "password".into()),
    ("id unlike rawId", |it| it.id = encoded(&[1; 32]).into()),
    ("an unknown passkey", |it| it.named(vec![1; 32])),
    ("a long credential id", |it| it.named(vec![1; 1_024])),
    ("no id", |it| (it.id, it.raw_id) = (json!(null), json!(null))),
    ("another user", |it| it.handle = encoded(&[1; 64]).into()),
    ("an empty user handle", |it| it.handle = json!("")),
    ("a number as user handle", |it| it.handle = json!(7)),
    ("no client data", |it| it.response = vec![("clientDataJSON", json!(""))]),
    ("no authenticator data", |it| it.response = vec![("authenticatorData", json!(""))]),
    ("no signature", |it| it.response = vec![("signature", json!(null))]),
    // The client data.
    ("the other ceremony", |it| it.says("type", "webauthn.create")),
    ("another challenge", |it| it.says("challenge", encoded(&[1; 32]))),
    ("another origin", |it| it.says("origin", "https://evil.example")),
    ("an origin below the domain", |it| it.says("origin", "https://x.latchkey.test")),
    ("an origin above the domain", |it| it.says("origin", "https://test")),
    ("a page in a frame", |it| it.says("crossOrigin", true)),
    ("a duplicate member", |it| it.client_data.push(("origin", it.client_data[2].1.clone()))),
    ("a duplicate unknown member", |it| it.client_data.extend([("x", 1.into()), ("x", 2.into())])),
    ("bytes after the client data", |it| it.client_data_tail = b" {}".to_vec()),
    // The authenticator data.
    ("another domain", |it| "evil.example".clone_into(&mut it.rp_id)),
    ("no user", |it| it.flags &= !PRESENT),
    ("no user verification", |it| it.flags &= !VERIFIED),
    ("a backup that is not possible", |it| it.flags &= !ELIGIBLE),
    ("another backup eligibility", |it| it.flags &= !(ELIGIBLE | BACKED_UP)),
    ("a new passkey", |it| it.flags |= ATTESTED),
    ("bytes after the authenticator data", |it| it.tail = vec![0]),
    ("the flag of extensions without them", |it| it.flags |= EXTENSIONS),
    ("bytes after the extensions", |it| {
        it.flags |= EXTENSIONS;
        it.tail = [cbor::map(&[]), vec![0]].concat();
    }),
    ("short authenticator data", |it| it.cut = 1),
    // The signature.
    ("an empty signature", |it| it.signature = Some(Vec::new())),
    ("a signature of zeros", |it| it.signature = Some(vec![0; 64])),
    ("ECDSA with r and s of 0", |it| it.signature = Some(vec![0x30, 6, 2, 1, 0, 2, 1, 0])),
    ("a long signature", |it| it.signature = Some(vec![0x30; 512])),
];

/// Sends one hostile response to each of the three routes.
async fn hostile_answers(app: &TestApp, key: Key) {
    let mut user = holder_of(app, ADA, key).await;
    let client = &app.anonymous().0;
    let mut first: Vec<Option<_>> = vec![None, None, None];
    for (name, change) in CASES {
        let challenge = challenge_of(client, &user.person).await;
        let answers = [
            log_in(client, &user.passkey, change).await,
            prove(client, &challenge, &user.passkey, change).await,
            user.person.step_up_passkey(&user.passkey, change).await,
        ];
        for (place, answer) in answers.iter().enumerate() {
            is_wrong(name, place, answer);
            let parts = alike(answer);
            assert_eq!(*first[place].get_or_insert_with(|| parts.clone()), parts, "{name}");
        }
    }
    let sessions = user.person.sessions().await.expect(200).json();
    assert_eq!(sessions["items"].as_array().map(Vec::len), Some(1), "no case opened a session");
    log_in(client, &user.passkey, as_is).await.expect(200);
    app.mail_to(ADA).await;
}

#[track_caller]
fn is_wrong(name: &str, place: usize, answer: &Answer) {
    assert_eq!(answer.status, 401, "{name} at {place}: {}", answer.text());
    assert_eq!(answer.json()["code"], "invalid-credentials", "{name} at {place}");
    assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"latchkey\""), "{name}");
    assert_eq!(answer.header("x-latchkey-device"), None, "{name}");
}

both!(every_hostile_login_is_refused_alike, async |app| {
    hostile_answers(app, Key::es256()).await;
});

both!(every_hostile_login_with_ed25519_is_refused_alike, async |app| {
    hostile_answers(app, Key::ed_dsa()).await;
});

both!(every_hostile_login_with_rsa_is_refused_alike, async |app| {
    hostile_answers(app, Key::rs256()).await;
});

both!(a_login_without_a_password_needs_the_user_handle, async |app| {
    let user = holder_of(app, ADA, Key::es256()).await;
    for handle in [json!(null), json!(""), encoded(&[0; 64]).into()] {
        let answer = log_in(&app.anonymous().0, &user.passkey, |it| it.handle = handle).await;
        is_wrong("user handle", 0, &answer);
    }
});

both!(a_signature_belongs_to_its_client_data_and_its_authenticator_data, async |app| {
    let user = holder_of(app, ADA, Key::es256()).await;
    let client = &app.anonymous().0;
    let options = super::callers::login_options(client, json!({})).await.expect(200).json();
    let honest = user.passkey.get(&options["publicKey"], as_is);
    // Each part comes from another response of the same passkey.
    for member in ["clientDataJSON", "authenticatorData"] {
        let options = super::callers::login_options(client, json!({})).await.expect(200).json();
        let other = user.passkey.get(&options["publicKey"], |it| {
            it.counter = 9;
            it.says("x", 1);
        });
        let mut mixed = other.clone();
        mixed["response"][member] = honest["response"][member].clone();
        let answer = super::callers::send_login(client, &options["challenge"], &mixed).await;
        is_wrong(member, 0, &answer);
    }
});
