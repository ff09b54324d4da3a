//! Tests of the rate limits by IP address, by session and by recipient's address, as clients see
//! them.

use std::time::Duration;

use hyper::Method;
use serde_json::json;

use crate::app::{TestApp, both};
use crate::ask::solved_captcha;
use crate::client::{Answer, encoded};

/// Sends as many requests as the policy allows, and then one more, which is refused. After the wait
/// in `Retry-After` it sends another request, which is admitted.
async fn allows(
    app: &TestApp,
    policy: &str,
    quota: usize,
    window: u64,
    ask: impl AsyncFn(usize) -> Answer,
) {
    let header = format!("\"{policy}\";q={quota};w={window}");
    for turn in 0..quota {
        let answer = ask(turn).await;
        assert_ne!(answer.status, 429, "{policy}, request {turn}");
        assert_eq!(answer.header("ratelimit-policy"), Some(header.as_str()), "{policy}");
        let left = format!("\"{policy}\";r={};t=", quota - 1 - turn);
        let told = answer.header("ratelimit").expect("a header");
        assert!(told.starts_with(&left), "{told} is not {left}");
    }
    let refused = ask(quota).await;
    assert_eq!(refused.header("ratelimit-policy"), Some(header.as_str()));
    assert!(
        refused
            .header("ratelimit")
            .is_some_and(|told| told.starts_with(&format!("\"{policy}\";r=0;")))
    );
    let wait: u64 =
        refused.header("retry-after").and_then(|text| text.parse().ok()).expect("an integer");
    refused.expect_problem(429, "rate-limited");
    assert!(wait <= window, "{policy}: {wait} s");
    if wait > 1 {
        app.clock.advance(Duration::from_secs(wait - 1));
        ask(quota + 1).await.expect_problem(429, "rate-limited");
        app.clock.advance(Duration::from_secs(1));
    } else {
        app.clock.advance(Duration::from_secs(wait));
    }
    assert_ne!(ask(quota + 2).await.status, 429, "{policy}: Retry-After is honest");
}

both!(logins_are_limited, ["rate_limit.enabled" = "true"], async |app| {
    let ask = async |turn| app.anonymous().login(&format!("a{turn}@example.org"), "x").await;
    allows(app, "login", 10, 60, ask).await;
});

both!(
    the_wait_of_the_back_off_covers_the_limit_of_the_address_and_costs_none_of_it,
    ["rate_limit.enabled" = "true"],
    async |app| {
        let ask = async |email: &str| app.anonymous().login(email, "x").await;
        for _ in 0..6 {
            ask("ada@example.org").await.expect(401);
        }
        // The back-off refuses these requests, however many there are. They use up nothing of the
        // limit of the IP address. This limit has ten requests, and four of them remain.
        for _ in 0..8 {
            let refused = ask("ada@example.org").await.expect_problem(429, "rate-limited");
            assert_eq!(refused.header("retry-after"), Some("5"));
            assert_eq!(refused.header("ratelimit"), Some("\"login\";r=4;t=36"));
        }
        for _ in 0..4 {
            ask("bob@example.org").await.expect(401);
        }
        // Now the IP address has used up its limit for 6 s.
        let refused = ask("ada@example.org").await.expect_problem(429, "rate-limited");
        assert_eq!(refused.header("retry-after"), Some("6"));
        app.clock.advance(Duration::from_secs(6));
        ask("ada@example.org").await.expect_problem(401, "invalid-credentials");
        // If the back-off and the limit of the IP address both refuse a request, the response
        // contains the longer wait. It does not matter which of them the daemon reads first. The
        // wait of the back-off is 5 s after nine failures and 30 s after ten failures.
        for _ in 0..3 {
            app.clock.advance(Duration::from_mins(2));
            ask("ada@example.org").await.expect(401);
        }
        app.clock.advance(Duration::from_mins(2));
        for n in 0..10 {
            ask(&format!("nobody{n}@example.org")).await.expect(401);
        }
        let refused = ask("ada@example.org").await.expect_problem(429, "rate-limited");
        assert_eq!(refused.header("retry-after"), Some("6"), "its own 30 s are over");
        app.clock.advance(Duration::from_secs(6));
        ask("ada@example.org").await.expect(401);
        let refused = ask("ada@example.org").await.expect_problem(429, "rate-limited");
        let wait: u64 =
            refused.header("retry-after").and_then(|it| it.parse().ok()).expect("a wait");
        assert!(wait >= 60, "the eleventh failure brings 60 s; the address alone says 6: {wait}");
        app.clock.advance(Duration::from_secs(wait));
        ask("ada@example.org").await.expect(401);
    }
);

