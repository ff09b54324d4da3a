//! Tests of logins by passkey without a password.

use std::time::Duration;

use serde_json::json;

use super::authenticator::{Key, Passkey};
use super::callers::{Holder, as_is, holder, log_in, login_options, send_login};
use crate::app::both;
use crate::ask::{at_once, one_succeeds, sql};
use crate::audit::{actions, rows};
use crate::limits_attempts::DEVICE;
use crate::people::id_of;

const ADA: &str = "ada@example.org";

both!(a_passkey_opens_a_session_of_the_second_level, ["mail.new_device" = "true"], async |app| {
    let Holder { mut person, passkey, .. } = holder(app, ADA).await;
    let before = person.sid.clone();
    let answer = log_in(&app.anonymous().0, &passkey, as_is).await.expect(200);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let device = answer.header(DEVICE).expect("a device").to_owned();
    person.keep(answer.tokens());
    assert_ne!(person.sid, before);
    assert_eq!(person.proof(), ("aal2".to_owned(), "pop mfa".to_owned()));
    person.refresh().await.expect(200);
    assert_eq!(person.proof(), ("aal2".to_owned(), "pop mfa".to_owned()));
    let sessions = person.sessions().await.expect(200).json();
    let mine = sessions["items"].as_array().expect("items").iter().find(|it| it["current"] == true);
    assert_eq!(mine.expect("this session")["acr"], "aal2");
    // The device was unknown, so the user gets a mail. It is known from now on.
    app.mail_to(ADA).await;
    let known = app.anonymous().0.header(DEVICE, &device);
    log_in(&known, &passkey, as_is).await.expect(200);
    app.no_mail_to(ADA).await;
    let id = id_of(&person).parse().expect("an id");
    let logins = actions(app, id).await.iter().filter(|it| *it == "session.login").count();
    assert!(logins >= 2);
    let last = rows(app).await.into_iter().rfind(|row| row.action == "session.login");
    assert!(last.expect("a login").detail.contains("passkey"));
    crate::audit::is_sound(app).await;
});

both!(a_right_response_opens_one_session, async |app| {
    let user = holder(app, ADA).await;
    let client = &app.anonymous().0;
    let options = login_options(client, json!({})).await.expect(200).json();
    let credential = user.passkey.get(&options["publicKey"], as_is);
    let challenge = options["challenge"].clone();
    let answers = at_once(16, async |_| send_login(client, &challenge, &credential).await).await;
    one_succeeds(answers, 401, "challenge-invalid");
    app.mail_to(ADA).await;
});

both!(a_wrong_passkey_ends_the_challenge, async |app| {
    let user = holder(app, ADA).await;
    let client = &app.anonymous().0;
    let options = login_options(client, json!({})).await.expect(200).json();
    let stranger = Passkey::new(Key::es256());
    let wrong = stranger.get(&options["publicKey"], as_is);
    let answer = send_login(client, &options["challenge"], &wrong).await;
    assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"latchkey\""));
    assert_eq!(answer.header(DEVICE), None);
    answer.expect_problem(401, "invalid-credentials");
    let right = user.passkey.get(&options["publicKey"], as_is);
    let answer = send_login(client, &options["challenge"], &right).await;
    answer.expect_problem(401, "challenge-invalid");
    // A body that is no proof at all ends nothing.
    let options = login_options(client, json!({})).await.expect(200).json();
    for credential in [json!(null), json!("x"), json!([]), json!(5)] {
        let answer = send_login(client, &options["challenge"], &credential).await;
        answer.expect_problem(422, "validation-failed");
    }
    let right = user.passkey.get(&options["publicKey"], as_is);
    send_login(client, &options["challenge"], &right).await.expect(200);
    app.mail_to(ADA).await;
});

