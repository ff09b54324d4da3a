//! Tests of wrong passwords: the back-off of a client and the cap of an account.

use std::time::Duration;

use latchkey::admission::budgets::Budget;
use latchkey::admission::{Ask, AttemptCaptcha, AttemptClient, AttemptRefusal, Limited};
use serde_json::json;

use crate::app::{Backend, TestApp, both};
use crate::ask::{alike, at_once, count, solved_captcha, solved_captcha_of};
use crate::client::{Answer, Client, Person};

pub const DEVICE: &str = "x-latchkey-device";
const HOUR_S: u64 = 3_600;

/// Returns a client that has another IP address behind the trusted proxy.
pub fn at(app: &TestApp, address: &str) -> Client {
    app.anonymous().header("x-forwarded-for", address)
}

/// Returns the n-th of sixteen million IP addresses.
pub fn client_ip(n: usize) -> String {
    format!("10.{}.{}.{}", n / 65_536, n / 256 % 256, n % 256)
}

pub async fn login(client: &Client, email: &str, password: &str) -> Answer {
    client.post_json("/api/login", json!({ "email": email, "password": password })).await
}

pub async fn wrong_login(client: &Client, email: &str) -> Answer {
    login(client, email, "not the password").await
}

pub fn retry_after(answer: &Answer) -> u64 {
    answer.clone().expect_problem(429, "rate-limited");
    answer.header("retry-after").and_then(|text| text.parse().ok()).expect("an integer")
}

/// Returns the number of passwords that the daemon has verified.
pub async fn verified(app: &TestApp) -> u64 {
    let text = app.admin().get("/metrics").await.text();
    let line = text.lines().find(|line| {
        line.starts_with("latchkey_password_hash_duration_seconds_count")
            && line.contains("operation=\"verify\"")
    });
    line.and_then(|line| line.rsplit(' ').next()).map_or(0, |n| n.parse().expect("a number"))
}

/// Logs in from an IP address and returns the device token of the response.
pub async fn device(app: &TestApp, person: &Person, address: &str) -> String {
    let answer = login(&at(app, address), &person.email, &person.password).await.expect(200);
    answer.header(DEVICE).expect("a device").to_owned()
}

/// Checks that six of the simultaneous attempts were admitted. Fewer are enough if some attempts
/// got a 503, because a busy machine sheds requests or loses responses of the store.
#[track_caller]
fn six_are_looked_at(answers: &[Answer], verified: u64) {
    let (looked_at, shed) = (count(answers, 401), count(answers, 503));
    assert_eq!(looked_at + shed + count(answers, 429), answers.len(), "{answers:#?}");
    assert!(verified <= 6 && looked_at <= 6, "{verified} looked at, {looked_at} told so");
    assert!(
        shed > 0 || (verified, looked_at) == (6, 6),
        "{verified} looked at, {looked_at} told so"
    );
}

/// Sends a hundred wrong passwords, each from its own IP address.
pub async fn close(app: &TestApp, email: &str) {
    for n in 0..100 {
        wrong_login(&at(app, &client_ip(n)), email)
            .await
            .expect_problem(401, "invalid-credentials");
    }
}

/// The waits of the back-off in seconds, after the sixth failure and after each further failure.
pub const WAITS_S: [u64; 13] = [5, 5, 5, 5, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600];

both!(
    a_client_waits_as_its_back_off_says_and_each_wait_is_honest,
    ["rate_limit.enabled" = "true"],
    async |app| {
        let person = app.verified("ada@example.org").await;
        let admission = &app.inside().admission;
        let ip = "203.0.113.7".parse().expect("an address");
        let client = AttemptClient::Anonymous(ip);
        // Returns 0 if the attempt is admitted, and otherwise the wait in seconds.
        let admit = async |email: &str| {
            let captcha = AttemptCaptcha::default();
            match admission.admit_attempt(email, &client, captcha, &mut None).await {
                Ok(_) => 0,
                Err(AttemptRefusal::Limited(limited)) => limited.retry_after_s,
                Err(refusal) => panic!("{refusal:?}"),
            }
        };
        for email in [person.email.as_str(), "nobody@example.org"] {
            for _ in 0..6 {
                assert_eq!(admit(email).await, 0);
            }
            for wait in WAITS_S {
                assert_eq!(admit(email).await, wait, "{email}");
                app.clock.advance(Duration::from_secs(wait - 1));
                assert_eq!(admit(email).await, 1, "{email}");
                app.clock.advance(Duration::from_secs(1));
                assert_eq!(admit(email).await, 0, "{email}");
            }
        }
    }
);