both!(
    failures_of_clients_are_limited_and_the_refusal_tells_of_it,
    ["rate_limit.enabled" = "true"],
    async |app| {
        let ask = async || {
            let form = [("token", "x"), ("client_id", "x"), ("client_secret", "y")];
            app.anonymous().post_form("/api/introspect", &form).await
        };
        for _ in 0..20 {
            ask().await.expect(401);
        }
        let refused = ask().await.expect(429);
        assert_eq!(refused.header("ratelimit-policy"), Some("\"client-failure\";q=20;w=60"));
        assert_eq!(refused.header("ratelimit"), Some("\"client-failure\";r=0;t=60"));
        assert_eq!(refused.header("retry-after"), Some("3"));
    }
);

both!(registrations_are_limited, ["rate_limit.enabled" = "true"], async |app| {
    let ask = async |turn| {
        app.anonymous()
            .register(&format!("a{turn}@example.org"), "correct horse battery", "Ada")
            .await
    };
    allows(app, "register", 10, 7_200, ask).await;
});

both!(
    recoveries_are_limited_whatever_they_are_called,
    ["rate_limit.enabled" = "true"],
    async |app| {
        let ask = async |turn: usize| {
            let path = ["/api/forgot-password", "/api/forgot-passsword"][turn % 2];
            app.anonymous()
                .post_json(path, json!({ "email": format!("a{turn}@example.org") }))
                .await
        };
        allows(app, "forgot", 5, 3_600, ask).await;
    }
);

both!(resets_are_limited, ["rate_limit.enabled" = "true"], async |app| {
    let ask = async |_| app.anonymous().reset("x", "a quite new password").await;
    allows(app, "reset", 20, 60, ask).await;
});

both!(verifications_are_limited, ["rate_limit.enabled" = "true"], async |app| {
    allows(app, "verify", 20, 60, async |_| app.anonymous().verify("x").await).await;
});

both!(existence_is_limited, ["rate_limit.enabled" = "true"], async |app| {
    let ask = async |turn| app.anonymous().exists(&format!("a{turn}@example.org")).await;
    allows(app, "exist-email", 10, 60, ask).await;
});

both!(challenges_are_limited, ["rate_limit.enabled" = "true"], async |app| {
    allows(app, "captcha", 30, 60, async |_| app.anonymous().get("/api/captcha").await).await;
});

both!(refreshes_are_limited_by_session, ["rate_limit.enabled" = "true"], async |app| {
    let person = app.register("ada@example.org").await;
    let other = person.another_device().await;
    let ask = async |_| person.as_user().get("/api/refresh").await;
    allows(app, "refresh", 60, 60, ask).await;
    other.as_user().get("/api/refresh").await.expect(200);
});

both!(confirmations_are_limited_before_the_captcha, ["rate_limit.enabled" = "true"], async |app| {
    let person = app.register("ada@example.org").await;
    app.mail_to("ada@example.org").await;
    // The headers describe the limit of the IP address. A request with an invalid captcha uses up
    // one request of this limit.
    let path = "/api/resend-email-verification";
    for _ in 0..20 {
        person.as_user().get(path).await.expect_problem(400, "captcha-invalid");
    }
    person.as_user().get(path).await.expect_problem(429, "rate-limited");
});

both!(everything_is_limited, ["rate_limit.enabled" = "true"], async |app| {
    let mut refused = None;
    for turn in 0..301 {
        let answer = app.anonymous().get("/.well-known/jwks.json").await;
        match answer.status {
            200 => assert!(turn < 300, "{turn}"),
            _ => refused = Some((turn, answer)),
        }
    }
    let (turn, answer) = refused.expect("one was refused");
    assert_eq!(turn, 300);
    assert_eq!(answer.header("ratelimit-policy"), Some("\"anything\";q=300;w=60"));
    assert_eq!(answer.header("retry-after"), Some("1"));
    answer.expect_problem(429, "rate-limited");
    app.clock.advance(Duration::from_secs(1));
    app.anonymous().get("/.well-known/jwks.json").await.expect(200);
});

both!(
    a_forged_forwarded_address_has_no_limit_of_its_own,
    ["rate_limit.enabled" = "true"],
    async |app| {
        for turn in 0..11 {
            let client = app.anonymous().header("x-forwarded-for", &format!("203.0.113.{turn}"));
            let body = json!({ "email": format!("a{turn}@example.org"), "password": "x" });
            let answer = client.post_json("/api/login", body).await;
            assert_eq!(answer.status, if turn < 10 { 401 } else { 429 }, "{turn}");
        }
    }
);

