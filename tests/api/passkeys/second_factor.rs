//! Tests of passkeys as the second factor of a login.

use serde_json::json;

use super::authenticator::{Key, Passkey};
use super::callers::{as_is, holder, log_in, login_options, prove, send_factor};
use crate::app::both;
use crate::client::claims;
use crate::factors::{challenge_of, texts};
use crate::limits_attempts::DEVICE;

const ADA: &str = "ada@example.org";

both!(a_passkey_completes_a_login_by_password, async |app| {
    let mut user = holder(app, ADA).await;
    let client = &app.anonymous().0;
    let answer = app.anonymous().login(ADA, &user.person.password).await;
    let problem = answer.expect_problem(401, "factor-required").json();
    assert_eq!(texts(&problem["methods"]), ["passkey", "recovery-code"]);
    let waiting = problem["challenge"].as_str().expect("a challenge");
    let options = login_options(client, json!({ "challenge": waiting })).await.expect(200).json();
    assert_eq!(options["challenge"], waiting);
    assert_eq!(options["expiresAt"], problem["expiresAt"]);
    let allowed = &options["publicKey"]["allowCredentials"];
    assert_eq!(allowed.as_array().map(Vec::len), Some(1));
    assert_eq!(allowed[0]["type"], "public-key");
    let credential = user.passkey.get(&options["publicKey"], as_is);
    let answer = send_factor(client, waiting, &credential).await.expect(200);
    assert!(answer.header(DEVICE).is_some());
    user.person.keep(answer.tokens());
    assert_eq!(user.person.proof(), ("aal2".to_owned(), "pwd pop mfa".to_owned()));
    let again = send_factor(client, waiting, &credential).await;
    again.expect_problem(401, "challenge-invalid");
    // A device that does not know the account sends no user handle.
    let challenge = challenge_of(client, &user.person).await;
    let no_handle = prove(client, &challenge, &user.passkey, |it| it.handle = json!(null)).await;
    no_handle.expect(200);
    app.mail_to(ADA).await;
});

both!(newer_options_replace_the_older_ones, async |app| {
    let user = holder(app, ADA).await;
    let client = &app.anonymous().0;
    let waiting = challenge_of(client, &user.person).await;
    let body = json!({ "challenge": waiting });
    let older = login_options(client, body.clone()).await.expect(200).json();
    let newer = login_options(client, body).await.expect(200).json();
    assert_ne!(older["publicKey"]["challenge"], newer["publicKey"]["challenge"]);
    let credential = user.passkey.get(&older["publicKey"], as_is);
    let answer = send_factor(client, &waiting, &credential).await;
    answer.expect_problem(401, "invalid-credentials");
    let credential = user.passkey.get(&newer["publicKey"], as_is);
    send_factor(client, &waiting, &credential).await.expect(200);
    app.mail_to(ADA).await;
});

both!(the_fifth_wrong_passkey_ends_the_challenge, async |app| {
    let user = holder(app, ADA).await;
    let client = &app.anonymous().0;
    for (wrong, status) in [(4, 200), (5, 401)] {
        let challenge = challenge_of(client, &user.person).await;
        // Without options, a passkey is a wrong proof as well.
        let credential = user.passkey.get(&json!({ "challenge": "AAAA" }), as_is);
        let answer = send_factor(client, &challenge, &credential).await;
        answer.expect_problem(401, "invalid-credentials");
        let options = login_options(client, json!({ "challenge": challenge })).await.json();
        for _ in 1..wrong {
            let stranger = Passkey::new(Key::es256());
            let credential = stranger.get(&options["publicKey"], as_is);
            let answer = send_factor(client, &challenge, &credential).await;
            answer.expect_problem(401, "invalid-credentials");
        }
        let credential = user.passkey.get(&options["publicKey"], as_is);
        send_factor(client, &challenge, &credential).await.expect(status);
    }
    app.mail_to(ADA).await;
});

both!(passkeys_have_no_back_off, ["rate_limit.enabled" = "true"], async |app| {
    let user = holder(app, ADA).await;
    let client = &app.anonymous().0;
    for _ in 0..3 {
        let challenge = challenge_of(client, &user.person).await;
        for _ in 0..5 {
            let answer = send_factor(client, &challenge, &json!({})).await;
            answer.expect_problem(401, "invalid-credentials");
        }
    }
    let challenge = challenge_of(client, &user.person).await;
    prove(client, &challenge, &user.passkey, as_is).await.expect(200);
    app.mail_to(ADA).await;
});

