//! Tests of `POST /api/forgot-passsword` and `POST /api/reset-passsword`, with both spellings.

use std::time::Duration;

use serde_json::json;

use crate::app::{PUBLIC_URL, both};
use crate::ask::{alike, at_once, broken_rules, count, sql};
use crate::client::claims;

const NEW: &str = "a quite new password";

both!(a_recovery_sets_the_password_and_ends_every_session, async |app| {
    let mut person = app.verified("ada@example.org").await;
    let other = person.another_device().await;
    let answer = app.anonymous().forgot("ADA@example.org").await.expect(200);
    assert_eq!(answer.json(), json!({ "status": "ok" }));
    let mail = app.mail_to("ada@example.org").await;
    let link = format!("{PUBLIC_URL}/reset-password?token={}", mail.token());
    assert!(mail.text.lines().any(|line| line == link), "{}", mail.text);
    let answer = app.anonymous().reset(mail.token(), NEW).await.expect(200);
    assert_eq!(answer.json(), json!({ "status": "ok" }));
    for ended in [&person, &other] {
        ended.me().await.expect_problem(401, "invalid-token");
        ended.as_user().get("/api/refresh").await.expect_problem(401, "invalid-token");
    }
    person.login().await.expect_problem(401, "invalid-credentials");
    NEW.clone_into(&mut person.password);
    person.login().await.expect(200);
    let notice = app.mail_to("ada@example.org").await;
    assert_eq!(notice.subject, "Your password for Latchkey was changed");
    assert_eq!(notice.token, None);
    app.anonymous()
        .reset(mail.token(), "yet another one")
        .await
        .expect_problem(400, "token-invalid");
    person.me().await.expect(200);
});

both!(both_spellings_are_the_same_endpoints, async |app| {
    let mut person = app.verified("ada@example.org").await;
    for (turn, spelling) in ["password", "passsword"].into_iter().enumerate() {
        let body = json!({ "email": person.email });
        // These endpoints ignore an `Authorization` header, whether it is valid or not.
        let client = person.anonymous().header("authorization", "Bearer nonsense");
        client.post_json(&format!("/api/forgot-{spelling}"), body).await.expect(200);
        let token = app.mail_to("ada@example.org").await.token().to_owned();
        person.password = format!("new password {turn}");
        let body = json!({ "token": token, "newPassword": person.password });
        client.post_json(&format!("/api/reset-{spelling}"), body).await.expect(200);
        person.login().await.expect(200);
        app.mail_to("ada@example.org").await;
    }
});

both!(forgot_answers_the_same_for_everybody, async |app| {
    let verified = app.verified("verified@example.org").await;
    let unverified = app.register("unverified@example.org").await;
    let known = app.anonymous().forgot(&verified.email).await.expect(200);
    for email in ["nobody@example.org", &unverified.email] {
        assert_eq!(alike(&app.anonymous().forgot(email).await), alike(&known), "{email}");
    }
    app.no_mail_to("nobody@example.org").await;
    let unknown = app.anonymous().reset(&"A".repeat(43), NEW).await;
    let other = app.anonymous().reset("x", NEW).await;
    assert_eq!(alike(&unknown), alike(&other));
});

both!(of_eight_resets_by_one_token_one_succeeds, async |app| {
    let person = app.verified("ada@example.org").await;
    app.anonymous().forgot(&person.email).await.expect(200);
    let token = app.mail_to(&person.email).await.token().to_owned();
    let answers = at_once(8, async |turn| {
        app.anonymous().reset(&token, &format!("new password {turn}")).await
    })
    .await;
    assert_eq!(count(&answers, 200), 1, "{answers:#?}");
    let mut good = 0;
    for (turn, answer) in answers.into_iter().enumerate() {
        let login = app.anonymous().login(&person.email, &format!("new password {turn}")).await;
        assert_eq!(login.status == 200, answer.status == 200, "the password is the winner's");
        if answer.status == 200 {
            good += 1;
        } else {
            answer.expect_problem(400, "token-invalid");
        }
    }
    assert_eq!(good, 1);
    app.mail_to(&person.email).await;
    app.no_mail_to(&person.email).await;
});

both!(a_recovery_verifies_an_unverified_account, async |app| {
    let mut person = app.register("ada@example.org").await;
    let confirmation = app.mail_to(&person.email).await.token().to_owned();
    app.anonymous().forgot(&person.email).await.expect(200);
    let token = app.mail_to(&person.email).await.token().to_owned();
    app.anonymous().reset(&token, NEW).await.expect(200);
    person.me().await.expect_problem(401, "invalid-token");
    NEW.clone_into(&mut person.password);
    person.login().await.expect(200);
    let me = person.me().await.expect(200).json();
    assert_eq!(me["emailVerified"], true);
    assert_eq!(me["team"]["role"], "owner");
    let vault = claims(&person.vault_token);
    assert_eq!((&vault["tid"], &vault["pid"]), (&me["team"]["id"], &me["project"]["id"]));
    app.anonymous().verify(&confirmation).await.expect_problem(409, "already-verified");
    let teams = person.as_user().get("/api/teams").await.json();
    assert_eq!(teams["items"].as_array().map(Vec::len), Some(1));
});