both!(a_disabled_account_says_so_only_after_a_right_passkey, async |app| {
    let user = holder(app, ADA).await;
    sql(app, "UPDATE users SET status = 'disabled'").await;
    let client = &app.anonymous().0;
    log_in(client, &user.passkey, as_is).await.expect_problem(403, "account-disabled");
    let wrong = log_in(client, &user.passkey, |draft| draft.signature = Some(vec![0; 70])).await;
    wrong.expect_problem(401, "invalid-credentials");
    sql(app, "UPDATE users SET status = 'active'").await;
    log_in(client, &user.passkey, as_is).await.expect(200);
    app.mail_to(ADA).await;
});

both!(a_counter_that_fell_is_accepted_and_audited, async |app| {
    let Holder { person, mut passkey, .. } = holder(app, ADA).await;
    let id = id_of(&person).parse().expect("an id");
    let client = &app.anonymous().0;
    let fell =
        async || actions(app, id).await.iter().filter(|it| *it == "factor.counter-fell").count();
    // The counter of a synced passkey stays 0.
    for (counter, expected) in [(0, 0), (0, 0), (7, 0), (8, 0), (8, 1), (3, 2), (4, 2), (0, 3)] {
        passkey.counter = counter;
        log_in(client, &passkey, as_is).await.expect(200);
        assert_eq!(fell().await, expected, "{counter}");
    }
    crate::audit::is_sound(app).await;
    app.mail_to(ADA).await;
});

both!(a_removed_passkey_opens_nothing, async |app| {
    let user = holder(app, ADA).await;
    user.person.remove_factor(&user.id).await.expect(204);
    app.mail_to(ADA).await;
    let answer = log_in(&app.anonymous().0, &user.passkey, as_is).await;
    answer.expect_problem(401, "invalid-credentials");
    // The session is lowered at once, and keeps what it has proven first.
    let mut person = user.person;
    person.refresh().await.expect(200);
    assert_eq!(person.proof(), ("aal1".to_owned(), "pwd".to_owned()));
});

both!(the_last_passkey_leaves_a_session_that_began_with_it_at_the_first_level, async |app| {
    let Holder { mut person, passkey, id, .. } = holder(app, ADA).await;
    let answer = log_in(&app.anonymous().0, &passkey, as_is).await.expect(200);
    app.mail_to(ADA).await;
    person.keep(answer.tokens());
    person.remove_factor(&id).await.expect(204);
    app.mail_to(ADA).await;
    person.refresh().await.expect(200);
    assert_eq!(person.proof(), ("aal1".to_owned(), "pop".to_owned()));
    // A new first factor needs the password.
    let answer = person.passkey_options().await.expect_problem(401, "step-up-required");
    assert_eq!(answer.json()["methods"], json!(["password"]));
    person.step_up_password().await.expect(200);
    person.passkey_options().await.expect(200);
});

both!(a_passkey_does_not_depend_on_wrong_passwords, ["rate_limit.enabled" = "true"], async |app| {
    let user = holder(app, ADA).await;
    for _ in 0..8 {
        app.anonymous().login(ADA, "not the password").await;
    }
    log_in(&app.anonymous().0, &user.passkey, as_is).await.expect(200);
    app.mail_to(ADA).await;
});

both!(ceremonies_and_logins_are_limited, ["rate_limit.enabled" = "true"], async |app| {
    let client = &app.anonymous().0;
    let options = login_options(client, json!({})).await.expect(200).json();
    for _ in 1..30 {
        login_options(client, json!({})).await.expect(200);
    }
    let answer = login_options(client, json!({})).await.expect_problem(429, "rate-limited");
    assert!(answer.header("retry-after").is_some());
    for _ in 0..30 {
        let answer = send_login(client, &options["challenge"], &json!({})).await;
        assert_eq!(answer.status, 401);
    }
    let answer = send_login(client, &options["challenge"], &json!({})).await;
    answer.expect_problem(429, "rate-limited");
    app.clock.advance(Duration::from_mins(1));
    login_options(client, json!({})).await.expect(200);
});
