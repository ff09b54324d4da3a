//! Tests that attacks of anonymous clients on an account never prevent its owner from logging in.

use std::time::Duration;

use hyper::Method;
use serde_json::json;

use crate::app::{TestApp, both};
use crate::ask::{at_once, count, solved_captcha_of};
use crate::client::Person;
use crate::limits_attempts::{
    DEVICE, at, client_ip, close, device, login, retry_after, verified, wrong_login,
};

const NETWORKS: usize = 40;

/// Attempts one login from each of forty networks. Returns the number of passwords that were
/// verified.
async fn attack(app: &TestApp, email: &str) -> u64 {
    let before = verified(app).await;
    let answers =
        at_once(NETWORKS, async |n| wrong_login(&at(app, &client_ip(n)), email).await).await;
    for answer in answers.iter().filter(|answer| answer.status == 429) {
        assert!((1..=3_600).contains(&retry_after(answer)));
    }
    assert_eq!(count(&answers, 200), 0);
    verified(app).await - before
}

/// Resets the password by mail from this IP address, and returns the device token of the response.
pub async fn reset(app: &TestApp, person: &mut Person, address: &str, password: &str) -> String {
    let client = at(app, address);
    client.post_json("/api/forgot-password", json!({ "email": person.email })).await.expect(200);
    let mail = loop {
        let mail = app.mail_to(&person.email).await;
        if mail.token.is_some() {
            break mail;
        }
    };
    let body = json!({ "token": mail.token(), "newPassword": password });
    let answer = client.post_json("/api/reset-password", body).await.expect(200);
    password.clone_into(&mut person.password);
    answer.header(DEVICE).expect("a device").to_owned()
}

both!(
    an_owner_gets_in_while_forty_networks_attack_for_an_hour,
    [
        "mail.new_device" = "false",
        "rate_limit.enabled" = "true",
        "http.trusted_proxies" = "127.0.0.0/8"
    ],
    async |app| {
        let mut person = app.verified("ada@example.org").await;
        let home = device(app, &person, "203.0.113.7").await;
        let mut attempts = 0;
        for minute in 0..60 {
            attempts += attack(app, &person.email).await;
            match minute {
                10 => {
                    let known = at(app, "203.0.113.7").header(DEVICE, &home);
                    login(&known, &person.email, &person.password).await.expect(200);
                }
                20 => {
                    // The user has a session and sends no device token.
                    let client = at(app, "203.0.113.8");
                    let user = client.bearer(&person.user_token);
                    person.keep(user.get("/api/refresh").await.expect(200).tokens());
                    let user = client.bearer(&person.user_token);
                    let new = "a quite new password";
                    let body = json!({ "password": person.password, "newPassword": new });
                    let answer = user.post_json("/api/change-password", body).await.expect(200);
                    person.keep(answer.tokens());
                    person.password = new.to_owned();
                }
                30 => {
                    let new = "another new password";
                    let fresh = reset(app, &mut person, "203.0.113.9", new).await;
                    attempts += attack(app, &person.email).await;
                    let known = at(app, "198.51.100.9").header(DEVICE, &fresh);
                    login(&known, &person.email, new).await.expect(200);
                }
                40 => {
                    // The network from which the password was reset is known too. A reset on the
                    // page returns no device token, so the network must be enough.
                    login(&at(app, "203.0.113.9"), &person.email, &person.password)
                        .await
                        .expect(200);
                    // Another device of the user has no failures yet, so it can log in.
                    login(&at(app, "198.51.100.10"), &person.email, &person.password)
                        .await
                        .expect(200);
                }
                _ => {}
            }
            app.clock.advance(Duration::from_mins(1));
        }
        assert!((90..=100).contains(&attempts), "{attempts} passwords were verified");
    }
);

both!(
    a_live_session_counts_as_a_known_device,
    [
        "mail.new_device" = "false",
        "rate_limit.enabled" = "true",
        "http.trusted_proxies" = "127.0.0.0/8"
    ],
    async |app| {
        let person = app.verified("ada@example.org").await;
        let other = app.verified("bob@example.org").await;
        close(app, &person.email).await;
        let client = at(app, "198.51.100.1");
        let own = client.bearer(&person.user_token);
        login(&own, &person.email, &person.password).await.expect(200);
        // The session of another account has no effect, and an ended session has no effect either.
        let foreign = client.bearer(&other.user_token);
        retry_after(&login(&foreign, &person.email, &person.password).await);
        own.post_json("/api/logout", json!({})).await.expect(204);
        retry_after(&login(&own, &person.email, &person.password).await);
        retry_after(&login(&client.bearer("no token"), &person.email, &person.password).await);
    }
);

both!(
    a_session_without_a_device_changes_its_account_beyond_the_cap,
    ["rate_limit.enabled" = "true", "http.trusted_proxies" = "127.0.0.0/8"],
    async |app| {
        let person = app.verified("ada@example.org").await;
        close(app, &person.email).await;
        let user = at(app, "198.51.100.1").bearer(&person.user_token);
        let body = json!({ "password": person.password, "email": "new@example.org" });
        user.post_json("/api/change-email", body).await.expect(200);
        let body = json!({ "password": person.password });
        user.json(Method::DELETE, "/api/me", body).await.expect(204);
    }
);

both!(
    a_device_of_a_former_password_gets_in_with_a_captcha_as_one_without,
    [
        "mail.new_device" = "false",
        "rate_limit.enabled" = "true",
        "http.trusted_proxies" = "127.0.0.0/8"
    ],
    async |app| {
        let mut person = app.verified("ada@example.org").await;
        let old = device(app, &person, "203.0.113.7").await;
        reset(app, &mut person, "203.0.113.9", "a quite new password").await;
        // After the new password, five new clients are admitted, and then the account admits a
        // hundred attempts.
        for n in 0..105 {
            wrong_login(&at(app, &client_ip(n)), &person.email).await.expect(401);
        }
        let client = at(app, "198.51.100.1").header(DEVICE, &old);
        assert_eq!(retry_after(&login(&client, &person.email, &person.password).await), 3_600);
        app.clock.advance(Duration::from_hours(1));
        let needed = login(&client, &person.email, &person.password).await;
        let needed = needed.expect_problem(400, "captcha-invalid").json();
        let difficulty = needed["difficulty"].as_u64().expect("beyond the cap");
        let captcha = solved_captcha_of(app, difficulty.try_into().expect("small")).await;
        let body =
            json!({ "email": person.email, "password": person.password, "captcha": captcha });
        client.post_json("/api/login", body).await.expect(200);
    }
);
