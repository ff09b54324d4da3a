//! Tests of the audit events that users see about themselves. They also check that the audit
//! contains no personal data of a deleted user.

use std::time::Duration;

use latchkey::audit::{Action, Actor, Detail, Event, Outcome, RequestOrigin, erase, record, sweep};
use latchkey_entity::{audit_identity, audit_stream, user};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, EntityTrait as _, QueryFilter as _, QuerySelect as _,
    Statement,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{is_sound, rows};
use crate::app::{Backend, TestApp, both, run};
use crate::client::Person;
use crate::poll::eventually;

async fn id_of(person: &Person) -> Uuid {
    person.me().await.expect(200).json()["id"].as_str().expect("an id").parse().expect("a uuid")
}

async fn page(person: &Person, query: &str) -> (Vec<Value>, Value) {
    let list = person.as_user().get(&format!("/api/me/events{query}")).await.expect(200).json();
    (list["items"].as_array().expect("a list").clone(), list["next"].clone())
}

/// Returns everything that the audit tables contain, as text.
async fn dump(app: &TestApp) -> String {
    let db = app.inside().db.reader();
    let identities = audit_identity::Entity::find().all(db).await.expect("identities");
    let streams = audit_stream::Entity::find().all(db).await.expect("streams");
    format!("{:?} {identities:?} {streams:?}", rows(app).await)
}

/// Records that an admin removed a member from a team.
async fn removes(app: &TestApp, admin: Uuid, member: Uuid, team: Uuid) {
    let event = Event {
        action: Action::MemberRemoved,
        outcome: Outcome::Success,
        actor: Actor::Person(admin),
        subject: Some(member),
        team: Some(team),
        detail: Detail::none().word("role", "member"),
        origin: &RequestOrigin {
            ip: "198.51.100.77".to_owned(),
            user_agent: "Admins/1".to_owned(),
            traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(),
            ..RequestOrigin::none()
        },
    };
    let tx = app.inside().db.begin().await.expect("a transaction");
    record(&tx, &app.inside().audit, &event, app.clock.now()).await.expect("written");
    tx.commit().await.expect("an end");
}

both!(people_see_their_own_events_page_by_page, async |app| {
    let mut person = app.verified("ada@example.org").await;
    let other = app.verified("eve@example.org").await;
    person.login().await.expect(200);
    let (all, next) = page(&person, "").await;
    assert_eq!(next, Value::Null);
    let actions: Vec<&str> = all.iter().filter_map(|item| item["action"].as_str()).collect();
    assert_eq!(actions.iter().filter(|it| **it == "session.login").count(), 3);
    for action in ["account.registered", "account.email-verified", "team.created"] {
        assert!(actions.contains(&action), "{actions:?}");
    }
    assert!(all.iter().all(|item| item["ip"] == "127.0.0.1" && item["outcome"] == "success"));
    assert!(all[0]["at"].as_str().is_some_and(|at| at.ends_with('Z')));
    let (mut seen, mut query) = (Vec::new(), "?limit=2".to_owned());
    loop {
        let (items, next) = page(&person, &query).await;
        assert!(!items.is_empty() && items.len() <= 2);
        seen.extend(items);
        let Some(next) = next.as_str() else { break };
        query = format!("?limit=2&cursor={next}");
    }
    assert_eq!(seen, all, "every event once, in the same order");
    let (theirs, _) = page(&other, "").await;
    assert!(theirs.iter().all(|item| !all.contains(item)));
    for bad in ["?limit=0", "?limit=101", "?limit=x", "?cursor=x"] {
        let answer = person.as_user().get(&format!("/api/me/events{bad}")).await;
        answer.expect_problem(422, "validation-failed");
    }
    app.anonymous().0.get("/api/me/events").await.expect_problem(401, "invalid-token");
});

both!(whoever_was_acted_on_does_not_see_from_where, async |app| {
    let (admin, member) =
        (app.verified("ada@example.org").await, app.verified("eve@example.org").await);
    let team = Uuid::from_u128(7);
    removes(app, id_of(&admin).await, id_of(&member).await, team).await;
    let (items, _) = page(&member, "").await;
    let removed = items.iter().find(|item| item["action"] == "member.removed").expect("it is seen");
    assert_eq!((&removed["ip"], &removed["userAgent"]), (&Value::Null, &Value::Null));
    let (items, _) = page(&admin, "").await;
    let removed = items.iter().find(|item| item["action"] == "member.removed").expect("it is seen");
    assert_eq!(removed["ip"], "198.51.100.77");
});