both!(
    a_client_that_waited_as_told_is_admitted,
    ["rate_limit.enabled" = "true", "http.trusted_proxies" = "127.0.0.0/8"],
    async |app| {
        let person = app.verified("ada@example.org").await;
        for email in [person.email.as_str(), "nobody@example.org"] {
            let source = at(app, "203.0.113.7");
            app.clock.advance(Duration::from_mins(10));
            for _ in 0..6 {
                wrong_login(&source, email).await.expect_problem(401, "invalid-credentials");
            }
            app.clock.advance(Duration::from_secs(4));
            assert_eq!(retry_after(&wrong_login(&source, email).await), 1);
            app.clock.advance(Duration::from_secs(1));
            wrong_login(&source, email).await.expect_problem(401, "invalid-credentials");
            // Another IP address means another client.
            wrong_login(&at(app, "203.0.113.8"), email).await.expect(401);
        }
    }
);

both!(
    of_parallel_attempts_of_one_client_six_are_verified,
    ["rate_limit.enabled" = "true", "http.trusted_proxies" = "127.0.0.0/8"],
    async |app| {
        let person = app.verified("ada@example.org").await;
        for (subnet, email) in [(1, person.email.as_str()), (2, "nobody@example.org")] {
            let before = verified(app).await;
            // The IP addresses are in 64 subnets of one /64. The rate limit by IP address does not
            // refuse them.
            let answers = at_once(64, async |n| {
                wrong_login(&at(app, &format!("2001:db8:{subnet}::{n:x}")), email).await
            })
            .await;
            six_are_looked_at(&answers, verified(app).await - before);
        }
    }
);

both!(
    a_success_removes_the_failures_of_its_client_alone,
    ["rate_limit.enabled" = "true", "http.trusted_proxies" = "127.0.0.0/8"],
    async |app| {
        let person = app.verified("ada@example.org").await;
        let (home, other) = (at(app, "203.0.113.1"), at(app, "203.0.113.2"));
        for _ in 0..6 {
            wrong_login(&other, &person.email).await.expect(401);
        }
        for _ in 0..5 {
            wrong_login(&home, &person.email).await.expect(401);
        }
        login(&home, &person.email, &person.password).await.expect(200);
        app.clock.advance(Duration::from_secs(1));
        assert_eq!(retry_after(&wrong_login(&other, &person.email).await), 4);
        app.clock.advance(Duration::from_mins(2));
        for _ in 0..6 {
            wrong_login(&home, &person.email).await.expect(401);
        }
        assert_eq!(retry_after(&wrong_login(&home, &person.email).await), 5);
    }
);

both!(
    every_endpoint_that_checks_a_password_counts_against_the_session,
    ["rate_limit.enabled" = "true", "http.trusted_proxies" = "127.0.0.0/8"],
    async |app| {
        let person = app.verified("ada@example.org").await;
        let source = at(app, "203.0.113.7");
        let user = source.bearer(&person.user_token);
        let wrong = json!({ "password": "not the password", "newPassword": "a quite new password", "email": "b@example.org" });
        for _ in 0..2 {
            user.post_json("/api/change-password", wrong.clone()).await.expect(401);
            user.post_json("/api/change-email", wrong.clone()).await.expect(401);
            user.json(hyper::Method::DELETE, "/api/me", wrong.clone()).await.expect(401);
        }
        let mut right = wrong;
        right["password"] = json!(person.password);
        retry_after(&login(&user, &person.email, &person.password).await);
        retry_after(&user.post_json("/api/change-password", right.clone()).await);
        retry_after(&user.post_json("/api/change-email", right.clone()).await);
        retry_after(&user.json(hyper::Method::DELETE, "/api/me", right).await);
        // The session has its own back-off. This back-off does not affect a client without the
        // session's token.
        login(&source, &person.email, &person.password).await.expect(200);
    }
);