both!(another_accounts_passkey_is_wrong, async |app| {
    let ada = holder(app, ADA).await;
    let ben = holder(app, "ben@example.org").await;
    let client = &app.anonymous().0;
    let challenge = challenge_of(client, &ada.person).await;
    let answer = prove(client, &challenge, &ben.passkey, as_is).await;
    answer.expect_problem(401, "invalid-credentials");
    // Also with the user handle of the account, and with the credential id of its passkey.
    let (handle, id) = (ada.passkey.handle.clone(), ada.passkey.credential_id.clone());
    let lie = |draft: &mut super::authenticator::Draft| {
        draft.handle = super::authenticator::encoded(&handle).into();
    };
    prove(client, &challenge, &ben.passkey, lie).await.expect_problem(401, "invalid-credentials");
    let lie = |draft: &mut super::authenticator::Draft| draft.named(id);
    prove(client, &challenge, &ben.passkey, lie).await.expect_problem(401, "invalid-credentials");
    prove(client, &challenge, &ada.passkey, as_is).await.expect(200);
    app.mail_to(ADA).await;
});

both!(a_method_needs_its_member, async |app| {
    let user = holder(app, ADA).await;
    let client = &app.anonymous().0;
    let challenge = challenge_of(client, &user.person).await;
    for (rest, pointer) in [
        (json!({ "method": "passkey" }), "/credential"),
        (json!({ "method": "passkey", "code": "123456" }), "/credential"),
        (json!({ "method": "passkey", "credential": "x" }), "/credential"),
        (json!({ "method": "passkey", "credential": null }), "/credential"),
        (json!({ "method": "totp", "credential": {} }), "/code"),
        (json!({ "method": "sms", "credential": {} }), "/method"),
    ] {
        let mut body = rest.clone();
        body["challenge"] = challenge.as_str().into();
        let answer = client.post_json("/api/login/factor", body).await;
        assert_eq!(crate::ask::broken_rules(&answer)[0].0, pointer, "{rest}");
    }
    // None of these requests counts as a wrong proof.
    prove(client, &challenge, &user.passkey, as_is).await.expect(200);
    app.mail_to(ADA).await;
});

both!(a_passkey_makes_a_device_trusted, async |app| {
    let user = holder(app, ADA).await;
    let client = &app.anonymous().0;
    let challenge = challenge_of(client, &user.person).await;
    let options = login_options(client, json!({ "challenge": challenge })).await.json();
    let body = json!({
        "challenge": challenge,
        "method": "passkey",
        "credential": user.passkey.get(&options["publicKey"], as_is),
        "trustDevice": true,
    });
    let answer = client.post_json("/api/login/factor", body).await.expect(200);
    let trusted = client.header(DEVICE, answer.header(DEVICE).expect("a device"));
    let body = json!({ "email": ADA, "password": user.person.password });
    let answer = trusted.post_json("/api/login", body.clone()).await.expect(200);
    assert_eq!(claims(&answer.tokens().user)["acr"], "aal1");
    // A login without a password neither ends the trust nor gives it to another device.
    let answer = log_in(&trusted, &user.passkey, as_is).await.expect(200);
    let trusted = client.header(DEVICE, answer.header(DEVICE).expect("a device"));
    trusted.post_json("/api/login", body.clone()).await.expect(200);
    let answer = log_in(client, &user.passkey, as_is).await.expect(200);
    let other = client.header(DEVICE, answer.header(DEVICE).expect("a device"));
    other.post_json("/api/login", body).await.expect_problem(401, "factor-required");
    app.mail_to(ADA).await;
});

both!(a_passkey_after_a_mailed_link_has_the_second_level, async |app| {
    let mut user = holder(app, ADA).await;
    let body = json!({ "email": "ada@example.net" });
    user.person.as_user().post_json("/api/change-email", body).await.expect(200);
    app.mail_to(ADA).await;
    let mail = app.mail_to("ada@example.net").await;
    let token = mail.token();
    let client = &app.anonymous().0;
    let answer = client.get(&format!("/api/verify-email/{token}")).await;
    let problem = answer.expect_problem(401, "factor-required").json();
    let waiting = problem["challenge"].as_str().expect("a challenge");
    let answer = prove(client, waiting, &user.passkey, as_is).await.expect(200);
    user.person.keep(answer.tokens());
    assert_eq!(user.person.proof(), ("aal2".to_owned(), "pop mfa".to_owned()));
});
