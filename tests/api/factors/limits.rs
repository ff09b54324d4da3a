//! Tests of the limits of an account over all its clients: for wrong codes, and for logins that
//! wait for the second factor.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::json;

use super::back_off::fail;
use super::callers::{Enrolled, challenge_of, enrolled, is_wrong, log_in, other_code, prove};
use super::trusted::trust;
use crate::app::{TestApp, both};
use crate::client::claims;
use crate::limits_attempts::{DEVICE, at, client_ip, login, retry_after, wrong_login};

const ADA: &str = "ada@example.org";
pub(super) const HOUR_S: u64 = 3_600;

/// Sends a hundred wrong codes, ten on each client.
pub(super) async fn close(app: &TestApp, user: &Enrolled) {
    for number in 0..10 {
        fail(app, &at(app, &client_ip(number)), user, 10).await;
    }
}

both!(
    after_a_hundred_wrong_codes_unknown_clients_wait_and_the_owner_does_not,
    [
        "rate_limit.enabled" = "true",
        "http.trusted_proxies" = "127.0.0.0/8",
        "mail.new_device" = "false"
    ],
    async |app| {
        let user = enrolled(app, ADA).await;
        let device = log_in(app, &at(app, "203.0.113.7"), &user).await.expect(200);
        let device = device.header(DEVICE).expect("a device").to_owned();
        close(app, &user).await;
        let unknown = at(app, "198.51.100.1");
        let challenge = challenge_of(&unknown, &user.person).await;
        let code = user.authenticator.code_at(app, 1);
        let refused = prove(&unknown, &challenge, "totp", &code).await;
        assert_eq!(retry_after(&refused), HOUR_S);
        // Recovery codes have 50 bits, so they are never closed.
        let recovery = other_code(&user.recovery_codes);
        is_wrong(prove(&unknown, &challenge, "recovery-code", &recovery).await);
        // A known device and a session are not closed either.
        let known = unknown.header(DEVICE, &device);
        let own = challenge_of(&known, &user.person).await;
        is_wrong(prove(&known, &own, "totp", &user.authenticator.wrong(app)).await);
        let mut person = user.person.clone();
        is_wrong(person.step_up_totp(&user.authenticator.wrong(app)).await);
        assert_eq!(retry_after(&prove(&unknown, &challenge, "totp", &code).await), HOUR_S);
        // The owner's success opens the account for every client.
        prove(&known, &own, "totp", &code).await.expect(200);
        is_wrong(prove(&unknown, &challenge, "totp", &user.authenticator.wrong(app)).await);
    }
);

both!(
    a_recovery_code_opens_what_a_hundred_wrong_codes_closed,
    [
        "rate_limit.enabled" = "true",
        "http.trusted_proxies" = "127.0.0.0/8",
        "mail.new_device" = "false"
    ],
    async |app| {
        let user = enrolled(app, ADA).await;
        close(app, &user).await;
        let unknown = at(app, "198.51.100.1");
        let challenge = challenge_of(&unknown, &user.person).await;
        retry_after(&prove(&unknown, &challenge, "totp", "123456").await);
        prove(&unknown, &challenge, "recovery-code", &user.recovery_codes[0]).await.expect(200);
        fail(app, &unknown, &user, 1).await;
    }
);

both!(
    the_account_is_closed_for_an_hour,
    [
        "rate_limit.enabled" = "true",
        "http.trusted_proxies" = "127.0.0.0/8",
        "mail.new_device" = "false"
    ],
    async |app| {
        let user = enrolled(app, ADA).await;
        close(app, &user).await;
        let unknown = at(app, "198.51.100.1");
        app.clock.advance(Duration::from_secs(HOUR_S - 1));
        let challenge = challenge_of(&unknown, &user.person).await;
        assert_eq!(retry_after(&prove(&unknown, &challenge, "totp", "123456").await), 1);
        app.clock.advance(Duration::from_secs(1));
        // One more wrong code closes the account again.
        is_wrong(prove(&unknown, &challenge, "totp", &user.authenticator.wrong(app)).await);
        let other = at(app, "198.51.100.2");
        let challenge = challenge_of(&other, &user.person).await;
        assert_eq!(retry_after(&prove(&other, &challenge, "totp", "123456").await), HOUR_S);
        app.clock.advance(Duration::from_secs(HOUR_S));
        log_in(app, &other, &user).await.expect(200);
        fail(app, &unknown, &user, 5).await;
    }
);

