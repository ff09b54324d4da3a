//! Tests of the actions that need a fresh proof (RFC 9470).

use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};

use super::callers::enrolled;
use crate::app::{TestApp, both};
use crate::ask::broken_rules;
use crate::client::{Answer, Person, claims};
use crate::people::claim;

const ADA: &str = "ada@example.org";
const NEW_PASSWORD: &str = "a quite new password";

/// An action, with the request of an account that has a second factor, and the status of success.
type Action = (Method, String, Option<Value>, u16);

/// Every action that needs a proof with a second factor, if the account has one. The last one
/// deletes the account.
fn actions(person: &Person, factor: &str, team: &str) -> Vec<Action> {
    let key = json!({ "name": "a program", "scopes": ["vault:read"] });
    vec![
        (Method::POST, person.keys(), Some(key), 200),
        (Method::DELETE, format!("/api/teams/{team}"), Some(json!({ "name": "Gone" })), 204),
        (Method::POST, "/api/me/factors/totp".into(), Some(json!({ "name": "Other" })), 201),
        (Method::POST, "/api/me/recovery-codes".into(), None, 200),
        (
            Method::POST,
            "/api/change-email".into(),
            Some(json!({ "email": "new@example.com" })),
            200,
        ),
        (
            Method::POST,
            "/api/change-password".into(),
            Some(json!({ "newPassword": NEW_PASSWORD })),
            200,
        ),
        (Method::DELETE, format!("/api/me/factors/{factor}"), None, 204),
        (Method::DELETE, "/api/me".into(), None, 204),
    ]
}

async fn ask(person: &Person, (method, path, body, _): &Action) -> Answer {
    match body {
        Some(body) => person.as_user().json(method.clone(), path, body.clone()).await,
        None => person.as_user().bare(method.clone(), path).await,
    }
}

/// Checks the challenge of an action that needs a newer or a stronger proof.
#[track_caller]
fn needs_step_up(answer: &Answer, level: &str, max_age: u64, methods: &[&str]) {
    let header = format!(
        "Bearer error=\"insufficient_user_authentication\", acr_values=\"{level}\", max_age=\"{max_age}\""
    );
    assert_eq!(answer.header("www-authenticate"), Some(header.as_str()), "{}", answer.text());
    let problem = answer.clone().expect_problem(401, "step-up-required").json();
    assert_eq!(problem["acrValues"], json!([level]));
    assert_eq!(problem["maxAge"], max_age);
    assert_eq!(problem["methods"], json!(methods));
    let members = problem.as_object().map(serde_json::Map::len);
    assert_eq!(members, Some(9), "{problem}");
}

/// Creates a user with a factor and a team that can be deleted.
async fn with_team(app: &TestApp) -> (super::Enrolled, String) {
    let user = enrolled(app, ADA).await;
    let team = user.person.make_team("Gone").await["id"].as_str().expect("an id").to_owned();
    (user, team)
}

both!(
    each_action_of_an_account_with_a_factor_needs_a_fresh_proof_with_it,
    ["tokens.user_ttl" = "1h"],
    async |app| {
        let (user, team) = with_team(app).await;
        let mut person = user.person.clone();
        let actions = actions(&person, &user.id, &team);
        app.clock.advance(Duration::from_secs(901));
        let methods = ["totp", "recovery-code"];
        for action in &actions {
            needs_step_up(&ask(&person, action).await, "aal2", 900, &methods);
        }
        // A password is not enough, not even the right one, and it is not checked.
        for password in [person.password.as_str(), "not the password"] {
            let body = json!({ "password": password, "newPassword": NEW_PASSWORD });
            let answer = person.as_user().post_json("/api/change-password", body).await;
            needs_step_up(&answer, "aal2", 900, &methods);
        }
        // The proof is asked for before the members are read.
        let answer = person.as_user().post_json("/api/change-password", json!({})).await;
        needs_step_up(&answer, "aal2", 900, &methods);
        // Nothing of these requests has been done.
        person.factors().await.expect(200);
        person.as_user().get(&format!("/api/teams/{team}")).await.expect(200);
        let keys = person.as_user().get(&person.keys()).await.expect(200).json();
        assert_eq!(keys["items"], json!([]));
        app.no_mail_to(ADA).await;
        app.anonymous().login(ADA, &person.password).await.expect_problem(401, "factor-required");
        // With a fresh proof each of them succeeds. No password is needed.
        for action in &actions {
            if action.1 == "/api/me" {
                break;
            }
            person.step_up_totp(&user.authenticator.next(app)).await.expect(200);
            let answer = ask(&person, action).await.expect(action.3);
            if action.1 == "/api/change-password" {
                person.keep(answer.tokens());
            }
        }
        app.anonymous().login(ADA, NEW_PASSWORD).await.expect(200);
    }
);

both!(a_proof_is_fresh_for_fifteen_minutes, ["tokens.user_ttl" = "1h"], async |app| {
    let user = enrolled(app, ADA).await;
    app.clock.advance(Duration::from_mins(15));
    user.person.new_recovery_codes().await.expect(200);
    app.clock.advance(Duration::from_millis(1));
    let answer = user.person.new_recovery_codes().await;
    needs_step_up(&answer, "aal2", 900, &["totp", "recovery-code"]);
});

both!(the_setting_says_how_long_a_proof_is_fresh, ["sessions.fresh_for" = "2m"], async |app| {
    let user = enrolled(app, ADA).await;
    app.clock.advance(Duration::from_mins(2));
    user.person.new_recovery_codes().await.expect(200);
    app.clock.advance(Duration::from_secs(1));
    let answer = user.person.new_recovery_codes().await;
    needs_step_up(&answer, "aal2", 120, &["totp", "recovery-code"]);
});