both!(
    beyond_the_cap_anonymous_clients_wait_an_hour_and_then_need_a_captcha,
    [
        "mail.new_device" = "false",
        "rate_limit.enabled" = "true",
        "http.trusted_proxies" = "127.0.0.0/8"
    ],
    async |app| {
        let person = app.verified("ada@example.org").await;
        let known = device(app, &person, "203.0.113.7").await;
        close(app, &person.email).await;
        close(app, "nobody@example.org").await;
        let before = verified(app).await;
        let (one, other) = (at(app, "198.51.100.1"), at(app, "198.51.100.2"));
        let told = async |client: &Client, email: &str| {
            let answer = login(client, email, &person.password).await;
            let (status, mut headers, body) = alike(&answer);
            headers.retain(|it| !it.0.starts_with("ratelimit"));
            (answer, (status, headers, body))
        };
        // An email address without an account gets the same refusal at every step.
        let both = async |seconds: u64| {
            app.clock.advance(Duration::from_secs(seconds));
            let (answer, known) = told(&one, &person.email).await;
            let (_, unknown) = told(&other, "nobody@example.org").await;
            assert_eq!(known, unknown);
            answer
        };
        assert_eq!(retry_after(&both(0).await), HOUR_S);
        assert_eq!(retry_after(&both(HOUR_S - 1).await), 1);
        let asked = both(1).await.expect_problem(400, "captcha-invalid");
        assert!(asked.json().get("difficulty").is_none(), "a usual one does");
        assert_eq!(verified(app).await, before, "no password was verified");
        // A known device can log in. Its login does not reset the back-off of other clients.
        let home = at(app, "203.0.113.7").header(DEVICE, &known);
        login(&home, &person.email, &person.password).await.expect(200);
        both(0).await.expect_problem(400, "captcha-invalid");
        // After the next failure a harder captcha is needed. A refused easier captcha is not used
        // up.
        let mut body = json!({ "email": person.email, "password": "not the password" });
        body["captcha"] = json!(solved_captcha(app).await);
        one.post_json("/api/login", body.clone()).await.expect_problem(401, "invalid-credentials");
        body["password"] = json!(person.password);
        body["captcha"] = json!(solved_captcha(app).await);
        assert_eq!(retry_after(&other.post_json("/api/login", body.clone()).await), 36);
        app.clock.advance(Duration::from_secs(36));
        let asked = other.post_json("/api/login", body.clone()).await;
        assert_eq!(asked.expect_problem(400, "captcha-invalid").json()["difficulty"], 2);
        body["captcha"] = json!(solved_captcha_of(app, 2).await);
        other.post_json("/api/login", body).await.expect(200);
    }
);

both!(
    without_captchas_one_attempt_an_hour_passes_beyond_the_cap,
    [
        "mail.new_device" = "false",
        "captcha.provider" = "none",
        "rate_limit.enabled" = "true",
        "http.trusted_proxies" = "127.0.0.0/8"
    ],
    async |app| {
        let person = app.verified("ada@example.org").await;
        close(app, &person.email).await;
        for n in 200..203 {
            let client = at(app, &client_ip(n));
            assert_eq!(retry_after(&wrong_login(&client, &person.email).await), HOUR_S);
            app.clock.advance(Duration::from_secs(HOUR_S));
            wrong_login(&client, &person.email).await.expect_problem(401, "invalid-credentials");
        }
        app.clock.advance(Duration::from_secs(HOUR_S));
        login(&at(app, &client_ip(300)), &person.email, &person.password).await.expect(200);
    }
);

both!(
    a_success_leaves_the_failures_of_other_clients_in_the_count,
    ["rate_limit.enabled" = "true", "http.trusted_proxies" = "127.0.0.0/8"],
    async |app| {
        let person = app.verified("ada@example.org").await;
        for n in 0..97 {
            wrong_login(&at(app, &client_ip(n)), &person.email).await.expect(401);
        }
        let home = at(app, "203.0.113.7");
        wrong_login(&home, &person.email).await.expect(401);
        login(&home, &person.email, &person.password).await.expect(200);
        for n in 200..203 {
            wrong_login(&at(app, &client_ip(n)), &person.email).await.expect(401);
        }
        assert_eq!(retry_after(&login(&home, &person.email, &person.password).await), HOUR_S);
    }
);

both!(
    a_user_logs_in_under_ten_thousand_wrong_logins,
    ["rate_limit.enabled" = "true", "http.trusted_proxies" = "127.0.0.0/8"],
    async |app| {
        let person = app.verified("ada@example.org").await;
        let known = device(app, &person, "203.0.113.7").await;
        let before = verified(app).await;
        for round in 0..40 {
            let answers = at_once(250, async |n| {
                wrong_login(&at(app, &client_ip(round * 250 + n)), &person.email).await
            })
            .await;
            assert_eq!(count(&answers, 200), 0);
            if round % 10 == 9 {
                let home = at(app, "203.0.113.7").header(DEVICE, &known);
                login(&home, &person.email, &person.password).await.expect(200);
            }
        }
        // The cap is 100 attempts. The other 4 are the logins of the user.
        assert!(verified(app).await - before <= 104);
    }
);

