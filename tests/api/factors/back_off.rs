//! Tests of the back-off of a client for wrong codes.

use std::time::Duration;

use serde_json::json;

use super::callers::{Enrolled, challenge_of, enrolled, is_wrong, log_in, prove};
use crate::app::{TestApp, both};
use crate::client::Client;
use crate::limits_attempts::{DEVICE, at, retry_after, wrong_login};

const ADA: &str = "ada@example.org";
const CLIENT: &str = "203.0.113.7";
/// The waits in seconds, after the tenth wrong code and after each further one.
const WAITS_S: [u64; 9] = [30, 60, 120, 240, 480, 960, 1920, 3600, 3600];

/// Sends this many wrong codes on a client. Each challenge takes five of them.
pub(super) async fn fail(app: &TestApp, client: &Client, user: &Enrolled, count: usize) {
    let mut challenge = String::new();
    for number in 0..count {
        if number % 5 == 0 {
            challenge = challenge_of(client, &user.person).await;
        }
        is_wrong(prove(client, &challenge, "totp", &user.authenticator.wrong(app)).await);
    }
}

both!(
    nine_wrong_codes_are_free_and_then_the_wait_doubles_to_an_hour,
    [
        "rate_limit.enabled" = "true",
        "http.trusted_proxies" = "127.0.0.0/8",
        "mail.new_device" = "false"
    ],
    async |app| {
        let user = enrolled(app, ADA).await;
        let client = at(app, CLIENT);
        fail(app, &client, &user, 10).await;
        for wait in WAITS_S {
            let challenge = challenge_of(&client, &user.person).await;
            let code = user.authenticator.code_at(app, 0);
            assert_eq!(retry_after(&prove(&client, &challenge, "totp", &code).await), wait);
            app.clock.advance(Duration::from_secs(wait - 1));
            let challenge = challenge_of(&client, &user.person).await;
            assert_eq!(retry_after(&prove(&client, &challenge, "totp", &code).await), 1);
            app.clock.advance(Duration::from_secs(1));
            is_wrong(prove(&client, &challenge, "totp", &user.authenticator.wrong(app)).await);
        }
    }
);

both!(
    while_a_client_waits_nothing_is_checked_and_nothing_is_spent,
    [
        "rate_limit.enabled" = "true",
        "http.trusted_proxies" = "127.0.0.0/8",
        "mail.new_device" = "false"
    ],
    async |app| {
        let user = enrolled(app, ADA).await;
        let client = at(app, CLIENT);
        fail(app, &client, &user, 10).await;
        let challenge = challenge_of(&client, &user.person).await;
        let code = user.authenticator.code_at(app, 1);
        let wrong = user.authenticator.wrong(app);
        for _ in 0..6 {
            // A right code, a wrong code and a recovery code are refused alike.
            let right = prove(&client, &challenge, "totp", &code).await;
            assert_eq!(retry_after(&right), 30);
            retry_after(&prove(&client, &challenge, "totp", &wrong).await);
            retry_after(
                &prove(&client, &challenge, "recovery-code", &user.recovery_codes[0]).await,
            );
        }
        app.clock.advance(Duration::from_secs(30));
        prove(&client, &challenge, "totp", &code).await.expect(200);
        let challenge = challenge_of(&client, &user.person).await;
        prove(&client, &challenge, "recovery-code", &user.recovery_codes[0]).await.expect(200);
    }
);

both!(
    each_client_has_its_own_back_off,
    [
        "rate_limit.enabled" = "true",
        "http.trusted_proxies" = "127.0.0.0/8",
        "mail.new_device" = "false"
    ],
    async |app| {
        let user = enrolled(app, ADA).await;
        let device = log_in(app, &at(app, CLIENT), &user).await.expect(200);
        let device = device.header(DEVICE).expect("a device").to_owned();
        let stranger = at(app, CLIENT);
        fail(app, &stranger, &user, 10).await;
        let challenge = challenge_of(&stranger, &user.person).await;
        retry_after(&prove(&stranger, &challenge, "totp", "123456").await);
        // A client with another address, the known device and a session do not wait.
        let elsewhere = at(app, "198.51.100.1");
        fail(app, &elsewhere, &user, 1).await;
        fail(app, &stranger.header(DEVICE, &device), &user, 1).await;
        let wrong = user.authenticator.wrong(app);
        is_wrong(user.person.clone().step_up_totp(&wrong).await);
    }
);