both!(a_refused_password_does_not_burn_the_token, async |app| {
    let person = app.verified("ada.lovelace@example.org").await;
    app.anonymous().forgot(&person.email).await.expect(200);
    let token = app.mail_to(&person.email).await.token().to_owned();
    for (bad, code) in [
        ("short", "too-short"),
        ("password", "too-common"),
        ("Ada.Lovelace", "contextual"),
        ("ada lovelace", "contextual"),
        ("latchkey", "contextual"),
        ("Ada Lovelace's Team", "contextual"),
    ] {
        let answer = app.anonymous().reset(&token, bad).await;
        assert_eq!(broken_rules(&answer), [("/newPassword".to_owned(), code.to_owned())], "{bad}");
    }
    person.me().await.expect(200);
    app.anonymous().reset(&token, NEW).await.expect(200);
});

both!(a_link_lives_half_an_hour_and_a_newer_one_replaces_it, async |app| {
    let person = app.verified("ada@example.org").await;
    let mut tokens = Vec::new();
    for _ in 0..2 {
        app.anonymous().forgot(&person.email).await.expect(200);
        tokens.push(app.mail_to(&person.email).await.token().to_owned());
    }
    app.anonymous().reset(&tokens[0], NEW).await.expect_problem(400, "token-invalid");
    app.clock.advance(Duration::from_secs(30 * 60 + 1));
    app.anonymous().reset(&tokens[1], NEW).await.expect_problem(400, "token-invalid");
    person.anonymous().login(&person.email, &person.password).await.expect(200);
});

both!(a_change_of_password_kills_the_open_link, async |app| {
    let mut person = app.verified("ada@example.org").await;
    app.anonymous().forgot(&person.email).await.expect(200);
    let token = app.mail_to(&person.email).await.token().to_owned();
    person.change_password(NEW).await.expect(200);
    app.anonymous().reset(&token, "yet another one").await.expect_problem(400, "token-invalid");
    person.login().await.expect(200);
});

both!(a_login_that_races_a_reset_does_not_survive_it, ["mail.new_device" = "false"], async |app| {
    let mut person = app.verified("ada@example.org").await;
    for round in 0..6 {
        app.anonymous().forgot(&person.email).await.expect(200);
        let token = app.mail_to(&person.email).await.token().to_owned();
        let new = format!("new password {round}");
        let anonymous = app.anonymous();
        let (reset, logins) = tokio::join!(
            anonymous.reset(&token, &new),
            at_once(6, async |_| app.anonymous().login(&person.email, &person.password).await),
        );
        reset.expect(200);
        for login in logins {
            if login.status == 200 {
                let stale = app.anonymous().bearer(&login.tokens().user);
                stale.get("/api/me").await.expect_problem(401, "invalid-token");
                stale.get("/api/refresh").await.expect_problem(401, "invalid-token");
            } else {
                login.expect_problem(401, "invalid-credentials");
            }
        }
        app.mail_to(&person.email).await;
        person.password = new;
        // An email address gets at most one immediate notice per hour.
        app.clock.advance(Duration::from_hours(1));
    }
});

both!(members_of_a_reset_are_named, async |app| {
    let answer = app.anonymous().post_json("/api/reset-password", json!({ "token": 1 })).await;
    let mut broken = broken_rules(&answer);
    broken.sort();
    let rule = |pointer: &str, code: &str| (pointer.to_owned(), code.to_owned());
    assert_eq!(broken, [rule("/newPassword", "required"), rule("/token", "type")]);
    let answer = app.anonymous().post_json("/api/forgot-password", json!({})).await;
    assert_eq!(broken_rules(&answer), [rule("/email", "required")]);
});

both!(a_disabled_account_is_neither_reset_nor_removed_by_a_link, async |app| {
    let person = app.register("ada@example.org").await;
    let confirmation = app.mail_to("ada@example.org").await.token().to_owned();
    app.anonymous().forgot("ada@example.org").await.expect(200);
    let recovery = app.mail_to("ada@example.org").await.token().to_owned();
    sql(app, "UPDATE users SET status = 'disabled'").await;
    let reset = app.anonymous().reset(&recovery, "a quite new password").await;
    reset.expect_problem(400, "token-invalid");
    let form = [("token", confirmation.as_str()), ("action", "reject")];
    app.anonymous().post_form("/verify-email", &form).await.expect(400);
    let login = app.anonymous().login("ada@example.org", &person.password).await;
    login.expect_problem(403, "account-disabled");
});
