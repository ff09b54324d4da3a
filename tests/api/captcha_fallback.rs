//! Tests of `captcha.fallback = "altcha"`. latchkey accepts a proof of work only while it considers
//! the vendor to be down.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::app::TestApp;
use crate::ask::solved_captcha;
use crate::captcha_vendors::{forgot, takes, with_vendor};
use crate::siteverify::{Says, Stub, refusal};

/// Makes the vendor fail until latchkey considers it to be down.
async fn fails(app: &TestApp, stub: &Stub) {
    stub.says(Says::Json(503, "{}".into()));
    for _ in 0..3 {
        forgot(app, "token").await.expect_problem(503, "dependency-unavailable");
    }
}

with_vendor!(
    the_proof_of_work_counts_in_an_outage_and_not_after,
    ["captcha.on" = "forgot", "captcha.fallback" = "altcha"],
    async |app, stub| {
        takes(app, stub, "forgot");
        app.anonymous().get("/api/captcha").await.expect_problem(404, "not-found");
        fails(app, stub).await;
        let (one, two) = (solved_captcha(app).await, solved_captcha(app).await);
        forgot(app, &one).await.expect(200);
        forgot(app, &one).await.expect_problem(400, "captcha-invalid");
        forgot(app, "token").await.expect_problem(503, "dependency-unavailable");
        let page = app.anonymous().get("/reset-password").await.expect(200);
        assert!(page.text().contains("data-captcha>") && !page.text().contains("cf-turnstile"));
        assert!(!page.header("content-security-policy").expect("a policy").contains("https:"));

        // The vendor works again. The next request notices this, and from then on latchkey refuses
        // a proof of work.
        app.clock.advance(Duration::from_secs(10));
        takes(app, stub, "forgot");
        forgot(app, &two).await.expect_problem(400, "captcha-invalid");
        app.anonymous().get("/api/captcha").await.expect_problem(404, "not-found");
        forgot(app, "token-2").await.expect(200);
        let page = app.anonymous().get("/reset-password").await.expect(200);
        assert!(
            page.text().contains("cf-turnstile") && page.text().contains("data-captcha-fallback")
        );
    }
);

with_vendor!(
    who_gets_no_token_finds_the_outage_by_asking_for_a_challenge,
    ["captcha.on" = "forgot", "captcha.fallback" = "altcha"],
    async |app, stub| {
        // The vendor's widget does not load, so no client sends a token. Therefore only a request
        // for a challenge can make latchkey ask the vendor.
        stub.says(Says::Reset);
        let ask = async || app.anonymous().get("/api/captcha").await;
        ask().await.expect_problem(503, "dependency-unavailable");
        ask().await.expect_problem(503, "dependency-unavailable");
        ask().await.expect(200);
        assert_eq!(stub.asked().len(), 3, "probes, and a connection each");
        assert_eq!(stub.asked()[0].field("response"), Some("latchkey-probe"));
        assert_eq!(stub.asked()[0].field("remoteip"), None, "nobody's address");
        let captcha = solved_captcha(app).await;
        forgot(app, &captcha).await.expect(200);
        assert_eq!(stub.asked().len(), 3, "known for ten seconds");
        app.clock.advance(Duration::from_secs(10));
        stub.says_json(&refusal("invalid-input-response"));
        ask().await.expect_problem(404, "not-found");
        ask().await.expect_problem(404, "not-found");
        assert_eq!(stub.asked().len(), 4, "an answer is fresh for ten seconds");
    }
);

with_vendor!(
    a_stranger_cannot_bring_the_fallback_about_by_what_is_sent,
    ["captcha.on" = "forgot", "captcha.fallback" = "altcha"],
    async |app, stub| {
        // A client with a bad token could cause each of these responses of the vendor. So they must
        // not start the fallback.
        for says in [
            Says::Json(200, refusal("internal-error").to_string()),
            Says::Json(200, "{}".into()),
            Says::Json(403, "{}".into()),
            Says::Json(429, "{}".into()),
            Says::Body(200, "text/html", "<html>".into()),
        ] {
            stub.says(says);
            for _ in 0..4 {
                forgot(app, "odd").await.expect_problem(503, "dependency-unavailable");
            }
        }
        let ready = app.admin().get("/readyz").await.expect(200).json();
        assert_eq!(ready["dependencies"]["captcha"], "up");
        // If a client requests a challenge, latchkey probes the vendor and gets a 403 or a 429.
        // These responses do not start the fallback either.
        for status in [403, 429] {
            stub.says(Says::Json(status, "{}".into()));
            for _ in 0..4 {
                let probed = app.anonymous().get("/api/captcha").await;
                probed.expect_problem(503, "dependency-unavailable");
            }
        }
        // A client can also send a payload of the built-in captcha without any work. This does not
        // start the fallback either.
        let asked = stub.asked().len();
        for _ in 0..4 {
            let forged = json!({
                "challenge": { "parameters": { "algorithm": "PBKDF2/SHA-256", "nonce": "00",
                    "salt": "00", "cost": 1, "keyLength": 32, "keyPrefix": "00" }, "signature": "00" },
                "solution": { "counter": 1, "derivedKey": "00" },
            });
            let forged = STANDARD.encode(forged.to_string());
            forgot(app, &forged).await.expect_problem(400, "captcha-invalid");
        }
        assert_eq!(stub.asked().len(), asked, "it costs the vendor nothing");
    }
);

with_vendor!(
    without_the_fallback_the_proof_of_work_never_counts,
    ["captcha.on" = "forgot"],
    async |app, stub| {
        fails(app, stub).await;
        app.anonymous().get("/api/captcha").await.expect_problem(404, "not-found");
        let page = app.anonymous().get("/reset-password").await.expect(200);
        assert!(page.text().contains("cf-turnstile"));
    }
);

with_vendor!(
    a_wrong_secret_opens_no_fallback,
    ["captcha.on" = "forgot", "captcha.fallback" = "altcha"],
    async |app, stub| {
        stub.says_json(&refusal("invalid-input-secret"));
        for turn in 0..5 {
            let token = format!("t{turn}");
            forgot(app, &token).await.expect_problem(503, "dependency-unavailable");
        }
        app.anonymous().get("/api/captcha").await.expect_problem(404, "not-found");
    }
);