both!(a_deleted_person_leaves_no_byte_and_the_chain_holds, async |app| {
    let (admin, member) =
        (app.verified("ada@example.org").await, app.verified("eve@example.org").await);
    let (admin_id, member_id) = (id_of(&admin).await, id_of(&member).await);
    removes(app, admin_id, member_id, Uuid::from_u128(7)).await;
    let with_all = dump(app).await;
    for byte in [admin_id.to_string(), member_id.to_string(), "eve@example.org".to_owned()] {
        assert!(with_all.contains(&byte), "the test looks for what is there");
    }
    let count = rows(app).await.len();
    member.leave().await.expect(204);
    let left = dump(app).await;
    assert!(!left.contains(&member_id.to_string()) && !left.contains("eve@example"), "{left}");
    assert!(left.contains(&admin_id.to_string()), "the other one's side stays");
    is_sound(app).await;
    let body = json!({ "password": admin.password });
    admin.as_user().json(hyper::Method::DELETE, "/api/me", body).await.expect(204);
    let left = dump(app).await;
    for byte in [&admin_id.to_string(), "ada@example", "127.0.0.1", "198.51.100.77", "Admins/1"] {
        assert!(!left.contains(byte), "{byte}: {left}");
    }
    assert!(rows(app).await.len() >= count + 4, "the events stay");
    is_sound(app).await;
});

/// Waits until this many sessions of the PostgreSQL database wait for a lock.
async fn waits_for_locks(app: &TestApp, sessions: usize) {
    let waiting = "SELECT pid FROM pg_stat_activity \
                   WHERE datname = current_database() AND wait_event_type = 'Lock'";
    eventually("sessions that wait for a lock", Duration::from_secs(10), async || {
        let db = &app.inside().db;
        let statement = Statement::from_string(db.backend(), waiting);
        let found = db.reader().query_all_raw(statement).await.expect("read");
        (found.len() == sessions).then_some(())
    })
    .await;
}

/// Retention deletes identities while the deletion of their account waits for the same stream.
async fn a_deletion_beside_retention_leaves_a_sound_audit(app: &TestApp) {
    let (admin, member) =
        (app.verified("ada@example.org").await, app.verified("eve@example.org").await);
    let (admin_id, member_id, team) =
        (id_of(&admin).await, id_of(&member).await, Uuid::from_u128(7));
    removes(app, admin_id, member_id, team).await;
    app.clock.advance(Duration::from_hours(1));
    let before = app.clock.now();
    removes(app, admin_id, member_id, team).await;
    let (db, chain) = (&app.inside().db, &app.inside().audit);
    let lock = db.begin().await.expect("a transaction");
    let of_team = audit_stream::Column::TeamId.eq(team);
    let locked = audit_stream::Entity::find().filter(of_team).lock_exclusive().one(&lock).await;
    assert!(locked.expect("read").is_some());
    let retention = async {
        sweep(db, chain, before).await.expect("swept");
    };
    let deletion = async {
        waits_for_locks(app, 1).await;
        let tx = db.begin().await.expect("a transaction");
        let user = user::Entity::find_by_id(member_id).lock_exclusive().one(&tx).await;
        assert!(user.expect("read").is_some());
        erase(&tx, chain, &[member_id]).await.expect("erased");
        user::Entity::delete_by_id(member_id).exec(&tx).await.expect("deleted");
        tx.commit().await.expect("an end");
    };
    let release = async {
        waits_for_locks(app, 2).await;
        lock.commit().await.expect("an end");
    };
    tokio::join!(retention, deletion, release);
    is_sound(app).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_beside_retention_leaves_a_sound_audit_on_servers() {
    run(Backend::Servers, &[], a_deletion_beside_retention_leaves_a_sound_audit).await;
}

both!(a_rejected_account_leaves_its_events_alone, async |app| {
    app.register("ada@example.org").await;
    let mail = app.mail_to("ada@example.org").await;
    let fields = [("token", mail.token()), ("action", "reject")];
    app.anonymous().0.post_form("/verify-email", &fields).await.expect(200);
    let actions: Vec<String> = rows(app).await.into_iter().map(|row| row.action).collect();
    assert_eq!(actions, ["account.registered", "session.login", "account.rejected"]);
    let left = dump(app).await;
    assert!(!left.contains("ada@example") && !left.contains("127.0.0.1"), "{left}");
    is_sound(app).await;
});
