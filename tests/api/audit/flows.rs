//! Tests that each flow stores its change together with the audit event for it, and that the hash
//! chain is valid after each flow.

use hyper::Method;
use latchkey::audit::{Action, Actor, Detail, Event, Outcome, RequestOrigin, record};
use latchkey_entity::audit_stream;
use sea_orm::EntityTrait as _;
use serde_json::json;
use uuid::Uuid;

use super::{actions, findings, is_sound, rows, stream_of};
use crate::app::both;
use crate::ask::{at_once, count, sql};

async fn id_of(person: &crate::client::Person) -> Uuid {
    person.me().await.expect(200).json()["id"].as_str().expect("an id").parse().expect("a uuid")
}

both!(every_flow_is_recorded_and_the_chain_holds, async |app| {
    let mut person = app.register("ada@example.org").await;
    let user_id = id_of(&person).await;
    let mut expected = vec!["account.registered", "session.login"];
    let mail = app.mail_to("ada@example.org").await;
    person.verify(mail.token()).await.expect(200);
    expected.extend(["account.email-verified", "session.login"]);
    assert_eq!(actions(app, user_id).await, expected);
    is_sound(app).await;

    person.login().await.expect(200);
    person.as_user().json(Method::PATCH, "/api/me", json!({ "name": "Ada L" })).await.expect(200);
    person.change_password("another good password").await.expect(200);
    "another good password".clone_into(&mut person.password);
    expected.extend(["session.login", "account.renamed", "password.changed"]);
    assert_eq!(actions(app, user_id).await, expected);
    is_sound(app).await;

    app.mail_to("ada@example.org").await;
    app.anonymous().forgot("ada@example.org").await.expect(200);
    let mail = app.mail_to("ada@example.org").await;
    app.anonymous().reset(mail.token(), "yet another password").await.expect(200);
    "yet another password".clone_into(&mut person.password);
    person.login().await.expect(200);
    expected.extend(["password.recovery-asked", "password.reset", "session.login"]);
    assert_eq!(actions(app, user_id).await, expected);

    let other = person.another_device().await;
    other.logout().await.expect(204);
    let _third = person.another_device().await;
    person.as_user().delete("/api/sessions").await.expect(204);
    let change = json!({ "password": person.password, "email": "ada@example.com" });
    person.as_user().post_json("/api/change-email", change).await.expect(200);
    let mail = app.mail_to("ada@example.com").await;
    app.anonymous().verify(mail.token()).await.expect(200);
    expected.extend(["session.login", "session.logout", "session.login"]);
    expected.push("session.others-revoked");
    expected.extend(["email.change-asked", "email.changed", "session.login"]);
    assert_eq!(actions(app, user_id).await, expected);
    is_sound(app).await;

    let teams: Vec<String> = rows(app)
        .await
        .into_iter()
        .map(|row| row.action)
        .filter(|it| !expected.contains(&it.as_str()))
        .collect();
    assert_eq!(teams, ["team.created", "project.created"]);
});

both!(a_reused_token_is_recorded, async |app| {
    let mut person = app.verified("ada@example.org").await;
    let user_id = id_of(&person).await;
    let older = person.clone();
    person.refresh().await.expect(200);
    app.clock.advance(std::time::Duration::from_secs(31));
    person.refresh().await.expect(200);
    older.as_user().get("/api/refresh").await.expect_problem(401, "refresh-reused");
    older.as_user().get("/api/refresh").await;
    let reused = async || actions(app, user_id).await.last().cloned();
    assert_eq!(reused().await.as_deref(), Some("session.reuse-detected"));
    let of_it = actions(app, user_id).await.iter().filter(|it| it.contains("reuse")).count();
    assert_eq!(of_it, 1, "refreshes are counted, not audited, and a reuse is told once");
    app.mail_to("ada@example.org").await;
    is_sound(app).await;
});

