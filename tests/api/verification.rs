//! Tests of `GET /api/verify-email/{token}` and `GET /api/resend-email-verification`.

use std::time::Duration;

use hyper::Method;
use serde_json::json;

use crate::app::both;
use crate::ask::{at_once, one_succeeds, sql};
use crate::client::claims;

const DAY: Duration = Duration::from_hours(24);

both!(verifying_opens_a_session_and_makes_a_team, async |app| {
    let mut person = app.register("ada@example.org").await;
    let first = person.clone();
    let token = app.mail_to("ada@example.org").await.token().to_owned();
    let answer = person.verify(&token).await.expect(200);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("etag"), None);
    assert_ne!(person.sid, first.sid);
    let me = person.me().await.expect(200).json();
    assert_eq!(me["emailVerified"], true);
    assert_eq!(me["team"]["role"], "owner");
    assert_eq!(me["team"]["name"], "Ada Lovelace's team");
    assert_eq!(me["project"]["name"], "Default");
    let vault = claims(&person.vault_token);
    assert_eq!(vault["tid"], me["team"]["id"]);
    assert_eq!(vault["pid"], me["project"]["id"]);
    assert_eq!(vault["role"], "owner");
    // The earlier session stays open. Its next tokens are for the new team.
    let mut first = first;
    first.refresh().await.expect(200);
    assert_eq!(claims(&first.user_token)["email_verified"], true);
    assert_eq!(claims(&first.vault_token)["tid"], me["team"]["id"]);
    assert_eq!(claims(&first.vault_token)["pid"], me["project"]["id"]);
});

both!(a_used_token_says_so_until_it_would_have_expired, async |app| {
    let mut person = app.register("ada@example.org").await;
    let token = app.mail_to("ada@example.org").await.token().to_owned();
    person.verify(&token).await.expect(200);
    app.anonymous().verify(&token).await.expect_problem(409, "already-verified");
    app.clock.advance(DAY.saturating_sub(Duration::from_secs(1)));
    app.anonymous().verify(&token).await.expect_problem(409, "already-verified");
    app.clock.advance(Duration::from_secs(2));
    app.anonymous().verify(&token).await.expect_problem(400, "token-invalid");
});

both!(a_token_lives_a_day, async |app| {
    let person = app.register("ada@example.org").await;
    let token = app.mail_to("ada@example.org").await.token().to_owned();
    app.clock.advance(DAY + Duration::from_secs(1));
    let expired = app.anonymous().verify(&token).await;
    let unknown = app.anonymous().verify(&"A".repeat(43)).await;
    let expired = expired.expect_problem(400, "token-invalid").json();
    let unknown = unknown.expect_problem(400, "token-invalid").json();
    assert_eq!(expired["detail"], unknown["detail"]);
    let answer = person.as_user().get("/api/refresh").await.expect(200);
    let me = app.anonymous().bearer(&answer.tokens().user).get("/api/me").await.json();
    assert_eq!(me["emailVerified"], false);
});

both!(what_is_no_token_is_an_invalid_one, async |app| {
    let person = app.register("ada@example.org").await;
    // The test waits for each mail, because two workers send mails. If two mails are due, they can
    // arrive in the other order.
    app.mail_to(&person.email).await;
    app.anonymous().forgot(&person.email).await.expect(200);
    let recovery = app.mail_to(&person.email).await.token().to_owned();
    for token in ["x", "%00", "../..", &"A".repeat(3_000), &person.user_token, &recovery] {
        app.anonymous().verify(token).await.expect_problem(400, "token-invalid");
    }
    app.anonymous().reset(&recovery, "a new password").await.expect(200);
});

both!(of_sixteen_verifications_one_succeeds, async |app| {
    let person = app.register("ada@example.org").await;
    let token = app.mail_to("ada@example.org").await.token().to_owned();
    let answers = at_once(16, async |_| app.anonymous().verify(&token).await).await;
    let verified = one_succeeds(answers, 409, "already-verified").tokens();
    let teams = app.anonymous().bearer(&verified.user).get("/api/teams").await.expect(200).json();
    assert_eq!(teams["items"].as_array().map(Vec::len), Some(1), "{teams}");
    let sessions = person.sessions().await.expect(200).json();
    assert_eq!(sessions["items"].as_array().map(Vec::len), Some(2), "{sessions}");
});

