//! Tests that clients can leave only a limited number of keys in the token store. The keys are for
//! invented email addresses, for devices and for captchas.

use std::time::Duration;

use serde_json::json;

use crate::app::{TestApp, both};
use crate::ask::solved_captcha;
use crate::limits_attempts::{DEVICE, at, client_ip, device, login, retry_after, wrong_login};

/// Returns the number of keys for back-offs, budgets and used captchas in the table of this daemon.
/// With Redis it returns `None`, because other tests use the same Redis.
async fn keys(app: &TestApp) -> Option<usize> {
    use sea_orm::{ConnectionTrait as _, Statement};
    if app.inside().config.redis.url.is_some() {
        return None;
    }
    let sql = "SELECT count(*) AS n FROM token_store WHERE key LIKE '%guesses%' \
               OR key LIKE 'lk:budget:%' OR key LIKE 'lk:once:%'";
    let count = Statement::from_string(app.inside().db.backend(), sql);
    let row = app.inside().db.reader().query_one_raw(count).await.expect("counted").expect("a row");
    let count: i64 = row.try_get("", "n").expect("a number");
    usize::try_from(count).ok()
}

/// Says whether accounts share a back-off now. The store has a record with a fixed name for the
/// shared back-off.
async fn has_shared_back_off(app: &TestApp) -> bool {
    let now = app.inside().clock.now();
    app.inside().store.attempts("newcomers", now).await.expect("the store answers").is_some()
}

// The maximum of 10 000 keys is divided among 20 replicas. This replica is allowed to add 250 keys
// at once.
both!(
    invented_addresses_leave_a_bounded_number_of_keys_and_known_accounts_keep_their_limits,
    [
        "mail.new_device" = "false",
        "rate_limit.enabled" = "true",
        "rate_limit.keys_max" = "10000",
        "rate_limit.replicas" = "20",
        "http.trusted_proxies" = "127.0.0.0/8"
    ],
    async |app| {
        let known = app.verified("ada@example.org").await;
        let fresh = app.verified("bob@example.org").await;
        let of_fresh = device(app, &fresh, "203.0.113.9").await;
        for _ in 0..5 {
            wrong_login(&at(app, "203.0.113.7"), &known.email).await.expect(401);
        }
        let mut refused = 0;
        for n in 0..500 {
            let answer =
                wrong_login(&at(app, &client_ip(n)), &format!("nobody{n}@example.org")).await;
            refused += usize::from(answer.status == 429);
        }
        // Six of the 250 keys are in use: five for the wrong logins, and one for the sessions of
        // the registrations. So 244 email addresses get their own back-off. All further addresses
        // share one back-off, which has a cap of 100 attempts.
        assert_eq!(refused, 500 - 244 - 100);
        if let Some(kept) = keys(app).await {
            // Each back-off has one record. The store also has marks of the refusals that were
            // recorded. All email addresses without an account together have at most 4096 marks.
            assert!((245 + 200..=2 * 350).contains(&kept), "{kept} keys");
        }
        // A new email address uses the shared back-off, whether it has an account or not.
        for email in [&fresh.email, "nobody@example.com"] {
            assert_eq!(retry_after(&wrong_login(&at(app, &client_ip(900)), email).await), 3_600);
        }
        let home = at(app, "203.0.113.9").header(DEVICE, &of_fresh);
        wrong_login(&home, &fresh.email).await.expect(401);
        login(&home, &fresh.email, &fresh.password).await.expect(200);
        // An account that has a known client has its own back-off.
        login(&at(app, "203.0.113.7"), &known.email, &known.password).await.expect(200);
        app.clock.advance(Duration::from_hours(24));
        wrong_login(&at(app, &client_ip(901)), "nobody@example.net").await.expect(401);
    }
);

both!(
    a_client_that_succeeds_makes_room_again,
    [
        "mail.new_device" = "false",
        "rate_limit.enabled" = "true",
        "rate_limit.keys_max" = "10000",
        "rate_limit.replicas" = "1000",
        "http.trusted_proxies" = "127.0.0.0/8"
    ],
    async |app| {
        let person = app.verified("ada@example.org").await;
        let other = app.verified("bob@example.org").await;
        // This replica is allowed to add five keys. Each round adds some keys and removes them
        // again.
        for round in 0..6 {
            let client = at(app, &client_ip(round));
            for _ in 0..3 {
                wrong_login(&client, &person.email).await.expect(401);
            }
            login(&client, &person.email, &person.password).await.expect(200);
        }
        assert!(!has_shared_back_off(app).await);
        // Without a successful login no key is removed, so the next account shares a back-off.
        let client = at(app, &client_ip(100));
        for _ in 0..5 {
            wrong_login(&client, &person.email).await.expect(401);
        }
        wrong_login(&client, &other.email).await.expect(401);
        assert!(has_shared_back_off(app).await);
    }
);

both!(
    recoveries_of_invented_addresses_leave_no_key,
    ["rate_limit.enabled" = "true", "http.trusted_proxies" = "127.0.0.0/8"],
    async |app| {
        let before = keys(app).await;
        for n in 0..20 {
            let body = json!({ "email": format!("nobody{n}@example.org") });
            let client = at(app, &client_ip(n));
            client.post_json("/api/forgot-password", body).await.expect(200);
        }
        assert_eq!(keys(app).await, before);
    }
);

both!(
    captchas_beyond_what_the_store_may_remember_are_refused_as_an_overload,
    ["captcha.on" = "forgot", "rate_limit.keys_max" = "10000", "rate_limit.replicas" = "1000"],
    async |app| {
        let ask = async || {
            let captcha = solved_captcha(app).await;
            let body = json!({ "email": "nobody@example.org", "captcha": captcha });
            app.anonymous().post_json("/api/forgot-password", body).await
        };
        for _ in 0..5 {
            ask().await.expect(200);
        }
        ask().await.expect_problem(503, "overloaded");
        app.clock.advance(Duration::from_mins(14));
        ask().await.expect(200);
    }
);
