//! Tests of adding a passkey.

use serde_json::json;

use super::authenticator::{
    ATTESTED, BACKED_UP, ELIGIBLE, EXTENSIONS, Key, PRESENT, Passkey, VERIFIED, decoded, encoded,
};
use super::callers::{as_is, holder, log_in};
use super::cbor;
use crate::app::{PUBLIC_URL, both};
use crate::ask::{at_once, count};
use crate::audit::actions;
use crate::factors::texts;
use crate::people::{id_of, people};

const ADA: &str = "ada@example.org";

both!(the_options_ask_for_a_discoverable_passkey_and_a_verified_user, async |app| {
    let mut person = app.verified(ADA).await;
    person.login().await.expect(200);
    let answer = person.passkey_options().await.expect(200);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let mut options = answer.json();
    let ends = latchkey::clock::rfc3339(app.clock.now() + 600_000);
    assert_eq!(options["expiresAt"], ends.as_str());
    assert!(options["challenge"].as_str().is_some_and(|it| it.len() >= 43));
    let public_key = options["publicKey"].take();
    assert_eq!(decoded(&public_key["challenge"]).len(), 32);
    let handle = decoded(&public_key["user"]["id"]);
    assert_eq!(handle.len(), 64);
    let id: uuid::Uuid = id_of(&person).parse().expect("an id");
    assert!(!handle.windows(16).any(|it| it == id.as_bytes()), "the handle is random");
    assert_eq!(
        public_key,
        json!({
            "rp": { "id": "latchkey.test", "name": "latchkey" },
            "user": {
                "id": encoded(&handle),
                "name": ADA,
                "displayName": public_key["user"]["displayName"],
            },
            "challenge": public_key["challenge"],
            "pubKeyCredParams": [
                { "type": "public-key", "alg": -7 },
                { "type": "public-key", "alg": -8 },
                { "type": "public-key", "alg": -257 },
            ],
            "timeout": 600_000,
            "excludeCredentials": [],
            "authenticatorSelection": {
                "residentKey": "required",
                "requireResidentKey": true,
                "userVerification": "required",
            },
            "attestation": "none",
        })
    );
    // Another ceremony has other random values and the same handle.
    let again = person.passkey_options().await.expect(200).json();
    assert_eq!(again["publicKey"]["user"]["id"], encoded(&handle).as_str());
    assert_ne!(again["publicKey"]["challenge"], public_key["challenge"]);
    assert_ne!(again["challenge"], options["challenge"]);
});

both!(
    the_first_passkey_raises_its_session_and_ends_the_others,
    ["mail.new_device" = "false"],
    async |app| {
        let mut person = app.verified(ADA).await;
        person.login().await.expect(200);
        let mut other = person.another_device().await;
        let mut passkey = Passkey::new(Key::es256());
        let added = person.add_passkey(&mut passkey, as_is).await.expect(201);
        assert_eq!(added.header("cache-control"), Some("no-store"));
        let added = added.json();
        let factor = json!({
            "id": added["factor"]["id"],
            "kind": "passkey",
            "name": "Laptop",
            "createdAt": latchkey::clock::rfc3339(app.clock.now()),
            "lastUsedAt": null,
            "backedUp": true,
        });
        assert_eq!(added["factor"], factor);
        assert_eq!(texts(&added["recoveryCodes"]).len(), 10);
        assert_eq!(person.proof(), ("aal2".to_owned(), "pwd pop mfa".to_owned()));
        other.refresh().await.expect_problem(401, "invalid-token");
        let list = person.factors().await.expect(200).json();
        assert_eq!(list, json!({ "items": [factor], "recoveryCodesLeft": 10, "next": null }));
        let mail = app.mail_to(ADA).await;
        let link = format!("{PUBLIC_URL}/undo-factor?token={}", mail.token());
        assert!(mail.text.lines().any(|line| line == link), "{}", mail.text);
        let id = id_of(&person).parse().expect("an id");
        assert!(actions(app, id).await.iter().any(|it| it == "factor.added"));
        crate::audit::is_sound(app).await;
    }
);

both!(a_second_passkey_ends_no_session_and_brings_no_codes, async |app| {
    let mut user = holder(app, ADA).await;
    let options = user.person.passkey_options().await.expect(200).json();
    let excluded = &options["publicKey"]["excludeCredentials"];
    let id = encoded(&user.passkey.credential_id);
    let transports = ["internal", "hybrid"];
    assert_eq!(*excluded, json!([{ "type": "public-key", "id": id, "transports": transports }]));
    let mut second = Passkey::new(Key::ed_dsa());
    // A passkey that stays on its device.
    second.flags = PRESENT | VERIFIED;
    let added = user.person.add_passkey(&mut second, as_is).await.expect(201).json();
    assert_eq!(added.get("recoveryCodes"), None);
    assert_eq!(added["factor"]["backedUp"], false);
    assert_eq!(second.handle, user.passkey.handle);
    app.mail_to(ADA).await;
    log_in(&app.anonymous().0, &user.passkey, as_is).await.expect(200);
    log_in(&app.anonymous().0, &second, as_is).await.expect(200);
});

