//! Faults that other auth servers had with second factors. Each test plays the fault of an advisory
//! or of an issue.

use serde_json::json;

use super::back_off::fail;
use super::callers::{challenge_of, enrolled, is_wrong, log_in, other_code, proof_is, prove};
use crate::app::both;
use crate::ask::sql;
use crate::client::claims;
use crate::limits_attempts::{DEVICE, at, client_ip, retry_after};

const ADA: &str = "ada@example.org";

// GHSA-xg6x-h9c9-2m83: the login opened a session before the second factor, and this session could
// remove the factor.
both!(before_the_second_factor_nothing_of_the_account_changes, async |app| {
    let user = enrolled(app, ADA).await;
    let login = app.anonymous().login(ADA, &user.person.password).await;
    let text = login.text();
    assert!(!text.contains("Token") && !text.contains("eyJ"), "{text}");
    let challenge = login.json()["challenge"].as_str().expect("a challenge").to_owned();
    let mut thief = user.person.clone();
    thief.user_token.clone_from(&challenge);
    thief.remove_factor(&user.id).await.expect_problem(401, "invalid-token");
    thief.new_recovery_codes().await.expect_problem(401, "invalid-token");
    thief.add_totp("Mine").await.expect_problem(401, "invalid-token");
    thief.step_up_password().await.expect_problem(401, "invalid-token");
    thief.change_password("a quite new password").await.expect_problem(401, "invalid-token");
    let sessions = user.person.sessions().await.expect(200).json();
    assert_eq!(sessions["items"].as_array().map(Vec::len), Some(1));
    app.no_mail_to(ADA).await;
});

// CVE-2026-35597: a wrong code ended the transaction with an error, which also rolled back the
// count of wrong codes. So nothing limited the attempts.
both!(
    a_wrong_code_stays_counted_although_its_request_fails,
    ["rate_limit.enabled" = "true", "http.trusted_proxies" = "127.0.0.0/8"],
    async |app| {
        let user = enrolled(app, ADA).await;
        let recovery = other_code(&user.recovery_codes);
        let client = at(app, "203.0.113.7");
        // A wrong recovery code is refused inside a transaction.
        for _ in 0..2 {
            let challenge = challenge_of(&client, &user.person).await;
            for _ in 0..5 {
                is_wrong(prove(&client, &challenge, "recovery-code", &recovery).await);
            }
            let spent = prove(&client, &challenge, "recovery-code", &user.recovery_codes[0]).await;
            spent.expect_problem(401, "challenge-invalid");
        }
        // Another daemon knows the count.
        let other = app.replica().await;
        let client = at(&other, "203.0.113.7");
        let challenge = challenge_of(&client, &user.person).await;
        assert_eq!(retry_after(&prove(&client, &challenge, "totp", "123456").await), 30);
        other.finish().await;
    }
);

// The same factor counted twice: a session that one factor has opened reached the level of two
// factors by the same factor.
both!(one_factor_never_counts_as_two, async |app| {
    let user = enrolled(app, ADA).await;
    let mut person = user.person.clone();
    let body = json!({ "email": "new@example.com" });
    person.as_user().post_json("/api/change-email", body).await.expect(200);
    let token = app.mail_to("new@example.com").await.token().to_owned();
    let problem = app.anonymous().verify(&token).await.expect_problem(401, "factor-required");
    let challenge = problem.json()["challenge"].as_str().expect("a challenge").to_owned();
    let answer = app.anonymous().prove_totp(&challenge, &user.authenticator.next(app)).await;
    person.keep(answer.expect(200).tokens());
    for _ in 0..3 {
        person.step_up_totp(&user.authenticator.next(app)).await.expect(200);
        assert_eq!(person.proof(), proof_is("aal1", "email otp"));
    }
    // Two passwords are one factor too.
    for _ in 0..2 {
        person.step_up_password().await.expect(200);
        assert_eq!(person.proof(), proof_is("aal1", "pwd"));
    }
    let refused = person.remove_factor(&user.id).await;
    refused.expect_problem(401, "step-up-required");
});

