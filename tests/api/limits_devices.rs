//! Tests of known devices. A known device has its own limit and its own back-off. An invalid device
//! token has no effect.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::Method;
use serde_json::{Value, json};

use crate::app::both;
use crate::ask::alike;
use crate::client::Person;
use crate::limits_attempts::{
    DEVICE, WAITS_S, at, client_ip, device, login, retry_after, verified, wrong_login,
};

both!(
    a_known_device_with_wrong_passwords_waits_as_any_client,
    ["rate_limit.enabled" = "true", "http.trusted_proxies" = "127.0.0.0/8"],
    async |app| {
        let person = app.verified("ada@example.org").await;
        let known = device(app, &person, "203.0.113.7").await;
        let home = at(app, "203.0.113.7").header(DEVICE, &known);
        for _ in 0..6 {
            wrong_login(&home, &person.email).await.expect_problem(401, "invalid-credentials");
        }
        for wait in WAITS_S {
            assert_eq!(retry_after(&wrong_login(&home, &person.email).await), wait);
            app.clock.advance(Duration::from_secs(wait - 1));
            assert_eq!(retry_after(&wrong_login(&home, &person.email).await), 1);
            app.clock.advance(Duration::from_secs(1));
            wrong_login(&home, &person.email).await.expect_problem(401, "invalid-credentials");
        }
    }
);

both!(
    a_known_device_has_ten_passwords_checked_a_minute_however_right_they_are,
    ["rate_limit.enabled" = "true", "http.trusted_proxies" = "127.0.0.0/8"],
    async |app| {
        let person = app.verified("ada@example.org").await;
        let known = device(app, &person, "203.0.113.7").await;
        let other = device(app, &person, "203.0.113.8").await;
        // The limit belongs to the device, whatever IP address the device has.
        let from = |n: usize| at(app, &client_ip(n)).header(DEVICE, &known);
        for n in 0..10 {
            let answer = login(&from(n), &person.email, &person.password).await.expect(200);
            assert_eq!(answer.header("ratelimit-policy"), Some("\"device\";q=10;w=60"));
        }
        let before = verified(app).await;
        let refused = login(&from(11), &person.email, &person.password).await;
        assert_eq!(retry_after(&refused), 6);
        assert_eq!(refused.header("ratelimit-policy"), Some("\"device\";q=10;w=60"));
        // The other endpoints that verify a password use the same limit. For a refused request no
        // password is hashed.
        let body = json!({ "password": person.password, "email": "ada@example.com" });
        let user = from(12).bearer(&person.user_token);
        retry_after(&user.post_json("/api/change-email", body).await);
        assert_eq!(verified(app).await, before);
        let elsewhere = at(app, "203.0.113.8").header(DEVICE, &other);
        login(&elsewhere, &person.email, &person.password).await.expect(200);
        app.clock.advance(Duration::from_secs(6));
        login(&from(13), &person.email, &person.password).await.expect(200);
    }
);

both!(
    a_known_device_that_its_back_off_refuses_gets_the_headers_of_its_limit,
    ["rate_limit.enabled" = "true", "http.trusted_proxies" = "127.0.0.0/8"],
    async |app| {
        let person = app.verified("ada@example.org").await;
        let known = device(app, &person, "203.0.113.7").await;
        let home = at(app, "203.0.113.7").header(DEVICE, &known);
        for _ in 0..6 {
            wrong_login(&home, &person.email).await.expect(401);
        }
        // A request that the back-off refuses uses up nothing of the limit of the device.
        for _ in 0..20 {
            let refused = wrong_login(&home, &person.email).await;
            assert_eq!(retry_after(&refused), 5);
            assert!(
                refused.header("ratelimit").is_some_and(|told| told.starts_with("\"device\";r=4;"))
            );
        }
    }
);

both!(
    a_known_device_logs_in_from_an_address_whose_limit_is_used_up,
    ["rate_limit.enabled" = "true", "http.trusted_proxies" = "127.0.0.0/8"],
    async |app| {
        let person = app.verified("ada@example.org").await;
        let known = device(app, &person, "203.0.113.7").await;
        let nat = at(app, "198.51.100.1");
        for n in 0..20 {
            let status = wrong_login(&nat, &format!("nobody{n}@example.org")).await.status;
            assert_eq!(status, if n < 10 { 401 } else { 429 });
        }
        let home = nat.header(DEVICE, &known);
        login(&home, &person.email, &person.password).await.expect(200);
        // The device has its own back-off.
        for _ in 0..6 {
            wrong_login(&home, &person.email).await.expect(401);
        }
        assert_eq!(retry_after(&login(&home, &person.email, &person.password).await), 5);
        login(&at(app, "203.0.113.9"), &person.email, &person.password).await.expect(200);
        app.clock.advance(Duration::from_secs(5));
        let renewed = login(&home, &person.email, &person.password).await.expect(200);
        assert_ne!(renewed.header(DEVICE), Some(known.as_str()));
        // The other endpoints of the account accept the device token too.
        let body = json!({ "password": person.password, "newPassword": "a quite new password" });
        let user = home.bearer(&person.user_token);
        let changed = user.post_json("/api/change-password", body).await.expect(200);
        app.mail_to(&person.email).await;
        let fresh = changed.header(DEVICE).expect("the device stays known");
        login(&nat.header(DEVICE, fresh), &person.email, "a quite new password").await.expect(200);
        // A device token that was issued before the password change has no effect.
        retry_after(&login(&home, &person.email, "a quite new password").await);
    }
);

