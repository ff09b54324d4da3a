//! Tests of refused passwords. The audit records one refusal for each account, client IP address
//! and hour, whatever the reason of the refusal is.

use std::time::Duration;

use hyper::Method;
use latchkey_entity::{audit_event, audit_identity};
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{is_sound, rows, stream_of};
use crate::app::{TestApp, both};
use crate::ask::{at_once, count, sql};
use crate::client::Person;
use crate::poll::eventually;

const PATIENCE: Duration = Duration::from_secs(10);

async fn id_of(person: &Person) -> Uuid {
    person.me().await.expect(200).json()["id"].as_str().expect("an id").parse().expect("a uuid")
}

/// Returns the refusals in the stream of a user.
async fn refusals(app: &TestApp, user_id: Uuid) -> Vec<audit_event::Model> {
    let mine = stream_of(app, user_id).await.id;
    let is_refusal = |row: &audit_event::Model| row.stream_id == mine && row.outcome == "refused";
    rows(app).await.into_iter().filter(is_refusal).collect()
}

/// Waits until the stream of a user has `many` refusals, and returns them.
async fn refused(app: &TestApp, user_id: Uuid, many: usize) -> Vec<audit_event::Model> {
    eventually("the rows", PATIENCE, async || {
        let found = refusals(app, user_id).await;
        (found.len() >= many).then_some(found)
    })
    .await
}

both!(refused_logins_make_one_row_an_account_source_and_hour, async |app| {
    let person = app.verified("ada@example.org").await;
    let user_id = id_of(&person).await;
    let refused = async || {
        let mine = stream_of(app, user_id).await.id;
        let is_refusal =
            |row: &audit_event::Model| row.stream_id == mine && row.outcome == "refused";
        rows(app).await.iter().filter(|row| is_refusal(row)).count()
    };
    let before = rows(app).await.len();
    for _ in 0..40 {
        let answers = at_once(25, async |turn| {
            let who = if turn % 5 == 0 { "nobody@example.org" } else { "ada@example.org" };
            app.anonymous().login(who, "a wrong password").await
        });
        let answers = answers.await;
        assert_eq!(count(&answers, 401) + count(&answers, 503), 25);
    }
    eventually("the row", PATIENCE, async || (refused().await == 1).then_some(())).await;
    app.clock.advance(Duration::from_hours(1));
    app.anonymous().login("ada@example.org", "a wrong password").await.expect(401);
    eventually("the next hour's", PATIENCE, async || (refused().await == 2).then_some(())).await;
    assert_eq!(rows(app).await.len(), before + 2);
    is_sound(app).await;
});

both!(a_disabled_account_makes_no_second_row_for_another_reason, async |app| {
    let person = app.verified("ada@example.org").await;
    let user_id = id_of(&person).await;
    app.anonymous().login("ada@example.org", "a wrong password").await.expect(401);
    refused(app, user_id, 1).await;
    sql(app, "UPDATE users SET status = 'disabled'").await;
    let right = app.anonymous().login("ada@example.org", &person.password).await;
    right.expect_problem(403, "account-disabled");
    app.clock.advance(Duration::from_hours(1));
    let right = app.anonymous().login("ada@example.org", &person.password).await;
    right.expect_problem(403, "account-disabled");
    app.anonymous().login("ada@example.org", "a wrong password").await.expect(401);
    let found = refused(app, user_id, 2).await;
    let reasons: Vec<&str> = found.iter().map(|row| row.detail.as_str()).collect();
    assert_eq!(reasons, [r#"{"reason":"password"}"#, r#"{"reason":"disabled"}"#]);
    is_sound(app).await;
});

both!(a_wrong_password_at_a_change_is_recorded, async |app| {
    let mut person = app.verified("ada@example.org").await;
    let user_id = id_of(&person).await;
    let wrong = "a wrong password";
    let change = json!({ "password": wrong, "newPassword": "another good password" });
    let email = json!({ "password": wrong, "email": "ada@example.com" });
    for (at, method, path, body) in [
        ("change-password", Method::POST, "/api/change-password", change),
        ("change-email", Method::POST, "/api/change-email", email),
        ("delete-account", Method::DELETE, "/api/me", json!({ "password": wrong })),
    ] {
        let before = refusals(app, user_id).await.len();
        for _ in 0..3 {
            let answer = person.as_user().json(method.clone(), path, body.clone()).await;
            answer.expect_problem(401, "invalid-credentials");
        }
        let row = refused(app, user_id, before + 1).await.pop().expect("a row");
        let detail: Value = serde_json::from_str(&row.detail).expect("an object");
        assert_eq!((row.action.as_str(), row.actor_kind.as_str()), ("password.refused", "person"));
        assert_eq!(detail, json!({ "reason": "password", "at": at }));
        let whose = audit_identity::Entity::find()
            .filter(audit_identity::Column::EventId.eq(row.id))
            .one(app.inside().db.reader())
            .await
            .expect("read");
        assert_eq!(whose.and_then(|it| it.person_id), Some(user_id));
        app.clock.advance(Duration::from_hours(1));
        person.refresh().await.expect(200);
    }
    assert_eq!(refusals(app, user_id).await.len(), 3, "once an hour");
    let events = person.as_user().get("/api/me/events").await.expect(200).text();
    assert!(events.contains("password.refused"), "the person sees it: {events}");
    // The refused deletion of the account and a refused login in the same hour have one row each.
    person
        .as_user()
        .json(Method::DELETE, "/api/me", json!({ "password": wrong }))
        .await
        .expect(401);
    app.anonymous().login("ada@example.org", wrong).await.expect(401);
    refused(app, user_id, 5).await;
    is_sound(app).await;
});