// CVE-2025-64103: another flow than the login opened a session without the second factor.
both!(no_flow_opens_a_session_without_the_second_factor, async |app| {
    let user = enrolled(app, ADA).await;
    let mut person = user.person.clone();
    let anonymous = app.anonymous();
    // A login, also with the live session and in another spelling of the address.
    anonymous
        .login("ADA@EXAMPLE.ORG", &person.password)
        .await
        .expect_problem(401, "factor-required");
    let body = json!({ "email": ADA, "password": person.password });
    let with_session = person.as_user().post_json("/api/login", body).await;
    with_session.expect_problem(401, "factor-required");
    // A reset of the password, and the login after it.
    anonymous.forgot(ADA).await.expect(200);
    let mail = app.mail_to(ADA).await;
    let reset = anonymous.reset(mail.token(), "a quite new password").await.expect(200);
    assert_eq!(reset.json(), json!({ "status": "ok" }));
    "a quite new password".clone_into(&mut person.password);
    let device = reset.header(DEVICE).expect("a device");
    let known = anonymous.header(DEVICE, device);
    challenge_of(&known, &person).await;
    person.refresh().await.expect_problem(401, "invalid-token");
    // A confirmed address.
    app.mail_to(ADA).await;
    person.keep(log_in(app, &anonymous, &user_with(&user, &person)).await.tokens());
    app.mail_to(ADA).await;
    let body = json!({ "email": "new@example.com" });
    person.as_user().post_json("/api/change-email", body).await.expect(200);
    let token = app.mail_to("new@example.com").await.token().to_owned();
    anonymous.verify(&token).await.expect_problem(401, "factor-required");
});

fn user_with(user: &super::Enrolled, person: &crate::client::Person) -> super::Enrolled {
    super::Enrolled { person: person.clone(), ..user.clone() }
}

// keycloak#46164: wrong codes of an attacker, who knew the password, locked the owner out, because
// all clients shared one count.
both!(
    an_attacker_with_the_password_locks_the_owner_out_of_nothing,
    [
        "rate_limit.enabled" = "true",
        "http.trusted_proxies" = "127.0.0.0/8",
        "mail.new_device" = "false"
    ],
    async |app| {
        let user = enrolled(app, ADA).await;
        let home = at(app, "203.0.113.7");
        let device = log_in(app, &home, &user).await.expect(200);
        let home = home.header(DEVICE, device.header(DEVICE).expect("a device"));
        for number in 0..11 {
            let attacker = at(app, &client_ip(number));
            if number < 10 {
                fail(app, &attacker, &user, 10).await;
            } else {
                let challenge = challenge_of(&attacker, &user.person).await;
                retry_after(&prove(&attacker, &challenge, "totp", "123456").await);
            }
        }
        // The session, the known device and, on a new device, a recovery code.
        let mut person = user.person.clone();
        person.me().await.expect(200);
        person.refresh().await.expect(200);
        let challenge = challenge_of(&at(app, "198.51.100.1"), &user.person).await;
        let code = &user.recovery_codes[0];
        let new = prove(&at(app, "198.51.100.1"), &challenge, "recovery-code", code).await;
        assert_eq!(claims(&new.expect(200).tokens().user)["acr"], "aal2");
        log_in(app, &home, &user).await.expect(200);
        person.step_up_totp(&user.authenticator.next(app)).await.expect(200);
    }
);

// A factor that a support tool removed from the database left sessions at the level of two factors.
both!(a_session_without_a_factor_has_one_factor_whatever_its_record_says, async |app| {
    let user = enrolled(app, ADA).await;
    let mut person = user.person.clone();
    sql(app, "DELETE FROM factors").await;
    sql(app, "UPDATE users SET factor_count = 0").await;
    person.refresh().await.expect(200);
    assert_eq!(person.proof(), proof_is("aal1", "pwd"));
});
