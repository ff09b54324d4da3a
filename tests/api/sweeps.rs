//! Tests of data that the daemon deletes by itself, because nobody needs it any more.

use std::collections::BTreeSet;
use std::time::Duration;

use latchkey::account::sweep_email_changes;
use latchkey::session::sweep_ended;
use latchkey_entity::email_change::{self, EmailChangeState};
use latchkey_entity::ended_session;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, EntityTrait as _, PaginatorTrait as _, QueryFilter as _,
};
use serde_json::json;
use uuid::Uuid;

use crate::app::{Backend, TestApp, both, run};
use crate::client::Person;
use crate::people::id_of;
use crate::poll::eventually;
use crate::servers::redis_connection;

const DAY: Duration = Duration::from_hours(24);
const VERIFICATION_TTL: Duration = DAY;
const PATIENCE: Duration = Duration::from_secs(20);

async fn ended(app: &TestApp) -> u64 {
    ended_session::Entity::find().count(app.inside().db.reader()).await.expect("counted")
}

async fn changes(app: &TestApp) -> Vec<email_change::Model> {
    email_change::Entity::find().all(app.inside().db.reader()).await.expect("read")
}

both!(the_record_of_an_ended_session_is_deleted_when_no_replica_needs_it, async |mut app| {
    let person = app.verified("ada@example.org").await;
    person.logout().await.expect(204);
    assert_eq!(ended(app).await, 1);
    let db = app.inside().db.clone();
    let row = ended_session::Entity::find().one(db.reader()).await.expect("read").expect("a row");
    let left = u64::try_from(row.expires_at - app.clock.now()).expect("it ends later");
    app.clock.advance(Duration::from_millis(left) + Duration::from_mins(2));
    assert_eq!(sweep_ended(&db, app.clock.now()).await.expect("swept"), 0, "clocks differ");
    drop(db);
    // A daemon deletes such rows at its start, so that a daemon that is often restarted does too.
    app.clock.advance(Duration::from_millis(1));
    app.restart().await;
    eventually("the sweep", PATIENCE, async || (ended(app).await == 0).then_some(())).await;
});

both!(a_sweep_deletes_more_rows_than_one_statement, async |app| {
    let person = app.verified("ada@example.org").await;
    let user_id: Uuid = id_of(&person).parse().expect("a UUID");
    let row = |sid: u32, expires_at| ended_session::ActiveModel {
        sid: Set(format!("sid-{sid}")),
        user_id: Set(user_id),
        reason: Set("logout".to_owned()),
        ended_at: Set(1),
        expires_at: Set(expires_at),
    };
    let db = &app.inside().db;
    for batch in 0..5 {
        let rows = (batch * 450..(batch + 1) * 450).map(|sid| row(sid, 2));
        ended_session::Entity::insert_many(rows).exec(db.writer()).await.expect("written");
    }
    let kept = row(9_999, app.clock.now());
    ended_session::Entity::insert(kept).exec(db.writer()).await.expect("written");
    assert_eq!(sweep_ended(db, app.clock.now()).await.expect("swept"), 2_250);
    assert_eq!(ended(app).await, 1);
});

async fn change(app: &TestApp, person: &Person, from: &str, to: &str) -> String {
    let body = json!({ "password": person.password, "email": to });
    person.as_user().post_json("/api/change-email", body).await.expect(200);
    let confirmation = app.mail_to(to).await.token().to_owned();
    let undo = app.mail_to(from).await.token().to_owned();
    app.anonymous().verify(&confirmation).await.expect(200);
    undo
}

both!(a_change_of_address_is_deleted_when_it_cannot_be_undone_any_more, async |mut app| {
    let person = app.verified("ada@example.org").await;
    change(app, &person, "ada@example.org", "countess@example.com").await;
    app.clock.advance(7 * DAY + Duration::from_mins(1));
    let now = app.clock.now();
    let db = app.inside().db.clone();
    assert_eq!(sweep_email_changes(&db, VERIFICATION_TTL, now).await.expect("swept"), 0);
    app.clock.advance(DAY + Duration::from_mins(2));
    let ttl = 20 * DAY;
    let long_confirmation = sweep_email_changes(&db, ttl, app.clock.now()).await;
    assert_eq!(long_confirmation.expect("swept"), 0, "its link is valid for 20 days");
    drop(db);
    app.restart().await;
    eventually("the sweep", PATIENCE, async || changes(app).await.is_empty().then_some(())).await;
});

