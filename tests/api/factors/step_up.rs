//! Tests of `POST /api/step-up`, which proves the user again in a live session.

use std::time::Duration;

use serde_json::json;

use super::callers::{enrolled, is_wrong, log_in, other_code, problem_of, proof_is};
use crate::app::both;
use crate::ask::broken_rules;
use crate::client::{Person, claims};

const ADA: &str = "ada@example.org";

fn auth_time(person: &Person) -> i64 {
    claims(&person.user_token)["auth_time"].as_i64().expect("a time")
}

/// The claims of the userToken that a step-up does not change.
fn unchanged(person: &Person) -> [serde_json::Value; 4] {
    let claims = claims(&person.user_token);
    ["sid", "jti", "gen", "sub"].map(|name| claims[name].clone())
}

both!(a_password_is_a_new_proof_of_an_account_without_factors, async |app| {
    let mut person = app.verified(ADA).await;
    let (before, team) = (unchanged(&person), claims(&person.vault_token)["tid"].clone());
    app.clock.advance(Duration::from_mins(5));
    let answer = person.step_up_password().await.expect(200);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(person.proof(), proof_is("aal1", "pwd"));
    assert_eq!(auth_time(&person), app.clock.now_seconds());
    // The session is the same, and its token is not rotated.
    assert_eq!(unchanged(&person), before);
    assert_eq!(claims(&person.vault_token)["tid"], team);
    let proven = auth_time(&person);
    app.clock.advance(Duration::from_mins(1));
    person.refresh().await.expect(200);
    assert_eq!(person.proof(), proof_is("aal1", "pwd"));
    assert_eq!(auth_time(&person), proven, "a refresh is no proof");
});

both!(a_code_is_a_new_proof_at_the_level_of_two_factors, async |app| {
    let user = enrolled(app, ADA).await;
    let mut person = user.person.clone();
    let before = unchanged(&person);
    app.clock.advance(Duration::from_mins(5));
    person.step_up_totp(&user.authenticator.next(app)).await.expect(200);
    assert_eq!(person.proof(), proof_is("aal2", "pwd otp mfa"));
    assert_eq!((auth_time(&person), unchanged(&person)), (app.clock.now_seconds(), before.clone()));
    app.clock.advance(Duration::from_mins(5));
    let code = &user.recovery_codes[0];
    person.step_up(json!({ "method": "recovery-code", "code": code })).await.expect(200);
    assert_eq!(person.proof(), proof_is("aal2", "pwd rc mfa"));
    assert_eq!((auth_time(&person), unchanged(&person)), (app.clock.now_seconds(), before));
    let mail = app.mail_to(ADA).await;
    assert!(mail.text.contains("You have 9 codes left."), "{}", mail.text);
});

both!(a_password_changes_nothing_in_a_session_with_two_factors, async |app| {
    let user = enrolled(app, ADA).await;
    let mut person = user.person.clone();
    let proven = auth_time(&person);
    app.clock.advance(Duration::from_secs(901));
    person.refresh().await.expect(200);
    person.step_up_password().await.expect(200);
    assert_eq!(person.proof(), proof_is("aal2", "pwd otp mfa"));
    assert_eq!(auth_time(&person), proven);
    person.new_recovery_codes().await.expect_problem(401, "step-up-required");
    person.step_up_totp(&user.authenticator.next(app)).await.expect(200);
    person.new_recovery_codes().await.expect(200);
});

both!(the_record_of_the_session_decides_and_not_the_token, async |app| {
    let user = enrolled(app, ADA).await;
    let mut person = user.person.clone();
    app.clock.advance(Duration::from_secs(901));
    person.refresh().await.expect(200);
    let older = person.clone();
    person.step_up_totp(&user.authenticator.next(app)).await.expect(200);
    // The older token of the session still says the older time.
    older.new_recovery_codes().await.expect(200);
    // A replica sees the proof too.
    let other = app.replica().await;
    let client = other.anonymous().bearer(&older.user_token);
    client.bare(hyper::Method::POST, "/api/me/recovery-codes").await.expect(200);
    other.finish().await;
});