both!(a_look_ahead_verifies_nothing, async |app| {
    let person = app.register("ada@example.org").await;
    let token = app.mail_to("ada@example.org").await.token().to_owned();
    let path = format!("/api/verify-email/{token}");
    let anonymous = app.anonymous();
    let head = anonymous.bare(Method::HEAD, &path).await.expect(405);
    assert_eq!(head.header("allow"), Some("OPTIONS, GET"));
    for (name, value) in [("sec-purpose", "prefetch;prerender"), ("purpose", "prefetch")] {
        anonymous.header(name, value).get(&path).await.expect_problem(403, "forbidden");
    }
    let navigation = anonymous.header("sec-fetch-mode", "navigate").get(&path).await.expect(303);
    assert_eq!(navigation.header("location"), Some(&*format!("/verify-email?token={token}")));
    assert_eq!(person.me().await.json()["emailVerified"], false);
    anonymous.verify(&token).await.expect(200);
});

both!(a_resend_kills_the_older_link, ["captcha.provider" = "none"], async |app| {
    let mut person = app.register("ada@example.org").await;
    let older = app.mail_to("ada@example.org").await.token().to_owned();
    let answer = person.as_user().get("/api/resend-email-verification").await.expect(200);
    app.anonymous().verify(&older).await.expect_problem(400, "token-invalid");
    let (before, after) = (claims(&person.user_token), claims(&answer.tokens().user));
    for same in ["sub", "sid", "jti", "gen"] {
        assert_eq!(before[same], after[same], "{same}");
    }
    let newer = app.mail_to("ada@example.org").await.token().to_owned();
    assert_ne!(older, newer);
    app.anonymous().verify(&older).await.expect_problem(400, "token-invalid");
    person.verify(&newer).await.expect(200);
    let again = person.as_user().get("/api/resend-email-verification").await;
    again.expect_problem(409, "already-verified");
    app.no_mail_to("ada@example.org").await;
});

both!(many_resends_leave_one_good_link, ["captcha.provider" = "none"], async |app| {
    let person = app.register("ada@example.org").await;
    let answers =
        at_once(6, async |_| person.as_user().get("/api/resend-email-verification").await).await;
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:#?}");
    app.outbox_is_empty().await;
    let mails = app.mails_to("ada@example.org").await;
    let mut good = 0;
    for mail in &mails {
        if app.anonymous().verify(mail.token()).await.status == 200 {
            good += 1;
        }
    }
    assert_eq!(good, 1, "{mails:#?}");
});

both!(a_resend_needs_a_user_token_and_a_real_visit, ["captcha.provider" = "none"], async |app| {
    const PATH: &str = "/api/resend-email-verification";
    let person = app.register("ada@example.org").await;
    app.mail_to("ada@example.org").await;
    app.anonymous().get(PATH).await.expect_problem(401, "invalid-token");
    person.as_vault().get(PATH).await.expect_problem(401, "invalid-token");
    person.as_user().bare(Method::HEAD, PATH).await.expect(405);
    let prefetch = person.as_user().header("sec-purpose", "prefetch").get(PATH).await;
    prefetch.expect_problem(403, "forbidden");
    app.clock.advance(Duration::from_mins(16));
    person.as_user().get(PATH).await.expect_problem(401, "invalid-token");
    app.no_mail_to("ada@example.org").await;
    assert_eq!(app.anonymous().exists("ada@example.org").await.json(), json!(true));
});

both!(a_disabled_account_is_not_verified, async |app| {
    app.register("ada@example.org").await;
    let token = app.mail_to("ada@example.org").await.token().to_owned();
    sql(app, "UPDATE users SET status = 'disabled'").await;
    // Only a client with the right password learns that the account is disabled.
    app.anonymous().verify(&token).await.expect_problem(400, "token-invalid");
    sql(app, "UPDATE users SET status = 'active'").await;
    let tokens = app.anonymous().verify(&token).await.tokens();
    assert_eq!(claims(&tokens.vault)["role"], "owner");
});