both!(every_algorithm_and_every_harmless_difference_is_accepted, async |app| {
    let mut person = app.verified(ADA).await;
    person.login().await.expect(200);
    for key in [Key::es256(), Key::ed_dsa(), Key::rs256()] {
        let mut passkey = Passkey::new(key);
        let change = |draft: &mut super::authenticator::Draft| {
            draft.client_data.retain(|(name, _)| *name != "crossOrigin");
            draft.says("topOrigin", "https://latchkey.test");
            draft.says("tokenBinding", json!({ "status": "supported" }));
            draft.flags |= EXTENSIONS;
            draft.tail = cbor::map(&[(cbor::text("credProtect"), cbor::integer(2))]);
            draft.response = vec![("transports", json!(null)), ("publicKeyAlgorithm", json!(-7))];
        };
        person.add_passkey(&mut passkey, change).await.expect(201);
        app.mail_to(ADA).await;
        log_in(&app.anonymous().0, &passkey, as_is).await.expect(200);
    }
    // Credential ids have 16 to 1 023 bytes.
    for length in [16, 1_023] {
        let mut passkey = Passkey::new(Key::es256());
        passkey.credential_id = vec![7; length];
        person.add_passkey(&mut passkey, as_is).await.expect(201);
        app.mail_to(ADA).await;
        log_in(&app.anonymous().0, &passkey, as_is).await.expect(200);
    }
});

both!(a_passkey_is_registered_once, async |app| {
    let mut user = holder(app, ADA).await;
    let [mut ben] = people(app, ["ben"]).await;
    ben.login().await.expect(200);
    // The owner again, and another account with the same device or with a copied id.
    let again = user.person.add_passkey(&mut user.passkey, as_is).await;
    again.expect_problem(409, "conflict");
    let mut copy = Passkey::new(Key::es256());
    copy.credential_id.clone_from(&user.passkey.credential_id);
    ben.add_passkey(&mut copy, as_is).await.expect_problem(409, "conflict");
    assert_eq!(ben.factors().await.json()["items"], json!([]));
    assert_eq!(ben.proof(), ("aal1".to_owned(), "pwd".to_owned()));
    app.no_mail_to("ben@example.org").await;
});

both!(one_passkey_in_two_accounts_at_the_same_time_gets_into_one, async |app| {
    let mut callers = people(app, ["ada", "ben", "eve"]).await;
    let mut sent = Vec::new();
    let mut passkey = Passkey::new(Key::es256());
    for person in &mut callers {
        person.login().await.expect(200);
        let options = person.passkey_options().await.expect(200).json();
        let credential = passkey.create(&options["publicKey"], as_is);
        sent.push((person.clone(), options["challenge"].clone(), credential));
    }
    let answers = at_once(3, async |turn| {
        let (mut person, challenge, credential) = sent[turn].clone();
        person.send_passkey(&challenge, &credential).await
    });
    let answers = answers.await;
    assert_eq!((count(&answers, 201), count(&answers, 409)), (1, 2), "{answers:#?}");
});

both!(one_ceremony_adds_one_passkey_in_parallel_requests, async |app| {
    let mut person = app.verified(ADA).await;
    person.login().await.expect(200);
    let options = person.passkey_options().await.expect(200).json();
    let mut passkey = Passkey::new(Key::es256());
    let credential = passkey.create(&options["publicKey"], as_is);
    let answers =
        at_once(8, async |_| person.clone().send_passkey(&options["challenge"], &credential).await);
    assert_eq!(count(&answers.await, 201), 1);
});

both!(an_account_has_at_most_ten_factors, async |app| {
    let mut user = holder(app, ADA).await;
    for _ in 0..9 {
        let mut passkey = Passkey::new(Key::es256());
        user.person.add_passkey(&mut passkey, as_is).await.expect(201);
        app.mail_to(ADA).await;
    }
    user.person.passkey_options().await.expect_problem(409, "conflict");
});

both!(the_flags_of_a_passkey_are_kept, async |app| {
    let mut user = holder(app, ADA).await;
    assert_eq!(user.passkey.flags & (ELIGIBLE | BACKED_UP | ATTESTED), ELIGIBLE | BACKED_UP);
    // The user turns the backup off. The list shows it after the next login.
    user.passkey.flags &= !BACKED_UP;
    log_in(&app.anonymous().0, &user.passkey, as_is).await.expect(200);
    let list = user.person.factors().await.expect(200).json();
    assert_eq!(list["items"][0]["backedUp"], false);
    assert_eq!(list["items"][0]["lastUsedAt"], latchkey::clock::rfc3339(app.clock.now()).as_str());
    app.mail_to(ADA).await;
});