both!(an_account_with_a_factor_is_deleted_without_a_body, async |app| {
    let user = enrolled(app, ADA).await;
    let body = json!({ "password": "not the password" });
    let wrong = user.person.as_user().json(Method::DELETE, "/api/me", body).await;
    wrong.expect_problem(401, "invalid-credentials");
    user.person.me().await.expect(200);
    user.person.as_user().delete("/api/me").await.expect(204);
    user.person.me().await.expect_problem(401, "invalid-token");
    app.anonymous().login(ADA, &user.person.password).await.expect(401);
});

both!(a_password_that_is_sent_is_checked, async |app| {
    let user = enrolled(app, ADA).await;
    let mut person = user.person.clone();
    let wrong = json!({ "password": "not the password", "newPassword": NEW_PASSWORD });
    let answer = person.as_user().post_json("/api/change-password", wrong).await;
    answer.expect_problem(401, "invalid-credentials");
    let wrong = json!({ "password": "not the password", "email": "new@example.com" });
    let answer = person.as_user().post_json("/api/change-email", wrong).await;
    answer.expect_problem(401, "invalid-credentials");
    app.no_mail_to(ADA).await;
    person.change_password(NEW_PASSWORD).await.expect(200);
});

both!(
    an_account_without_factors_sends_its_password_as_before,
    ["tokens.user_ttl" = "1h"],
    async |app| {
        let mut person = app.verified(ADA).await;
        app.clock.advance(Duration::from_mins(30));
        for (method, path, rest) in [
            (Method::POST, "/api/change-password", json!({ "newPassword": NEW_PASSWORD })),
            (Method::POST, "/api/change-email", json!({ "email": "new@example.com" })),
            (Method::DELETE, "/api/me", json!({})),
        ] {
            let answer = person.as_user().json(method, path, rest).await;
            let required = [("/password".to_owned(), "required".to_owned())];
            assert_eq!(broken_rules(&answer), required, "{path}");
        }
        person.as_user().delete("/api/me").await.expect(422);
        person.change_password(NEW_PASSWORD).await.expect(200);
        person.leave().await.expect(204);
    }
);

both!(
    a_key_and_the_end_of_a_team_need_any_fresh_proof_of_an_account_without_factors,
    ["tokens.user_ttl" = "1h"],
    async |app| {
        // The session was opened by a mailed link, which is a proof.
        let mut person = app.verified(ADA).await;
        let team = person.make_team("Gone").await["id"].as_str().expect("an id").to_owned();
        person.make_key(&["vault:read"]).await;
        app.clock.advance(Duration::from_secs(901));
        let body = json!({ "name": "a program", "scopes": ["vault:read"] });
        let answer = person.as_user().post_json(&person.keys(), body.clone()).await;
        needs_step_up(&answer, "aal1", 900, &["password"]);
        let path = format!("/api/teams/{team}");
        let gone = json!({ "name": "Gone" });
        let answer = person.as_user().json(Method::DELETE, &path, gone.clone()).await;
        needs_step_up(&answer, "aal1", 900, &["password"]);
        person.step_up_password().await.expect(200);
        person.as_user().post_json(&person.keys(), body).await.expect(200);
        person.as_user().json(Method::DELETE, &path, gone).await.expect(204);
    }
);

both!(the_first_factor_needs_a_fresh_password, ["tokens.user_ttl" = "1h"], async |app| {
    let mut person = app.verified(ADA).await;
    person.login().await.expect(200);
    app.clock.advance(Duration::from_mins(15));
    person.begin_totp("Phone").await;
    app.clock.advance(Duration::from_secs(1));
    needs_step_up(&person.add_totp("Phone").await, "aal1", 900, &["password"]);
    person.step_up_password().await.expect(200);
    let (id, authenticator) = person.begin_totp("Phone").await;
    // The proof is asked for when the user begins, and not again with the code.
    app.clock.advance(Duration::from_mins(9));
    person.confirm(&id, &authenticator.code_at(app, 0)).await.expect(200);
    app.clock.advance(Duration::from_mins(16));
    person.rename_factor(&id, "Blue phone").await.expect(200);
    assert_eq!(claims(&person.user_token)["acr"], "aal2");
});

both!(
    a_code_is_no_fresh_password_after_the_last_factor_was_removed,
    ["tokens.user_ttl" = "1h"],
    async |app| {
        let user = enrolled(app, ADA).await;
        let mut person = user.person.clone();
        app.clock.advance(Duration::from_mins(20));
        person.step_up_totp(&user.authenticator.next(app)).await.expect(200);
        person.as_user().delete(&format!("/api/me/factors/{}", user.id)).await.expect(204);
        needs_step_up(&person.add_totp("Phone").await, "aal1", 900, &["password"]);
        person.step_up_password().await.expect(200);
        person.begin_totp("Phone").await;
    }
);

both!(
    another_members_rights_are_asked_for_before_the_proof,
    ["tokens.user_ttl" = "1h"],
    async |app| {
        let user = enrolled(app, ADA).await;
        let other = app.verified("bob@example.org").await;
        app.clock.advance(Duration::from_mins(16));
        let path = format!("/api/teams/{}", claim(&other, "tid"));
        let gone = json!({ "name": "Gone" });
        let answer = user.person.as_user().json(Method::DELETE, &path, gone).await;
        answer.expect_problem(404, "not-found");
    }
);