both!(
    a_token_of_no_device_is_none,
    ["rate_limit.enabled" = "true", "http.trusted_proxies" = "127.0.0.0/8"],
    async |app| {
        let person = app.verified("ada@example.org").await;
        let other = app.verified("bob@example.org").await;
        let own = device(app, &person, "203.0.113.7").await;
        let foreign = device(app, &other, "203.0.113.8").await;
        let mut tampered = own.clone().into_bytes();
        tampered[50] = if tampered[50] == b'A' { b'B' } else { b'A' };
        let tampered = String::from_utf8(tampered).expect("ASCII");
        let expired = device(app, &person, "203.0.113.7").await;
        let long = "A".repeat(4_000);
        let forged = [foreign.as_str(), &tampered, "", "x", &own[1..], &long];
        let compare = async |token: &str, address: usize| {
            let (bare, with) = (at(app, &client_ip(address)), at(app, &client_ip(address + 1)));
            let with = with.header(DEVICE, token);
            // latchkey verifies six attempts, and the back-off refuses the seventh.
            for _ in 0..7 {
                let (bare, with) = (
                    wrong_login(&bare, &person.email).await,
                    wrong_login(&with, &person.email).await,
                );
                assert_eq!(alike(&bare), alike(&with), "{token}");
            }
        };
        for (turn, token) in forged.into_iter().enumerate() {
            compare(token, 2 * turn).await;
            login(&at(app, "203.0.113.7"), &person.email, &person.password).await.expect(200);
        }
        // A request with two device tokens counts as a request without a token. A request with a
        // token that is older than ninety days counts in the same way.
        let twice = at(app, "203.0.113.30").header(DEVICE, &own).header(DEVICE, &own);
        for _ in 0..6 {
            wrong_login(&twice, &person.email).await.expect(401);
        }
        retry_after(&login(&twice, &person.email, &person.password).await);
        app.clock.advance(Duration::from_hours(90 * 24));
        compare(&expired, 1_000).await;
    }
);

both!(
    after_a_reset_no_device_is_known,
    [
        "mail.new_device" = "false",
        "rate_limit.enabled" = "true",
        "http.trusted_proxies" = "127.0.0.0/8"
    ],
    async |app| {
        let person = app.verified("ada@example.org").await;
        let known = device(app, &person, "203.0.113.7").await;
        app.anonymous().forgot(&person.email).await.expect(200);
        let mail = app.mail_to(&person.email).await;
        app.anonymous().reset(mail.token(), "a quite new password").await.expect(200);
        app.mail_to(&person.email).await;
        let (bare, with) =
            (at(app, "198.51.100.1"), at(app, "198.51.100.2").header(DEVICE, &known));
        for _ in 0..7 {
            let (bare, with) =
                (wrong_login(&bare, &person.email).await, wrong_login(&with, &person.email).await);
            assert_eq!(alike(&bare), alike(&with));
        }
    }
);

/// Returns the id in a device token. A client does not need the id, and the id alone gives no
/// rights.
fn id_of(device: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(device).expect("base64url")[..16].to_vec()
}

both!(
    a_known_device_keeps_its_id_and_its_limit_when_it_changes_the_password,
    ["rate_limit.enabled" = "true", "http.trusted_proxies" = "127.0.0.0/8"],
    async |app| {
        let mut person = app.verified("ada@example.org").await;
        let mut known = device(app, &person, "203.0.113.7").await;
        let other = device(app, &person, "203.0.113.8").await;
        let id = id_of(&known);
        for n in 0..10 {
            let new_password = format!("a quite new password {n}");
            let body = json!({ "password": person.password, "newPassword": new_password });
            let client = at(app, &client_ip(n)).header(DEVICE, &known);
            let user = client.bearer(&person.user_token);
            let answer = user.post_json("/api/change-password", body).await.expect(200);
            assert_eq!(answer.header("ratelimit-policy"), Some("\"device\";q=10;w=60"));
            answer.header(DEVICE).expect("a device").clone_into(&mut known);
            person.keep(answer.tokens());
            person.password = new_password;
            assert_eq!(id_of(&known), id);
        }
        let before = verified(app).await;
        let client = at(app, &client_ip(10)).header(DEVICE, &known);
        let refused = login(&client, &person.email, &person.password).await;
        assert_eq!(retry_after(&refused), 6);
        assert_eq!(verified(app).await, before);
        // After the password change the other device is unknown. A client with an unknown token
        // gets a new id.
        let client = at(app, "203.0.113.8").header(DEVICE, &other);
        let answer = login(&client, &person.email, &person.password).await.expect(200);
        assert_ne!(id_of(answer.header(DEVICE).expect("a device")), id_of(&other));
        app.mail_to(&person.email).await;
        app.outbox_is_empty().await;
    }
);