both!(a_wrong_proof_ends_no_session, async |app| {
    let user = enrolled(app, ADA).await;
    let mut person = user.person.clone();
    let wrong = person.step_up_totp(&user.authenticator.wrong(app)).await;
    is_wrong(wrong.clone());
    let recovery = other_code(&user.recovery_codes);
    for (method, code) in
        [("recovery-code", recovery.as_str()), ("totp", ""), ("recovery-code", "x")]
    {
        let answer = person.step_up(json!({ "method": method, "code": code })).await;
        assert_eq!(problem_of(&answer), problem_of(&wrong), "{method} {code}");
    }
    let answer = person.step_up(json!({ "method": "password", "password": "not it" })).await;
    is_wrong(answer);
    person.me().await.expect(200);
    person.refresh().await.expect(200);
    assert_eq!(person.proof(), proof_is("aal2", "pwd otp mfa"));
});

both!(a_method_that_the_account_lacks_is_a_wrong_step_up, async |app| {
    let mut person = app.verified(ADA).await;
    is_wrong(person.step_up_totp("123456").await);
    is_wrong(person.step_up(json!({ "method": "recovery-code", "code": "00000-00000" })).await);
    person.me().await.expect(200);
});

both!(a_step_up_that_breaks_a_rule_is_a_422, async |app| {
    let user = enrolled(app, ADA).await;
    let mut person = user.person.clone();
    let bodies = [
        (json!({}), "/method"),
        (json!({ "method": "sms", "code": "1" }), "/method"),
        (json!({ "method": 1 }), "/method"),
        (json!({ "method": "password" }), "/password"),
        (json!({ "method": "password", "code": "123456" }), "/password"),
        (json!({ "method": "password", "password": 1 }), "/password"),
        (json!({ "method": "totp" }), "/code"),
        (json!({ "method": "totp", "password": "x" }), "/code"),
        (json!({ "method": "totp", "code": null }), "/code"),
        (json!({ "method": "recovery-code", "code": 1 }), "/code"),
    ];
    for (body, pointer) in bodies {
        let answer = person.step_up(body.clone()).await;
        assert_eq!(broken_rules(&answer)[0].0, pointer, "{body}");
        assert_eq!(broken_rules(&answer).len(), 1, "{body}");
    }
});

both!(a_step_up_needs_a_session, async |app| {
    let user = enrolled(app, ADA).await;
    let body = json!({ "method": "totp", "code": user.authenticator.next(app) });
    let anonymous = app.anonymous();
    for client in [anonymous.0.clone(), user.person.as_vault(), anonymous.bearer("x")] {
        let answer = client.post_json("/api/step-up", body.clone()).await;
        answer.expect_problem(401, "invalid-token");
    }
    // None of these requests has used up the code.
    let mut person = user.person.clone();
    person.step_up(body).await.expect(200);
    person.logout().await.expect(204);
    let late = person.step_up_totp(&user.authenticator.next(app)).await;
    late.expect_problem(401, "invalid-token");
});

both!(a_recovered_token_is_no_longer_fresh, async |app| {
    let user = enrolled(app, ADA).await;
    let mut person = user.person.clone();
    person.new_recovery_codes().await.expect(200);
    // The response to this refresh is lost.
    person.as_user().get("/api/refresh").await.expect(200);
    app.clock.advance(Duration::from_secs(31));
    person.refresh().await.expect(200);
    assert_eq!(person.proof(), proof_is("aal2", "pwd otp mfa"));
    person.new_recovery_codes().await.expect_problem(401, "step-up-required");
    person.step_up_password().await.expect(200);
    person.new_recovery_codes().await.expect_problem(401, "step-up-required");
    person.step_up_totp(&user.authenticator.next(app)).await.expect(200);
    person.new_recovery_codes().await.expect(200);
});

both!(each_session_has_its_own_proof, async |app| {
    let user = enrolled(app, ADA).await;
    app.clock.advance(Duration::from_secs(901));
    let mut old = user.person.clone();
    old.refresh().await.expect(200);
    let mut new = old.clone();
    new.keep(log_in(app, &app.anonymous(), &user).await.tokens());
    new.new_recovery_codes().await.expect(200);
    old.new_recovery_codes().await.expect_problem(401, "step-up-required");
});
