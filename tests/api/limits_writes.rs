//! Tests of the budget for the writes of a logged-in user, and of the audit events that the writes
//! cause.

use std::time::Duration;

use hyper::Method;
use latchkey::database::tenant_scope::{self, TenantScope};
use sea_orm::{ConnectionTrait as _, Statement};
use serde_json::json;

use crate::app::{TestApp, both};
use crate::client::Person;
use crate::limits_attempts::retry_after;

/// Returns the number of events in the audit.
async fn events(app: &TestApp) -> i64 {
    let db = &app.inside().db;
    let tx = tenant_scope::begin(db, TenantScope::Operator).await.expect("a transaction");
    let count = Statement::from_string(db.backend(), "SELECT count(*) AS n FROM audit_events");
    let row = tx.query_one_raw(count).await.expect("counted").expect("a row");
    tx.commit().await.expect("committed");
    row.try_get("", "n").expect("a number")
}

async fn patch(person: &Person, path: &str, body: serde_json::Value) -> u16 {
    person.as_user().json(Method::PATCH, path, body).await.status
}

/// Returns the path of the user's team and the path of the user's project.
async fn team_of(person: &Person) -> (String, String) {
    let me = person.me().await.expect(200).json();
    let id = |of: &str| me[of]["id"].as_str().expect("an id").to_owned();
    let team = format!("/api/teams/{}", id("team"));
    let project = format!("{team}/projects/{}", id("project"));
    (team, project)
}

both!(a_write_that_changes_nothing_is_not_audited, async |app| {
    let person = app.verified("ada@example.org").await;
    let (team, project) = team_of(&person).await;
    let name = |value: &str| json!({ "name": value });
    for path in ["/api/me", &team, &project] {
        assert_eq!(patch(&person, path, name("Another name")).await, 200, "{path}");
    }
    let slug = json!({ "slug": "another-slug" });
    assert_eq!(patch(&person, &team, slug.clone()).await, 200);
    person.as_user().delete("/api/sessions").await.expect(204);
    let before = events(app).await;
    for path in ["/api/me", &team, &project] {
        assert_eq!(patch(&person, path, name("Another name")).await, 200, "{path}");
    }
    assert_eq!(patch(&person, &team, slug).await, 200);
    assert_eq!(patch(&person, &team, json!({})).await, 200);
    let role = json!({ "role": "owner" });
    let own = format!("{team}/members/{}", person.me().await.json()["id"].as_str().expect("an id"));
    assert_eq!(patch(&person, &own, role).await, 200);
    // The user has no other session, so this request ends no session.
    person.as_user().delete("/api/sessions").await.expect(204);
    person.me().await.expect(200);
    assert_eq!(events(app).await, before);
    let _other = person.another_device().await;
    let before = events(app).await;
    person.as_user().delete("/api/sessions").await.expect(204);
    assert_eq!(events(app).await, before + 1);
});

both!(
    an_account_has_its_writes_an_hour_on_all_its_sessions_together,
    ["rate_limit.enabled" = "true", "rate_limit.account_writes" = "6"],
    async |app| {
        let person = app.verified("ada@example.org").await;
        let other = person.another_device().await;
        let (team, project) = team_of(&person).await;
        let write = async |n: usize| {
            let who = if n.is_multiple_of(2) { &person } else { &other };
            let body = json!({ "name": format!("Name {n}") });
            match n % 3 {
                0 => who.as_user().json(Method::PATCH, "/api/me", body).await,
                1 => who.as_user().json(Method::PATCH, &team, body).await,
                _ => who.as_user().json(Method::PATCH, &project, body).await,
            }
        };
        for n in 0..6 {
            write(n).await.expect(200);
        }
        for n in 6..9 {
            assert_eq!(retry_after(&write(n).await), 600);
        }
        // A client that has only the vaultToken uses up nothing of the account's budget, however
        // often it revokes the token.
        let revoke = [("token", person.vault_token.as_str())];
        for _ in 0..130 {
            app.anonymous().post_form("/api/revoke", &revoke).await.expect(200);
        }
        assert_eq!(retry_after(&person.as_user().delete("/api/sessions").await), 600);
        // Reads are still served. Writes that have their own budget, and writes that must always
        // work, are served too.
        person.me().await.expect(200);
        let body = json!({ "password": person.password, "newPassword": "a quite new password" });
        person.as_user().post_json("/api/change-password", body).await.expect(200);
        app.mail_to(&person.email).await;
        app.clock.advance(Duration::from_mins(10));
        assert_eq!(patch(&person, "/api/me", json!({ "name": "Ada" })).await, 200);
        person.logout().await.expect(204);
    }
);
