//! Tests of the logout and of the list of sessions.

use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};

use crate::app::{Backend, TestApp, both};
use crate::audit::actions;
use crate::client::Person;
use crate::people::id_of;

async fn items(person: &Person) -> Vec<Value> {
    let list = person.sessions().await.expect(200).json();
    assert_eq!(list["next"], Value::Null);
    list["items"].as_array().expect("a list").clone()
}

async fn is_dead(person: &Person) {
    person.me().await.expect_problem(401, "invalid-token");
    person.as_user().get("/api/refresh").await.expect_problem(401, "invalid-token");
}

both!(the_list_goes_on_page_by_page_also_behind_a_session_that_ended, async |app| {
    let person = app.verified("ada@example.org").await;
    for _ in 0..2 {
        app.clock.advance(Duration::from_mins(1));
        person.another_device().await;
    }
    let page = async |query: &str| {
        person.as_user().get(&format!("/api/sessions?{query}")).await.expect(200).json()
    };
    let all = items(&person).await;
    let first = page("limit=1").await;
    assert_eq!(first["items"].as_array().expect("a list"), &all[..1]);
    let cursor = first["next"].as_str().expect("there is more").to_owned();
    let newest = all[0]["sid"].as_str().expect("a name");
    person.as_user().delete(&format!("/api/sessions/{newest}")).await.expect(204);
    let rest = page(&format!("limit=100&cursor={cursor}")).await;
    assert_eq!(rest["items"].as_array().expect("a list"), &all[1..]);
    assert_eq!(rest["next"], Value::Null);
    for wrong in ["limit=0", "limit=101", "limit=x", "cursor=x", "cursor=x.y"] {
        let answer = person.as_user().get(&format!("/api/sessions?{wrong}")).await;
        answer.expect_problem(422, "validation-failed");
    }
});

both!(logging_out_ends_this_session_at_once, async |app| {
    let person = app.verified("ada@example.org").await;
    let other = person.another_device().await;
    let answer = person.logout().await.expect(204);
    assert!(answer.body.is_empty());
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    is_dead(&person).await;
    person.logout().await.expect_problem(401, "invalid-token");
    other.me().await.expect(200);
    assert!(items(&other).await.iter().all(|item| item["sid"] != person.sid.as_str()));
});

both!(an_expired_token_of_a_live_session_logs_out, async |app| {
    let person = app.verified("ada@example.org").await;
    let mut refreshed = app.verified("eve@example.org").await;
    let replaced = refreshed.clone();
    refreshed.refresh().await.expect(200);
    app.clock.advance(Duration::from_hours(24));
    for expired in [&person, &replaced] {
        expired.me().await.expect_problem(401, "invalid-token");
        expired.logout().await.expect(204);
        expired.as_user().get("/api/refresh").await.expect_problem(401, "invalid-token");
        expired.logout().await.expect_problem(401, "invalid-token");
    }
    refreshed.as_user().get("/api/refresh").await.expect_problem(401, "invalid-token");
    let recorded = actions(app, id_of(&person).parse().expect("an id")).await;
    assert_eq!(recorded.last().map(String::as_str), Some("session.logout"));
    // The session itself has expired, so there is nothing to end.
    let mut idle = app.verified("kim@example.org").await;
    app.clock.advance(Duration::from_hours(15 * 24));
    idle.logout().await.expect_problem(401, "invalid-token");
    idle.login().await.expect(200);
    idle.logout().await.expect(204);
});

both!(older_tokens_of_an_ended_session_are_dead_too, async |app| {
    let older = app.verified("ada@example.org").await;
    let mut person = older.clone();
    person.refresh().await.expect(200);
    older.logout().await.expect(204);
    is_dead(&older).await;
    is_dead(&person).await;
    app.no_mail_to("ada@example.org").await;
});

both!(the_list_shows_where_one_is_logged_in, async |app| {
    let person = app.verified("ada@example.org").await;
    app.clock.advance(Duration::from_mins(1));
    let mut other = person.clone();
    let body = json!({ "email": person.email, "password": person.password });
    let phone = person.anonymous().header("user-agent", "Phone/1.0");
    other.keep(phone.post_json("/api/login", body).await.tokens());
    let items = items(&person).await;
    let find = |sid: &str| items.iter().find(|item| item["sid"] == sid).expect("it is listed");
    let (this, that) = (find(&person.sid), find(&other.sid));
    assert_eq!((&this["current"], &that["current"]), (&json!(true), &json!(false)));
    assert_eq!(this["amr"], json!(["email"]));
    assert_eq!(that["amr"], json!(["pwd"]));
    assert_eq!((&this["acr"], &that["acr"]), (&json!("aal1"), &json!("aal1")));
    assert_eq!(that["userAgent"], "Phone/1.0");
    assert_eq!(that["ip"], "127.0.0.1");
    let mut members: Vec<&str> =
        that.as_object().expect("an object").keys().map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(
        members,
        ["acr", "amr", "createdAt", "current", "expiresAt", "ip", "lastSeenAt", "sid", "userAgent"]
    );
    for time in ["createdAt", "lastSeenAt", "expiresAt"] {
        let time = that[time].as_str().expect("a time");
        assert!(time.len() == 24 && time.ends_with('Z'), "{time}");
    }
    assert!(that["createdAt"].as_str() > this["createdAt"].as_str());
    app.clock.advance(Duration::from_mins(1));
    other.refresh().await.expect(200);
    let after = self::items(&person).await;
    let seen = after.iter().find(|item| item["sid"] == other.sid.as_str()).expect("listed");
    assert!(seen["lastSeenAt"].as_str() > that["lastSeenAt"].as_str());
    assert!(seen["expiresAt"].as_str() > that["expiresAt"].as_str());
});

