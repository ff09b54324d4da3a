//! Tests of the built-in captcha. They check which requests need a captcha, which parameter
//! contains it, and that a captcha is valid only once.

use std::time::Duration;

use serde_json::json;

use crate::app::{TestApp, both};
use crate::ask::{at_once, count, solved_captcha};
use crate::client::{Client, encoded};

const RESEND: &str = "/api/resend-email-verification";

async fn is_needed(client: &Client, path: &str) {
    client.get(path).await.expect_problem(400, "captcha-invalid");
}

both!(a_resend_needs_a_captcha_that_is_good_once, async |app| {
    let person = app.register("ada@example.org").await;
    let older = app.mail_to("ada@example.org").await.token().to_owned();
    let user = person.as_user();
    is_needed(&user, RESEND).await;
    for wrong in ["", "x", "e30=", &"A".repeat(3_000)] {
        is_needed(&user, &format!("{RESEND}?capcha={wrong}")).await;
    }
    let captcha = solved_captcha(app).await;
    // The misspelled parameter `capcha` is empty. It does not hide the value of the correctly
    // spelled parameter `captcha`.
    user.get(&format!("{RESEND}?capcha=&captcha={}", encoded(&captcha))).await.expect(200);
    app.mail_to("ada@example.org").await;
    app.anonymous().verify(&older).await.expect_problem(400, "token-invalid");
    // The captcha is used up. It stays used up if the client uses the other spelling of the
    // parameter or the other base64 alphabet.
    is_needed(&user, &format!("{RESEND}?capcha={}", encoded(&captcha))).await;
    is_needed(&user, &format!("{RESEND}?captcha={}", encoded(&captcha))).await;
    let other = captcha.trim_end_matches('=').replace('+', "-").replace('/', "_");
    is_needed(&user, &format!("{RESEND}?captcha={other}")).await;
    app.no_mail_to("ada@example.org").await;
    let second = encoded(&solved_captcha(app).await);
    user.get(&format!("{RESEND}?captcha={second}")).await.expect(200);
    app.mail_to("ada@example.org").await;
});

both!(of_parallel_uses_of_a_captcha_one_succeeds, async |app| {
    let person = app.register("ada@example.org").await;
    let path = format!("{RESEND}?captcha={}", encoded(&solved_captcha(app).await));
    let answers = at_once(8, async |_| person.as_user().get(&path).await).await;
    assert_eq!(count(&answers, 200), 1, "{answers:#?}");
    assert_eq!(count(&answers, 400), 7, "{answers:#?}");
});

both!(a_challenge_is_altchas_and_lives_ten_minutes, async |app| {
    let person = app.register("ada@example.org").await;
    let answer = app.anonymous().get("/api/captcha").await.expect(200);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let challenge = answer.json();
    assert_eq!(challenge["parameters"]["algorithm"], "PBKDF2/SHA-256", "{challenge}");
    assert!(challenge["signature"].is_string(), "{challenge}");
    assert_ne!(app.anonymous().get("/api/captcha").await.json(), challenge);
    let captcha = encoded(&solved_captcha(app).await);
    app.clock.advance(Duration::from_secs(601));
    let tokens = person.as_user().get("/api/refresh").await.tokens();
    let user = app.anonymous().bearer(&tokens.user);
    is_needed(&user, &format!("{RESEND}?captcha={captcha}")).await;
});

async fn post_needs_a_captcha(app: &TestApp, path: &str, mut body: serde_json::Value) {
    let anonymous = app.anonymous();
    anonymous.post_json(path, body.clone()).await.expect_problem(400, "captcha-invalid");
    body["captcha"] = json!("x");
    anonymous.post_json(path, body.clone()).await.expect_problem(400, "captcha-invalid");
    body["captcha"] = json!(solved_captcha(app).await);
    anonymous.post_json(path, body).await.expect(200);
}

both!(
    a_captcha_is_needed_where_the_settings_say,
    ["captcha.on" = "register,forgot,exist-email"],
    async |app| {
        let body = json!({ "email": "ada@example.org", "password": "correct horse battery", "name": "Ada" });
        post_needs_a_captcha(app, "/api/register", body).await;
        let mail = app.mail_to("ada@example.org").await;
        post_needs_a_captcha(app, "/api/forgot-password", json!({ "email": "ada@example.org" }))
            .await;
        app.mail_to("ada@example.org").await;
        is_needed(&app.anonymous(), "/api/exist-email/ada@example.org").await;
        let captcha = encoded(&solved_captcha(app).await);
        let path = format!("/api/exist-email/ada@example.org?capcha={captcha}");
        app.anonymous().get(&path).await.expect(200);
        // A request that is not listed in `captcha.on` needs no captcha.
        let user = app.anonymous().verify(mail.token()).await.tokens().user;
        app.anonymous().bearer(&user).get(RESEND).await.expect_problem(409, "already-verified");
    }
);

both!(cheap_checks_come_before_the_captcha, ["captcha.on" = "register,forgot"], async |app| {
    let anonymous = app.anonymous();
    anonymous.register("no address", "short", "").await.expect(422);
    anonymous.forgot("no address").await.expect(422);
    // A request that breaks another rule does not use up the captcha.
    let captcha = solved_captcha(app).await;
    let mut body = json!({ "email": "ada@example.org", "password": "short", "name": "Ada", "captcha": captcha });
    anonymous.post_json("/api/register", body.clone()).await.expect(422);
    body["password"] = json!("correct horse battery");
    anonymous.post_json("/api/register", body).await.expect(200);
});

both!(a_captcha_of_another_type_breaks_a_rule, async |app| {
    for (captcha, status) in [(json!(1), 422), (json!(null), 200), (json!("x"), 200)] {
        let body = json!({ "email": "ada@example.org", "captcha": captcha });
        app.anonymous().post_json("/api/forgot-password", body).await.expect(status);
    }
});

both!(
    with_no_provider_none_is_needed,
    ["captcha.provider" = "none", "captcha.on" = "resend,register,forgot,exist-email"],
    async |app| {
        app.anonymous().get("/api/captcha").await.expect_problem(404, "not-found");
        let person = app.register("ada@example.org").await;
        app.anonymous().exists("ada@example.org").await.expect(200);
        app.anonymous().forgot("ada@example.org").await.expect(200);
        person.as_user().get(RESEND).await.expect(200);
        person.as_user().get(&format!("{RESEND}?capcha=anything")).await.expect(200);
    }
);
