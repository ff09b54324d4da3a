//! Tests of `GET`, `PATCH` and `DELETE /api/me`.

use hyper::Method;
use serde_json::{Value, json};

use crate::app::both;
use crate::ask::{broken_rules, sql};
use crate::client::{Answer, Person, claims};

async fn rename(person: &Person, name: Value) -> Answer {
    person.as_user().json(Method::PATCH, "/api/me", json!({ "name": name })).await
}

both!(me_before_and_after_verification, async |app| {
    let mut person = app.register("Ada@example.org").await;
    let me = person.me().await.expect(200).json();
    let id = me["id"].as_str().expect("an id").to_owned();
    assert_eq!(id.len(), 36);
    assert_eq!(id.as_bytes()[14], b'7', "a UUID of version 7");
    assert_eq!(claims(&person.user_token)["sub"], id.as_str());
    assert!(me["createdAt"].as_str().is_some_and(|time| time.ends_with('Z') && time.len() == 24));
    let expected = json!({
        "id": id, "email": "Ada@example.org", "emailVerified": false, "name": "Ada Lovelace",
        "createdAt": me["createdAt"], "team": null, "project": null,
    });
    assert_eq!(me, expected);
    let token = app.mail_to("Ada@example.org").await.token().to_owned();
    person.verify(&token).await.expect(200);
    let me = person.me().await.expect(200).json();
    let names =
        |value: &Value| value.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&me["team"]), ["id", "name", "role"]);
    assert_eq!(names(&me["project"]), ["id", "name"]);
});

both!(a_new_name_is_shown_and_in_the_next_tokens, async |app| {
    let mut person = app.verified("ada@example.org").await;
    let before = person.me().await.json();
    let answer = rename(&person, json!("  Countess of Ada ")).await.expect(200).json();
    let mut expected = before;
    expected["name"] = json!("Countess of Ada");
    assert_eq!(answer, expected);
    assert_eq!(person.me().await.json(), expected);
    person.refresh().await.expect(200);
    assert_eq!(claims(&person.user_token)["name"], "Countess of Ada");
});

both!(a_bad_name_changes_nothing, async |app| {
    let person = app.verified("ada@example.org").await;
    for (name, code) in [
        (json!(""), "too-short"),
        (json!("x".repeat(101)), "too-long"),
        (json!("a\u{202e}b"), "forbidden-character"),
        (json!(1), "type"),
    ] {
        let answer = rename(&person, name).await;
        assert_eq!(broken_rules(&answer), [("/name".to_owned(), code.to_owned())]);
    }
    let body = json!({ "email": "eve@example.org", "emailVerified": true });
    let answer = person.as_user().json(Method::PATCH, "/api/me", body).await;
    assert_eq!(broken_rules(&answer), [("/name".to_owned(), "required".to_owned())]);
    assert_eq!(person.me().await.json()["name"], "Ada Lovelace");
});

both!(whoever_leaves_is_gone_at_once, async |app| {
    let person = app.verified("ada@example.org").await;
    let other = person.another_device().await;
    let kept = app.verified("eve@example.org").await;
    app.anonymous().forgot("ada@example.org").await.expect(200);
    let recovery = app.mail_to("ada@example.org").await.token().to_owned();
    person.leave().await.expect(204);
    for gone in [&person, &other] {
        gone.me().await.expect_problem(401, "invalid-token");
        gone.as_user().get("/api/refresh").await.expect_problem(401, "invalid-token");
    }
    let anonymous = app.anonymous();
    anonymous
        .login("ada@example.org", &person.password)
        .await
        .expect_problem(401, "invalid-credentials");
    anonymous.reset(&recovery, "a quite new password").await.expect_problem(400, "token-invalid");
    assert_eq!(anonymous.exists("ada@example.org").await.json(), json!(false));
    let again = app.verified("ada@example.org").await;
    assert_ne!(claims(&again.user_token)["sub"], claims(&person.user_token)["sub"]);
    kept.me().await.expect(200);
});

both!(an_unverified_person_may_leave_too, async |app| {
    let person = app.register("ada@example.org").await;
    let token = app.mail_to("ada@example.org").await.token().to_owned();
    person.leave().await.expect(204);
    app.anonymous().verify(&token).await.expect_problem(400, "token-invalid");
});

both!(leaving_needs_the_password, async |app| {
    let mut person = app.verified("ada@example.org").await;
    "not the password".clone_into(&mut person.password);
    person.leave().await.expect_problem(401, "invalid-credentials");
    let empty = person.as_user().json(Method::DELETE, "/api/me", json!({})).await;
    assert_eq!(broken_rules(&empty), [("/password".to_owned(), "required".to_owned())]);
    let bare = person.as_user().delete("/api/me").await;
    assert_eq!(broken_rules(&bare), [("/password".to_owned(), "required".to_owned())]);
    person.me().await.expect(200);
});

both!(a_team_with_others_is_not_left_without_an_owner, async |app| {
    let person = app.verified("ada@example.org").await;
    let other = app.verified("eve@example.org").await;
    let join = "INSERT INTO memberships (id, team_id, user_id, role, epoch, created_at) \
         SELECT u.id, m.team_id, u.id, 'member', 0, 0 FROM users u, memberships m, users o \
         WHERE u.email_normal = 'eve@example.org' AND o.email_normal = 'ada@example.org' AND m.user_id = o.id";
    sql(app, join).await;
    let answer = person.leave().await.expect_problem(409, "conflict").json();
    let detail = answer["detail"].as_str().expect("a detail");
    assert!(detail.contains("Ada Lovelace's team"), "{detail}");
    person.me().await.expect(200);
    let teams = other.as_user().get("/api/teams").await.expect(200).json();
    assert_eq!(teams["items"].as_array().map(Vec::len), Some(2), "{teams}");
    other.leave().await.expect(204);
    person.leave().await.expect(204);
});
