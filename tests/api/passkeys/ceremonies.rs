//! Tests of the challenges of ceremonies: whose they are, what they are good for, and when they
//! end.

use std::time::Duration;

use serde_json::{Value, json};

use super::authenticator::{Key, Passkey};
use super::callers::{as_is, holder, login_options, send_login};
use crate::app::{TestApp, both};
use crate::ask::broken_rules;
use crate::client::{Answer, Person};
use crate::factors::{challenge_of, enrolled};
use crate::people::people;

const ADA: &str = "ada@example.org";

#[track_caller]
fn is_refused(answer: &Answer) {
    assert_eq!(broken_rules(answer), [("/challenge".to_owned(), "invalid".to_owned())]);
}

/// A passkey for the options of a registration, and the challenge of the options.
async fn begun(person: &Person) -> (Passkey, Value, Value) {
    let options = person.passkey_options().await.expect(200).json();
    let mut passkey = Passkey::new(Key::es256());
    let credential = passkey.create(&options["publicKey"], as_is);
    (passkey, options["challenge"].clone(), credential)
}

async fn user(app: &TestApp) -> Person {
    let mut person = app.verified(ADA).await;
    person.login().await.expect(200);
    person
}

both!(a_challenge_of_a_registration_belongs_to_its_session, async |app| {
    let mut person = user(app).await;
    let mut other = person.another_device().await;
    let [mut ben] = people(app, ["ben"]).await;
    ben.login().await.expect(200);
    let (_, challenge, credential) = begun(&person).await;
    is_refused(&other.send_passkey(&challenge, &credential).await);
    is_refused(&ben.send_passkey(&challenge, &credential).await);
    is_refused(&person.send_passkey(&json!("lkc_unknown"), &credential).await);
    // None of these requests has ended the challenge.
    person.send_passkey(&challenge, &credential).await.expect(201);
});

both!(a_challenge_of_a_registration_ends_with_every_answer, async |app| {
    let mut person = user(app).await;
    let (mut passkey, challenge, credential) = begun(&person).await;
    let wrong = passkey.create(&json!({ "challenge": "AAAA", "user": { "id": "AAAA" } }), as_is);
    let answer = person.send_passkey(&challenge, &wrong).await;
    assert_eq!(broken_rules(&answer), [("/credential".to_owned(), "invalid".to_owned())]);
    is_refused(&person.send_passkey(&challenge, &credential).await);

    let (_, challenge, credential) = begun(&person).await;
    person.send_passkey(&challenge, &credential).await.expect(201);
    is_refused(&person.send_passkey(&challenge, &credential).await);
    app.mail_to(ADA).await;

    // A newer request replaces it, and it expires.
    let (_, older, credential) = begun(&person).await;
    let (_, newer, of_newer) = begun(&person).await;
    is_refused(&person.send_passkey(&older, &credential).await);
    app.clock.advance(Duration::from_secs(601));
    is_refused(&person.send_passkey(&newer, &of_newer).await);
});

both!(a_challenge_is_good_for_its_ceremony_alone, async |app| {
    let mut user = holder(app, ADA).await;
    let client = &app.anonymous().0;
    let step_up = user.person.step_up_options().await.expect(200).json();
    let login = login_options(client, json!({})).await.expect(200).json();
    let waiting = challenge_of(client, &user.person).await;
    let second = login_options(client, json!({ "challenge": waiting })).await.expect(200).json();
    let (_, enrolment, _) = begun(&user.person).await;
    assert_eq!(second["challenge"], waiting.as_str());

    // A login without a password.
    for options in [&step_up, &second] {
        let credential = user.passkey.get(&options["publicKey"], as_is);
        let answer = send_login(client, &options["challenge"], &credential).await;
        answer.expect_problem(401, "challenge-invalid");
    }
    let credential = user.passkey.get(&login["publicKey"], as_is);
    send_login(client, &enrolment, &credential).await.expect_problem(401, "challenge-invalid");
    // The options of a login.
    for challenge in [&step_up["challenge"], &login["challenge"], &enrolment] {
        let answer = login_options(client, json!({ "challenge": challenge })).await;
        answer.expect_problem(401, "challenge-invalid");
    }
    // A step-up.
    for options in [&login, &second] {
        let credential = user.passkey.get(&options["publicKey"], as_is);
        let answer = user.person.send_step_up(&options["challenge"], &credential).await;
        answer.expect_problem(401, "challenge-invalid");
    }
    // A challenge is no token.
    for challenge in [&step_up["challenge"], &login["challenge"], &enrolment] {
        let bearer = client.bearer(challenge.as_str().expect("a text"));
        bearer.get("/api/me").await.expect_problem(401, "invalid-token");
    }
    // All of them are still good where they belong.
    send_login(client, &login["challenge"], &credential).await.expect(200);
    let credential = user.passkey.get(&step_up["publicKey"], as_is);
    user.person.send_step_up(&step_up["challenge"], &credential).await.expect(200);
    let credential = user.passkey.get(&second["publicKey"], as_is);
    super::callers::send_factor(client, &waiting, &credential).await.expect(200);
});

both!(a_login_without_a_password_waits_ten_minutes, async |app| {
    let user = holder(app, ADA).await;
    let client = &app.anonymous().0;
    for (seconds, status) in [(599, 200), (600, 401)] {
        let options = login_options(client, json!({})).await.expect(200).json();
        let ends = latchkey::clock::rfc3339(app.clock.now() + 600_000);
        assert_eq!(options["expiresAt"], ends.as_str());
        assert_eq!(options["publicKey"]["timeout"], 600_000);
        app.clock.advance(Duration::from_secs(seconds));
        let credential = user.passkey.get(&options["publicKey"], as_is);
        let answer = send_login(client, &options["challenge"], &credential).await.expect(status);
        if status == 401 {
            answer.expect_problem(401, "challenge-invalid");
        }
    }
    app.mail_to(ADA).await;
});

both!(the_options_of_a_login_need_an_account_with_a_passkey, async |app| {
    let user = enrolled(app, ADA).await;
    let client = &app.anonymous().0;
    let waiting = challenge_of(client, &user.person).await;
    let answer = login_options(client, json!({ "challenge": waiting })).await;
    answer.expect_problem(409, "conflict");
    user.person.step_up_options().await.expect_problem(409, "conflict");
    let unknown = login_options(client, json!({ "challenge": "lkc_unknown" })).await;
    unknown.expect_problem(401, "challenge-invalid");
    for body in [json!({ "challenge": 5 }), json!({ "challenge": [] })] {
        login_options(client, body).await.expect_problem(422, "validation-failed");
    }
});

both!(the_options_without_a_challenge_say_nothing_about_accounts, async |app| {
    holder(app, ADA).await;
    let client = &app.anonymous().0;
    let bare = client.bare(hyper::Method::POST, "/api/login/passkey/options").await.expect(200);
    let null = login_options(client, json!({ "challenge": null })).await.expect(200);
    for answer in [bare, null] {
        let options = answer.json();
        assert_eq!(
            options["publicKey"],
            json!({
                "challenge": options["publicKey"]["challenge"],
                "timeout": 600_000,
                "rpId": "latchkey.test",
                "userVerification": "required",
            })
        );
    }
});