both!(
    the_back_off_of_a_step_up_belongs_to_its_session,
    [
        "rate_limit.enabled" = "true",
        "http.trusted_proxies" = "127.0.0.0/8",
        "mail.new_device" = "false"
    ],
    async |app| {
        let user = enrolled(app, ADA).await;
        let mut person = user.person.clone();
        let wrong = user.authenticator.wrong(app);
        for _ in 0..10 {
            is_wrong(person.step_up_totp(&wrong).await);
        }
        let code = user.authenticator.code_at(app, 1);
        assert_eq!(retry_after(&person.step_up_totp(&code).await), 30);
        // The session lives, and the password can still prove the user.
        person.me().await.expect(200);
        person.step_up_password().await.expect(200);
        fail(app, &app.anonymous(), &user, 1).await;
        app.clock.advance(Duration::from_secs(30));
        person.step_up_totp(&code).await.expect(200);
    }
);

both!(
    a_right_code_a_new_password_and_a_day_clear_the_back_off,
    [
        "rate_limit.enabled" = "true",
        "http.trusted_proxies" = "127.0.0.0/8",
        "mail.new_device" = "false"
    ],
    async |app| {
        let mut user = enrolled(app, ADA).await;
        let client = at(app, CLIENT);
        let waits = async |app: &TestApp, user: &Enrolled| {
            let challenge = challenge_of(&client, &user.person).await;
            retry_after(
                &prove(&client, &challenge, "totp", &user.authenticator.code_at(app, 1)).await,
            );
        };
        fail(app, &client, &user, 10).await;
        waits(app, &user).await;
        // A success of any client clears the back-off of every client.
        log_in(app, &at(app, "198.51.100.1"), &user).await.expect(200);
        fail(app, &client, &user, 10).await;
        waits(app, &user).await;
        app.clock.advance(Duration::from_mins(5));
        user.person.clone().step_up_totp(&user.authenticator.next(app)).await.expect(200);
        fail(app, &client, &user, 10).await;
        waits(app, &user).await;
        // So does a new password: by a change, and by a reset.
        user.person.change_password("a quite new password").await.expect(200);
        app.mail_to(ADA).await;
        app.clock.advance(Duration::from_mins(5));
        fail(app, &client, &user, 10).await;
        waits(app, &user).await;
        app.anonymous().forgot(ADA).await.expect(200);
        let mail = app.mail_to(ADA).await;
        app.anonymous().reset(mail.token(), "yet another password").await.expect(200);
        "yet another password".clone_into(&mut user.person.password);
        app.clock.advance(Duration::from_mins(5));
        fail(app, &client, &user, 10).await;
        waits(app, &user).await;
        app.clock.advance(Duration::from_hours(24));
        fail(app, &client, &user, 10).await;
        waits(app, &user).await;
    }
);

both!(
    the_back_off_of_codes_and_that_of_passwords_are_separate,
    [
        "rate_limit.enabled" = "true",
        "http.trusted_proxies" = "127.0.0.0/8",
        "mail.new_device" = "false"
    ],
    async |app| {
        let user = enrolled(app, ADA).await;
        let client = at(app, CLIENT);
        fail(app, &client, &user, 10).await;
        app.clock.advance(Duration::from_mins(1));
        // After ten wrong codes, six wrong passwords are still checked.
        for _ in 0..6 {
            wrong_login(&client, ADA).await.expect_problem(401, "invalid-credentials");
        }
        assert_eq!(retry_after(&wrong_login(&client, ADA).await), 5);
        app.clock.advance(Duration::from_secs(5));
        // The right password clears its own failures, and not the wrong codes.
        let challenge = challenge_of(&client, &user.person).await;
        is_wrong(prove(&client, &challenge, "totp", &user.authenticator.wrong(app)).await);
        let code = user.authenticator.code_at(app, 1);
        assert_eq!(retry_after(&prove(&client, &challenge, "totp", &code).await), 60);
    }
);

both!(without_limits_only_the_five_proofs_of_a_challenge_count, async |app| {
    let user = enrolled(app, ADA).await;
    let client = app.anonymous().0;
    fail(app, &client, &user, 20).await;
    log_in(app, &client, &user).await.expect(200);
});

both!(
    the_second_step_of_logins_is_limited_by_address,
    ["rate_limit.enabled" = "true"],
    async |app| {
        let ask = async || {
            let body = json!({ "challenge": "x", "method": "totp", "code": "123456" });
            app.anonymous().post_json("/api/login/factor", body).await
        };
        for _ in 0..30 {
            let answer = ask().await.expect_problem(401, "challenge-invalid");
            assert_eq!(answer.header("ratelimit-policy"), Some("\"login-factor\";q=30;w=60"));
        }
        assert_eq!(retry_after(&ask().await), 2);
        app.clock.advance(Duration::from_secs(2));
        ask().await.expect_problem(401, "challenge-invalid");
    }
);