both!(
    an_account_confirms_ten_changes_an_hour_on_all_devices_together,
    ["rate_limit.enabled" = "true", "http.trusted_proxies" = "127.0.0.0/8"],
    async |app| {
        let mut person = app.verified("ada@example.org").await;
        let ask = async |n: usize, person: &Person, path: &str, body: Value| {
            let user = at(app, &client_ip(n)).bearer(&person.user_token);
            let method = if path == "/api/me" { Method::DELETE } else { Method::POST };
            user.json(method, path, body).await
        };
        // A wrong password uses up nothing of the budget for changes, but it counts in the back-off
        // of the session.
        for n in 0..5 {
            let body = json!({ "password": "not the password", "newPassword": "a quite new one" });
            ask(n, &person, "/api/change-password", body).await.expect(401);
        }
        // In one minute, the daemon verifies ten passwords of a session, as it does for a known
        // device.
        app.clock.advance(Duration::from_mins(1));
        for n in 20..30 {
            let new_password = format!("a quite new password {n}");
            let body = json!({ "password": person.password, "newPassword": new_password });
            let answer = ask(n, &person, "/api/change-password", body).await;
            person.keep(answer.expect(200).tokens());
            person.password = new_password;
        }
        let known = device(app, &person, "203.0.113.7").await;
        app.clock.advance(Duration::from_mins(1));
        for (n, path) in ["/api/change-password", "/api/change-email", "/api/me"].iter().enumerate()
        {
            let body = json!({
                "password": person.password,
                "newPassword": "yet another password",
                "email": "new@example.org",
            });
            let refused = ask(30 + n, &person, path, body).await;
            assert_eq!(retry_after(&refused), 300, "{path}");
        }
        // The login uses up nothing of the budget for changes, because it is not a change. Other
        // accounts have their own budget.
        let client = at(app, "203.0.113.7").header(DEVICE, &known);
        login(&client, &person.email, &person.password).await.expect(200);
        app.clock.advance(Duration::from_mins(6));
        let body = json!({ "password": person.password, "newPassword": "yet another password" });
        ask(40, &person, "/api/change-password", body).await.expect(200);
    }
);

both!(
    a_reset_makes_the_device_known_that_made_it,
    [
        "mail.new_device" = "false",
        "rate_limit.enabled" = "true",
        "http.trusted_proxies" = "127.0.0.0/8"
    ],
    async |app| {
        let person = app.verified("ada@example.org").await;
        let foreign = app.verified("bob@example.org").await;
        let foreign = device(app, &foreign, "203.0.113.9").await;
        let mut known = device(app, &person, "203.0.113.7").await;
        let nat = at(app, "198.51.100.1");
        // A known device keeps its id. If its token belongs to another account, or was issued
        // before the password change, the device gets a new id.
        for (n, keeps) in [(0, true), (1, false), (2, false)] {
            let old = known.clone();
            let shown = if n == 1 { &foreign } else { &old };
            nat.post_json("/api/forgot-password", json!({ "email": person.email }))
                .await
                .expect(200);
            let mail = loop {
                let mail = app.mail_to(&person.email).await;
                if mail.token.is_some() {
                    break mail;
                }
            };
            let new_password = format!("a quite new password {n}");
            let body = json!({ "token": mail.token(), "newPassword": new_password });
            let reset = nat.header(DEVICE, shown).post_json("/api/reset-password", body).await;
            let fresh = reset.expect(200).header(DEVICE).expect("a device").to_owned();
            assert_eq!(id_of(&fresh) == id_of(shown), keeps, "{n}");
            // The device is known even at an IP address whose limit other clients have used up.
            for turn in 0..20 {
                wrong_login(&nat, &format!("nobody{turn}@example.org")).await;
            }
            retry_after(&login(&nat, &person.email, &new_password).await);
            let home = nat.header(DEVICE, &fresh);
            login(&home, &person.email, &new_password).await.expect(200);
            retry_after(&login(&nat.header(DEVICE, &old), &person.email, &new_password).await);
            if n == 0 {
                known = fresh;
            }
            app.clock.advance(Duration::from_hours(2));
        }
        app.outbox_is_empty().await;
    }
);

both!(the_page_of_a_reset_makes_no_device_known, async |app| {
    let person = app.verified("ada@example.org").await;
    app.anonymous().forgot(&person.email).await.expect(200);
    let mail = app.mail_to(&person.email).await;
    let form = [("token", mail.token()), ("newPassword", "a quite new password")];
    let page = app.anonymous().post_form("/reset-password", &form).await.expect(200);
    assert_eq!((page.header(DEVICE), page.header("set-cookie")), (None, None));
    app.mail_to(&person.email).await;
});