both!(a_login_that_cannot_be_written_down_gives_no_tokens, async |app| {
    let mut person = app.verified("ada@example.org").await;
    let before = person.sessions().await.expect(200).json()["items"].as_array().map(Vec::len);
    sql(app, "ALTER TABLE audit_events RENAME TO audit_events_away").await;
    person.login().await.expect_problem(503, "dependency-unavailable");
    let name = json!({ "name": "Eve" });
    let renamed = person.as_user().json(Method::PATCH, "/api/me", name).await;
    renamed.expect_problem(503, "dependency-unavailable");
    let metrics = app.admin().get("/metrics").await.text();
    let counted = metrics.lines().find(|it| it.starts_with("latchkey_audit_write_failures_total"));
    assert!(counted.is_some_and(|it| it.ends_with(" 2")), "{counted:?}");
    sql(app, "ALTER TABLE audit_events_away RENAME TO audit_events").await;
    let after = person.sessions().await.expect(200).json()["items"].as_array().map(Vec::len);
    assert_eq!(after, before, "the session that was not written down is ended");
    assert_ne!(person.me().await.json()["name"], "Eve");
    person.login().await.expect(200);
    is_sound(app).await;
});

both!(parallel_events_of_one_stream_have_no_gap, async |app| {
    let person = app.verified("ada@example.org").await;
    let user_id = id_of(&person).await;
    let before = stream_of(app, user_id).await.head_seq;
    let client = person.as_user();
    let answers = at_once(32, async |turn| {
        client.json(Method::PATCH, "/api/me", json!({ "name": format!("Ada {turn}") })).await
    })
    .await;
    // On a loaded machine a request sometimes waits too long for the lock of a row. Then it gets a
    // 503, and the chain has no gap.
    let done = count(&answers, 200);
    assert!(done >= 1 && done + count(&answers, 503) == 32, "{answers:?}");
    let stream = stream_of(app, user_id).await;
    let written = usize::try_from(stream.head_seq - before).expect("it grew");
    assert!((done..=32).contains(&written), "{done} were told, {written} written");
    let mine = rows(app).await.into_iter().filter(|row| row.stream_id == stream.id);
    let seqs: Vec<i64> = mine.map(|row| row.seq).collect();
    assert_eq!(seqs, (1..=stream.head_seq).collect::<Vec<_>>());
    is_sound(app).await;
});

both!(a_change_that_rolls_back_leaves_no_event, async |app| {
    let person = app.verified("ada@example.org").await;
    let user_id = id_of(&person).await;
    let (before, head) = (rows(app).await, stream_of(app, user_id).await);
    let inside = app.inside();
    let event = Event {
        action: Action::Renamed,
        outcome: Outcome::Success,
        actor: Actor::Person(user_id),
        subject: Some(user_id),
        team: None,
        detail: Detail::none(),
        origin: &RequestOrigin::none(),
    };
    let tx = inside.db.begin().await.expect("a transaction");
    record(&tx, &inside.audit, &event, app.clock.now()).await.expect("written");
    drop(tx);
    let tx = inside.db.begin().await.expect("a transaction");
    tx.commit().await.expect("an end");
    assert_eq!(rows(app).await, before);
    assert_eq!(stream_of(app, user_id).await, head);
    is_sound(app).await;
});

both!(what_concerns_nobody_stands_in_the_installations_stream, async |app| {
    let inside = app.inside();
    for _ in 0..2 {
        let event = Event {
            action: Action::SigningKeyRotated,
            outcome: Outcome::Success,
            actor: Actor::Operator,
            subject: None,
            team: None,
            detail: Detail::none().word("kind", "vault"),
            origin: &RequestOrigin::none(),
        };
        let tx = inside.db.begin().await.expect("a transaction");
        record(&tx, &inside.audit, &event, app.clock.now()).await.expect("written");
        tx.commit().await.expect("an end");
    }
    let streams = audit_stream::Entity::find().all(inside.db.reader()).await.expect("streams");
    assert_eq!(streams.len(), 1);
    assert_eq!((streams[0].kind.as_str(), streams[0].head_seq), ("installation", 2));
    assert_eq!(findings(app).await, []);
});