both!(
    a_day_without_a_wrong_code_opens_the_account,
    [
        "rate_limit.enabled" = "true",
        "http.trusted_proxies" = "127.0.0.0/8",
        "mail.new_device" = "false"
    ],
    async |app| {
        let user = enrolled(app, ADA).await;
        close(app, &user).await;
        app.clock.advance(Duration::from_hours(24));
        // The hundred wrong codes are forgotten, so the next one closes nothing.
        for number in 0..3 {
            fail(app, &at(app, &client_ip(100 + number)), &user, 5).await;
        }
    }
);

both!(
    a_new_password_opens_the_account,
    [
        "rate_limit.enabled" = "true",
        "http.trusted_proxies" = "127.0.0.0/8",
        "mail.new_device" = "false"
    ],
    async |app| {
        let mut user = enrolled(app, ADA).await;
        close(app, &user).await;
        user.person.change_password("a quite new password").await.expect(200);
        log_in(app, &at(app, "198.51.100.1"), &user).await.expect(200);
    }
);

both!(
    a_thief_of_a_trusted_device_has_a_hundred_codes_over_all_sessions,
    [
        "rate_limit.enabled" = "true",
        "http.trusted_proxies" = "127.0.0.0/8",
        "mail.new_device" = "false"
    ],
    async |app| {
        let mut user = enrolled(app, ADA).await;
        let device = trust(app, &at(app, "203.0.113.7"), &user).await;
        let thief = at(app, "198.51.100.1").header(DEVICE, &device);
        let mut person = user.person.clone();
        let body = json!({ "email": person.email, "password": person.password });
        let mut counters = HashSet::new();
        while counters.len() < 10 {
            // A known device has ten logins a minute.
            app.clock.advance(Duration::from_secs(6));
            let entered = thief.post_json("/api/login", body.clone()).await.expect(200);
            person.keep(entered.tokens());
            // Sessions whose ids begin with the same two characters share a counter.
            let sid = claims(&person.user_token)["sid"].as_str().expect("an id").to_owned();
            if !counters.insert(sid[..2].to_owned()) {
                continue;
            }
            for _ in 0..10 {
                is_wrong(person.step_up_totp(&user.authenticator.wrong(app)).await);
            }
        }
        app.clock.advance(Duration::from_secs(6));
        let entered = thief.post_json("/api/login", body).await.expect(200);
        person.keep(entered.tokens());
        let code = user.authenticator.code_at(app, 1);
        assert_eq!(retry_after(&person.step_up_totp(&code).await), HOUR_S - 6);
        // The session of the owner has two factors already, so it is exempt.
        is_wrong(user.person.step_up_totp(&user.authenticator.wrong(app)).await);
        user.person.step_up_totp(&code).await.expect(200);
    }
);

both!(
    an_account_has_three_hundred_waiting_logins_an_hour_without_a_known_device,
    [
        "rate_limit.enabled" = "true",
        "http.trusted_proxies" = "127.0.0.0/8",
        "mail.new_device" = "false"
    ],
    async |app| {
        let user = enrolled(app, ADA).await;
        let device = log_in(app, &at(app, "203.0.113.7"), &user).await.expect(200);
        let device = device.header(DEVICE).expect("a device").to_owned();
        for number in 0..30 {
            let client = at(app, &client_ip(number));
            for _ in 0..10 {
                challenge_of(&client, &user.person).await;
            }
        }
        let unknown = at(app, "198.51.100.1");
        let refused = login(&unknown, ADA, &user.person.password).await;
        assert_eq!(retry_after(&refused), 12);
        // A known device is not refused, and neither is a wrong password told from a right one
        // before it is checked.
        let known = unknown.header(DEVICE, &device);
        challenge_of(&known, &user.person).await;
        wrong_login(&unknown, ADA).await.expect_problem(401, "invalid-credentials");
        app.clock.advance(Duration::from_secs(12));
        challenge_of(&unknown, &user.person).await;
    }
);