// The notice about the first change was mailed late, for example because the mail server was down.
both!(a_later_change_is_kept_as_long_as_an_earlier_one_can_be_undone, async |app| {
    let (first, second) = ("countess@example.com", "eve@example.com");
    let mut thief = app.verified("ada@example.org").await;
    let undo = change(app, &thief, "ada@example.org", first).await;
    app.clock.advance(DAY);
    first.clone_into(&mut thief.email);
    thief.login().await.expect(200);
    change(app, &thief, first, second).await;
    let db = &app.inside().db;
    let late = app.clock.now() + i64::try_from(12 * DAY.as_millis()).expect("days");
    email_change::Entity::update_many()
        .col_expr(email_change::Column::UndoUntil, Expr::value(late))
        .filter(email_change::Column::NewEmail.eq(first))
        .exec(db.writer())
        .await
        .expect("written");
    app.clock.advance(10 * DAY);
    let swept = sweep_email_changes(db, VERIFICATION_TTL, app.clock.now()).await;
    assert_eq!(swept.expect("swept"), 0);
    app.anonymous().post_form("/undo-email-change", &[("token", &undo)]).await.expect(200);
    app.anonymous().login("ada@example.org", &thief.password).await.expect(200);
    app.clock.advance(3 * DAY);
    let swept = sweep_email_changes(db, VERIFICATION_TTL, app.clock.now()).await;
    assert_eq!(swept.expect("swept"), 2);
});

both!(a_change_that_nobody_confirmed_is_deleted_too, async |app| {
    let person = app.verified("ada@example.org").await;
    let body = json!({ "password": person.password, "email": "countess@example.com" });
    person.as_user().post_json("/api/change-email", body).await.expect(200);
    app.mail_to("countess@example.com").await;
    app.mail_to("ada@example.org").await;
    assert_eq!(changes(app).await[0].state, EmailChangeState::Pending);
    app.clock.advance(8 * DAY + Duration::from_mins(3));
    let swept = sweep_email_changes(&app.inside().db, VERIFICATION_TTL, app.clock.now()).await;
    assert_eq!(swept.expect("swept"), 1);
});

#[tokio::test(flavor = "multi_thread")]
async fn every_key_in_redis_expires_on_servers() {
    let settings = [("rate_limit.enabled", "true")];
    run(Backend::Servers, &settings, async |app| {
        let mut person = app.verified("ada@example.org").await;
        person.login().await.expect(200);
        person.refresh().await.expect(200);
        app.anonymous().login("ada@example.org", "a wrong password").await.expect(401);
        app.anonymous().login("nobody@example.org", "a wrong password").await.expect(401);
        app.anonymous().post_json("/api/forgot-password", json!({ "email": person.email })).await;
        app.mail_to(&person.email).await;
        change(app, &person, "ada@example.org", "countess@example.com").await;
        let url = app.inside().config.redis.url.as_ref().expect("a URL").expose().clone();
        let mut redis = redis_connection(&url).await.expect("connected");
        let keys: Vec<String> =
            redis::cmd("KEYS").arg("*").query_async(&mut redis).await.expect("listed");
        assert!(keys.len() > 5, "{keys:?}");
        for key in keys {
            let left: i64 =
                redis::cmd("PTTL").arg(&key).query_async(&mut redis).await.expect("read");
            assert_ne!(left, -1, "{key} never expires");
        }
    })
    .await;
}

/// Collects the names of the tables in the baseline of the schema.
fn tables() -> BTreeSet<String> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/migration/src/baseline");
    let mut names = BTreeSet::new();
    for file in std::fs::read_dir(directory).expect("the baseline").flatten() {
        let text = std::fs::read_to_string(file.path()).expect("source");
        for after in text.split("\"CREATE TABLE ").skip(1) {
            names.insert(after.split(' ').next().unwrap_or_default().to_owned());
        }
    }
    names
}

#[test]
fn the_documentation_says_for_each_table_what_deletes_its_rows() {
    let page = include_str!("../../docs/operate.md");
    let (_, section) = page.split_once("## What is deleted, and when\n").expect("the section");
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    let documented: BTreeSet<String> = rows
        .flat_map(|row| row.split(" | ").next().unwrap_or_default().split(", "))
        .map(|name| name.trim_matches('`').to_owned())
        .collect();
    assert_eq!(documented, tables());
}