both!(
    a_trusted_proxys_clients_have_limits_of_their_own,
    ["rate_limit.enabled" = "true", "http.trusted_proxies" = "127.0.0.0/8"],
    async |app| {
        for turn in 0..11 {
            let client = app.anonymous().header("x-forwarded-for", &format!("203.0.113.{turn}"));
            let body = json!({ "email": format!("a{turn}@example.org"), "password": "x" });
            client.post_json("/api/login", body).await.expect(401);
        }
    }
);

both!(
    the_fourth_recovery_of_a_mailbox_within_the_hour_mails_nothing,
    ["rate_limit.enabled" = "true"],
    async |app| {
        let person = app.register("ada@example.org").await;
        app.mail_to(&person.email).await;
        let mut last = String::new();
        for _ in 0..3 {
            app.anonymous().forgot(&person.email).await.expect(200);
            app.mail_to(&person.email).await.token().clone_into(&mut last);
        }
        let answer = app.anonymous().forgot("ADA@example.org").await.expect(200);
        assert_eq!(answer.json(), json!({ "status": "ok" }));
        app.no_mail_to(&person.email).await;
        // The link in the third mail is still valid.
        app.anonymous().reset(&last, "a quite new password").await.expect(200);
        app.mail_to(&person.email).await;
        app.clock.advance(Duration::from_mins(20));
        app.anonymous().forgot(&person.email).await.expect(200);
        app.mail_to(&person.email).await;
    }
);

both!(a_captcha_buys_a_larger_mailbox_budget, ["rate_limit.enabled" = "true"], async |app| {
    let person = app.register("ada@example.org").await;
    app.mail_to(&person.email).await;
    for _ in 0..3 {
        app.anonymous().forgot(&person.email).await.expect(200);
        app.mail_to(&person.email).await;
    }
    let body = json!({ "email": person.email, "captcha": solved_captcha(app).await });
    app.anonymous().post_json("/api/forgot-password", body).await.expect(200);
    app.mail_to(&person.email).await;
});

both!(
    confirmations_to_a_mailbox_are_budgeted,
    ["rate_limit.enabled" = "true", "captcha.provider" = "none"],
    async |app| {
        let person = app.register("ada@example.org").await;
        let mut last = app.mail_to(&person.email).await;
        let path = "/api/resend-email-verification";
        let mut refused = None;
        for _ in 0..4 {
            let answer = person.as_user().get(path).await;
            if answer.status == 200 {
                last = app.mail_to(&person.email).await;
            } else {
                refused = Some(answer.expect_problem(429, "rate-limited"));
                break;
            }
        }
        let refused = refused.expect("the fourth at the latest is refused");
        assert!(refused.header("retry-after").is_some());
        app.no_mail_to(&person.email).await;
        app.anonymous().verify(last.token()).await.expect(200);
    }
);

both!(limits_that_are_off_say_nothing, async |app| {
    for turn in 0..25 {
        let answer = app.anonymous().login(&format!("a{turn}@example.org"), "x").await.expect(401);
        assert_eq!(answer.header("ratelimit"), None);
    }
    let captcha = encoded("x");
    app.anonymous().exists(&format!("{captcha}@example.org")).await.expect(200);
});

both!(
    what_is_not_there_is_in_the_300_and_a_preflight_is_not,
    ["rate_limit.enabled" = "true"],
    async |app| {
        let nobody = app.anonymous();
        for turn in 0..300 {
            match turn % 3 {
                0 => nobody.get("/nowhere").await.expect(404),
                1 => nobody.bare(Method::PUT, "/api/me").await.expect(405),
                _ => nobody.bare(Method::OPTIONS, "/nowhere").await.expect(404),
            };
        }
        for (method, path) in
            [(Method::GET, "/nowhere"), (Method::PUT, "/api/me"), (Method::GET, "/api/captcha")]
        {
            let refused = nobody.bare(method, path).await;
            assert_eq!(
                refused.header("ratelimit-policy"),
                Some("\"anything\";q=300;w=60"),
                "{path}"
            );
            let wait = refused.header("retry-after").and_then(|wait| wait.parse().ok());
            refused.expect_problem(429, "rate-limited");
            assert_eq!(wait, Some(1_u64), "{path}");
        }
        nobody.bare(Method::OPTIONS, "/api/me").await.expect(204);
        nobody.get("/api/forward-auth").await.expect_problem(401, "invalid-token");
        app.clock.advance(Duration::from_secs(1));
        nobody.get("/nowhere").await.expect(404);
    }
);
