//! Tests that the verification finds every change that an attacker with the database password can
//! make.

use latchkey::audit::checkpoint::{self, Head};
use latchkey::audit::verify::Kind;
use latchkey_entity::{audit_event, audit_identity, audit_stream};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait as _, EntityTrait as _,
    IntoActiveModel as _, QueryFilter as _,
};
use uuid::Uuid;

use super::{findings, is_sound, kinds, rows, stream_of, without_guards};
use crate::app::{TestApp, both};
use crate::client::Person;

async fn person_and_stream(app: &TestApp) -> (Person, audit_stream::Model) {
    let mut person = app.verified("ada@example.org").await;
    person.login().await.expect(200);
    let id: Uuid = person.me().await.json()["id"].as_str().expect("an id").parse().expect("a uuid");
    let stream = stream_of(app, id).await;
    assert!(stream.head_seq >= 5, "enough rows to tamper with");
    (person, stream)
}

async fn of_stream(app: &TestApp, stream: &audit_stream::Model) -> Vec<audit_event::Model> {
    rows(app).await.into_iter().filter(|row| row.stream_id == stream.id).collect()
}

async fn put(app: &TestApp, row: &audit_event::Model) {
    row.clone()
        .into_active_model()
        .reset_all()
        .update(app.inside().db.writer())
        .await
        .expect("put");
}

async fn remove(app: &TestApp, row: &audit_event::Model) {
    let db = app.inside().db.writer();
    audit_identity::Entity::delete_many()
        .filter(audit_identity::Column::EventId.eq(row.id))
        .exec(db)
        .await
        .expect("no identity");
    audit_event::Entity::delete_by_id(row.id).exec(db).await.expect("removed");
}

both!(the_database_itself_refuses_changes, async |app| {
    person_and_stream(app).await;
    for statement in [
        "UPDATE audit_events SET action = 'x'",
        "DELETE FROM audit_events",
        "UPDATE audit_identities SET body = '{}'",
        "UPDATE audit_streams SET head_seq = head_seq - 1",
        "UPDATE audit_streams SET base_seq = head_seq; DELETE FROM audit_streams; DELETE FROM users",
        "DELETE FROM audit_streams",
    ] {
        let done = app.inside().db.writer().execute_unprepared(statement).await;
        assert!(done.is_err(), "{statement}");
    }
});

type Change = fn(&mut audit_event::Model);