both!(one_session_is_ended_by_its_id, async |app| {
    let person = app.verified("ada@example.org").await;
    let other = person.another_device().await;
    let path = format!("/api/sessions/{}", other.sid);
    person.as_user().delete(&path).await.expect(204);
    is_dead(&other).await;
    person.as_user().delete(&path).await.expect_problem(404, "not-found");
    person.as_user().delete("/api/sessions/unknown").await.expect_problem(404, "not-found");
    person.as_user().delete(&format!("/api/sessions/{}", person.sid)).await.expect(204);
    is_dead(&person).await;
});

both!(nobody_ends_another_ones_session, async |app| {
    let ada = app.verified("ada@example.org").await;
    let eve = app.verified("eve@example.org").await;
    let path = format!("/api/sessions/{}", ada.sid);
    eve.as_user().delete(&path).await.expect_problem(404, "not-found");
    eve.as_user().delete("/api/sessions").await.expect(204);
    ada.me().await.expect(200);
    app.anonymous().delete(&path).await.expect_problem(401, "invalid-token");
    assert!(items(&eve).await.iter().all(|item| item["sid"] != ada.sid.as_str()));
});

both!(every_other_session_is_ended_at_once, async |app| {
    let mut person = app.verified("ada@example.org").await;
    let others = [person.another_device().await, person.another_device().await];
    person.as_user().delete("/api/sessions").await.expect(204);
    for other in &others {
        is_dead(other).await;
    }
    person.me().await.expect(200);
    assert_eq!(items(&person).await.len(), 1);
    person.refresh().await.expect(200);
    person.another_device().await.me().await.expect(200);
});

both!(a_user_token_is_needed_everywhere, async |app| {
    let person = app.verified("ada@example.org").await;
    for (method, path) in [
        (Method::POST, "/api/logout"),
        (Method::GET, "/api/sessions"),
        (Method::DELETE, "/api/sessions"),
        (Method::DELETE, "/api/sessions/x"),
        (Method::GET, "/api/me"),
        (Method::PATCH, "/api/me"),
        (Method::DELETE, "/api/me"),
        (Method::POST, "/api/change-password"),
        (Method::POST, "/api/change-email"),
        (Method::GET, "/api/teams"),
        (Method::GET, "/api/resend-email-verification"),
    ] {
        let bare = app.anonymous().bare(method.clone(), path).await;
        assert_eq!(bare.header("www-authenticate"), Some("Bearer realm=\"latchkey\""), "{path}");
        bare.expect_problem(401, "invalid-token");
        for token in [person.vault_token.as_str(), "x"] {
            let answer = app.anonymous().bearer(token).bare(method.clone(), path).await;
            let challenge = "Bearer realm=\"latchkey\", error=\"invalid_token\"";
            assert_eq!(answer.header("www-authenticate"), Some(challenge), "{path}");
            answer.expect_problem(401, "invalid-token");
        }
    }
    person.me().await.expect(200);
});

#[tokio::test(flavor = "multi_thread")]
async fn what_one_replica_ends_is_dead_on_the_other() {
    let app = TestApp::start(Backend::Servers).await;
    let replica = app.replica().await;
    let mut person = app.verified("ada@example.org").await;
    let (there, other) = (replica.anonymous(), person.another_device().await);
    let me = async |person: &Person| there.bearer(&person.user_token).get("/api/me").await;
    me(&person).await.expect(200);
    person.logout().await.expect(204);
    me(&person).await.expect_problem(401, "invalid-token");
    person.login().await.expect(200);
    let changed = there.bearer(&person.user_token);
    let body = json!({ "password": person.password, "newPassword": "a quite new password" });
    changed.post_json("/api/change-password", body).await.expect(200);
    other.me().await.expect_problem(401, "invalid-token");
    person.me().await.expect(200);
    let jwks = there.get("/.well-known/jwks.json").await.json();
    assert_eq!(app.anonymous().get("/.well-known/jwks.json").await.json(), jwks);
    replica.finish().await;
    app.finish().await;
}

/// For PostgreSQL and for the embedded token store, a text with a NUL byte is invalid. The response
/// must not look like an outage.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_an_impossible_name_is_not_there_servers() {
    use crate::servers::TestDatabase;
    let database = TestDatabase::create().await;
    let app = TestApp::builder(Backend::Embedded)
        .set("database.url", &database.url())
        .set("database.auto_migrate", "true")
        .set("secrets.master_key", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8")
        .start()
        .await;
    let person = app.verified("ada@impossible.example").await;
    for sid in ["%00", "a%00b", "..%2Fx", "%2A", "%7F", "a%0Ab", "%C3%A4"] {
        let answer = person.as_user().delete(&format!("/api/sessions/{sid}")).await;
        answer.expect_problem(404, "not-found");
    }
    app.finish().await;
}