both!(
    after_failures_a_captcha_takes_the_place_of_the_wait,
    [
        "rate_limit.enabled" = "true",
        "captcha.on" = "login-after-failures",
        "http.trusted_proxies" = "127.0.0.0/8"
    ],
    async |app| {
        let person = app.verified("ada@example.org").await;
        let source = at(app, "203.0.113.7");
        for _ in 0..6 {
            wrong_login(&source, &person.email).await.expect(401);
        }
        for email in [person.email.as_str(), "nobody@example.org"] {
            let source = at(app, "203.0.113.8");
            for _ in 0..6 {
                wrong_login(&source, email).await;
                app.clock.advance(Duration::from_secs(6));
            }
            wrong_login(&source, email).await.expect_problem(400, "captcha-invalid");
        }
        let body = json!({ "email": person.email, "password": person.password, "captcha": "x" });
        source.post_json("/api/login", body.clone()).await.expect_problem(400, "captcha-invalid");
        let mut solved = body;
        solved["captcha"] = json!(solved_captcha(app).await);
        source.post_json("/api/login", solved).await.expect(200);
    }
);

/// Two daemons on the same stores count the failures of a client together.
#[tokio::test(flavor = "multi_thread")]
async fn two_daemons_share_the_back_off() {
    let app = TestApp::builder(Backend::Servers)
        .set("rate_limit.enabled", "true")
        .set("http.trusted_proxies", "127.0.0.0/8")
        .start()
        .await;
    let person = app.verified("ada@example.org").await;
    let replica = app.replica().await;
    let both = [at(&app, "203.0.113.7"), at(&replica, "203.0.113.7")];
    let before = verified(&app).await + verified(&replica).await;
    let answers = at_once(16, async |n| wrong_login(&both[n % 2], &person.email).await).await;
    six_are_looked_at(&answers, verified(&app).await + verified(&replica).await - before);
    while wrong_login(&both[0], &person.email).await.status != 429 {}
    // The wait of the back-off is 5 s at both daemons. Each daemon also counts the requests of the
    // IP address, and the wait of this limit is up to 6 s.
    for client in &both {
        assert!((5..=6).contains(&retry_after(&wrong_login(client, &person.email).await)));
    }
    let known = device(&app, &person, "203.0.113.8").await;
    let there = both[1].header(DEVICE, &known);
    login(&there, &person.email, &person.password).await.expect(200);
    replica.finish().await;
    app.finish().await;
}

/// If the store never responds, no password is verified. Then each recipient's address has a
/// smaller mail budget: this daemon's share of the usual budget.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_store_no_password_is_verified_and_mailboxes_keep_a_share() {
    let app = TestApp::builder(Backend::Servers)
        .set("rate_limit.enabled", "true")
        .set("rate_limit.replicas", "2")
        .set("redis.url", "redis://127.0.0.1:1")
        .start()
        .await;
    let email = "ada@example.org";
    wrong_login(&app.anonymous(), email).await.expect_problem(503, "dependency-unavailable");
    let admission = &app.inside().admission;
    let ip = "203.0.113.7".parse().expect("an address");
    let (client, captcha) = (AttemptClient::Anonymous(ip), AttemptCaptcha::default());
    let attempt = admission.admit_attempt(email, &client, captcha, &mut None).await;
    assert!(matches!(attempt, Err(AttemptRefusal::Unavailable(_))));
    assert_eq!(verified(&app).await, 0);
    let mail = Ask::Mail(Budget::Recoveries, email, None);
    let spend = async || admission.admit(mail, ip, &mut None).await;
    assert_eq!(spend().await, Ok(()), "half of three an hour");
    let Limited { retry_after_s } = spend().await.expect_err("a second one");
    app.clock.advance(Duration::from_secs(retry_after_s - 1));
    assert_eq!(spend().await, Err(Limited { retry_after_s: 1 }));
    app.clock.advance(Duration::from_secs(1));
    assert_eq!(spend().await, Ok(()));
    app.finish().await;
}