both!(each_altered_column_is_found, async |app| {
    let (_, stream) = person_and_stream(app).await;
    without_guards(app).await;
    let row = of_stream(app, &stream).await[2].clone();
    let tricks: [(&str, Change); 10] = [
        ("at", |row| row.at += 1),
        ("action", |row| row.action.push('x')),
        ("outcome", |row| "refused".clone_into(&mut row.outcome)),
        ("actor_kind", |row| "operator".clone_into(&mut row.actor_kind)),
        ("trace_id", |row| row.trace_id.clear()),
        ("actor_commitment", |row| row.actor_commitment = None),
        ("subject_commitment", |row| row.subject_commitment = Some(vec![0; 32])),
        ("detail", |row| r#"{"a":1}"#.clone_into(&mut row.detail)),
        ("mac", |row| row.mac[0] ^= 1),
        ("seq", |row| row.seq += 1_000),
    ];
    for (column, change) in tricks {
        let mut changed = row.clone();
        change(&mut changed);
        put(app, &changed).await;
        let found = findings(app).await;
        assert!(!found.is_empty(), "{column} was changed and nobody noticed");
        assert!(found.iter().all(|finding| finding.stream == stream.id), "{column}: {found:?}");
        if column != "seq" {
            assert!(
                found.iter().any(|it| it.kind == Kind::Altered && it.seq == Some(row.seq)),
                "{column}: {found:?}"
            );
        }
        put(app, &row).await;
        is_sound(app).await;
    }
    let mut changed = row.clone();
    changed.key_id.push('x');
    put(app, &changed).await;
    assert!(kinds(app).await.contains(&Kind::Unproven));
    put(app, &row).await;
    is_sound(app).await;
});

both!(a_removed_row_and_swapped_rows_are_found, async |app| {
    let (_, stream) = person_and_stream(app).await;
    without_guards(app).await;
    let all = of_stream(app, &stream).await;
    let (mut a, mut b) = (all[1].clone(), all[2].clone());
    std::mem::swap(&mut a.seq, &mut b.seq);
    let aside = audit_event::Model { seq: 99, ..all[2].clone() };
    put(app, &aside).await;
    put(app, &a).await;
    put(app, &b).await;
    assert!(kinds(app).await.contains(&Kind::Reordered), "{:?}", findings(app).await);
    put(app, &aside).await;
    put(app, &all[1]).await;
    put(app, &all[2]).await;
    is_sound(app).await;
    remove(app, &all[1]).await;
    let found = findings(app).await;
    assert!(found.iter().any(|it| it.kind == Kind::Missing && it.seq == Some(2)), "{found:?}");
});

both!(a_truncated_stream_is_found_and_stays_found, async |app| {
    let (mut person, stream) = person_and_stream(app).await;
    without_guards(app).await;
    let all = of_stream(app, &stream).await;
    remove(app, all.last().expect("a last row")).await;
    assert!(kinds(app).await.contains(&Kind::Truncated));
    // The attacker also moves the head back, as far as this is possible without the key.
    let before = &all[all.len() - 2];
    let mut moved = stream.clone();
    (moved.head_seq, moved.head_at) = (before.seq, before.at);
    moved.head_mac.clone_from(&before.mac);
    moved.into_active_model().reset_all().update(app.inside().db.writer()).await.expect("moved");
    assert_eq!(kinds(app).await, [Kind::Unsealed]);
    // Events that are recorded after the manipulation do not repair the chain.
    person.login().await.expect(200);
    assert_eq!(kinds(app).await, [Kind::Unsealed]);
    person.login().await.expect(200);
    assert_eq!(kinds(app).await, [Kind::Unsealed]);
});

both!(an_altered_identity_is_found, async |app| {
    let (_, _) = person_and_stream(app).await;
    without_guards(app).await;
    let db = app.inside().db.writer();
    let identity = audit_identity::Entity::find().one(db).await.expect("read").expect("one");
    let put = async |row: &audit_identity::Model| {
        row.clone().into_active_model().reset_all().update(db).await.expect("put");
    };
    for change in [
        |row: &mut audit_identity::Model| row.body = row.body.replace("127.0.0.1", "192.0.2.1"),
        |row: &mut audit_identity::Model| row.salt[0] ^= 1,
        |row: &mut audit_identity::Model| row.person_id = None,
    ] {
        let mut changed = identity.clone();
        change(&mut changed);
        put(&changed).await;
        assert_eq!(kinds(app).await, [Kind::IdentityAltered]);
        put(&identity).await;
        is_sound(app).await;
    }
});

both!(a_database_put_back_is_found_by_heads_kept_elsewhere, async |app| {
    let (mut person, stream) = person_and_stream(app).await;
    without_guards(app).await;
    let db = &app.inside().db;
    let keep = async || checkpoint::page(db, i64::MIN, Uuid::nil()).await.expect("heads");
    let compare = async |kept: &[Head]| {
        let mut found = Vec::new();
        for head in kept {
            checkpoint::compare(db, head, 0, &mut |finding| found.push(finding.kind))
                .await
                .expect("compared");
        }
        found
    };
    let kept = keep().await;
    assert_eq!(compare(&kept).await, []);
    person.login().await.expect(200);
    assert_eq!(compare(&kept).await, [], "what was appended since is no harm");
    let later = keep().await;
    // The attacker restores an earlier state of the stream, in which all seals are valid.
    remove(app, of_stream(app, &stream).await.last().expect("a last row")).await;
    stream.clone().into_active_model().reset_all().update(db.writer()).await.expect("put back");
    is_sound(app).await;
    assert_eq!(compare(&later).await, [Kind::Truncated]);
    // New events are then appended to the restored state, so that the history differs from the
    // checkpoint.
    app.clock.advance(std::time::Duration::from_secs(1));
    person.login().await.expect(200);
    is_sound(app).await;
    assert_eq!(compare(&later).await, [Kind::Altered]);
    for row in of_stream(app, &stream).await {
        remove(app, &row).await;
    }
    audit_stream::Entity::delete_by_id(stream.id).exec(db.writer()).await.expect("removed");
    assert_eq!(compare(&later).await, [Kind::Missing]);
});
