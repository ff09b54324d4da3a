//! Tests of manipulations that leave all seals of a stream valid, and of identities that are
//! deleted without their accounts. The attacker has the password of the database, and no key.

use std::time::Duration;

use latchkey::audit::checkpoint::HEADS_PER_CHECKPOINT;
use latchkey::audit::verify::Kind;
use latchkey::audit::{
    Action, Actor, Detail, Event, Outcome, RequestOrigin, checkpoint_event, record,
};
use latchkey_entity::{audit_event, audit_identity, audit_stream};
use sea_orm::sea_query::ExprTrait as _;
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait as _, EntityTrait as _,
    IntoActiveModel as _, QueryFilter as _,
};
use serde_json::Value;
use uuid::Uuid;

use super::{findings, is_sound, kinds, rows, stream_of, without_guards};
use crate::app::{TestApp, both};
use crate::client::Person;
use crate::people::id_of;

/// Writes a checkpoint event, as the daemon does every minute. Returns the number of heads in it.
async fn checkpoint(app: &TestApp) -> usize {
    let inside = app.inside();
    checkpoint_event::write(&inside.db, &inside.audit, app.clock.now()).await.expect("written")
}

async fn streams(app: &TestApp) -> Vec<audit_stream::Model> {
    audit_stream::Entity::find().all(app.inside().db.reader()).await.expect("read")
}

async fn own_stream(app: &TestApp, person: &Person) -> audit_stream::Model {
    stream_of(app, id_of(person).parse().expect("an id")).await
}

/// Puts an earlier row of a stream back, and deletes the events after its head.
async fn put_back(app: &TestApp, stream: &audit_stream::Model) {
    let db = app.inside().db.writer();
    let later = audit_event::Column::StreamId
        .eq(stream.id)
        .and(audit_event::Column::Seq.gt(stream.head_seq));
    let gone: Vec<Uuid> = rows(app)
        .await
        .into_iter()
        .filter(|row| row.stream_id == stream.id && row.seq > stream.head_seq)
        .map(|row| row.id)
        .collect();
    let of_events = audit_identity::Column::EventId.is_in(gone);
    audit_identity::Entity::delete_many().filter(of_events).exec(db).await.expect("deleted");
    audit_event::Entity::delete_many().filter(later).exec(db).await.expect("deleted");
    stream.clone().into_active_model().reset_all().update(db).await.expect("put back");
}

both!(an_older_stream_is_found_by_a_checkpoint_event, async |app| {
    let mut person = app.verified("ada@example.org").await;
    let other = app.verified("eve@example.org").await;
    without_guards(app).await;
    let before = own_stream(app, &person).await;
    for _ in 0..3 {
        person.login().await.expect(200);
    }
    assert!(checkpoint(app).await >= 4, "the streams of two users and two teams");
    is_sound(app).await;
    put_back(app, &before).await;
    let found = findings(app).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].stream, found[0].kind), (before.id, Kind::Truncated));
    // Events after the manipulation do not hide it.
    app.clock.advance(Duration::from_secs(1));
    for _ in 0..4 {
        person.login().await.expect(200);
    }
    assert_eq!(kinds(app).await, [Kind::Altered]);
    checkpoint(app).await;
    other.logout().await.expect(204);
    assert!(!kinds(app).await.is_empty(), "a later checkpoint has another history");
});

both!(an_older_stream_of_the_installation_is_found_by_the_other_streams, async |app| {
    let mut person = app.verified("ada@example.org").await;
    without_guards(app).await;
    checkpoint(app).await;
    let installation = |streams: Vec<audit_stream::Model>| {
        streams.into_iter().find(|stream| stream.kind == "installation").expect("a checkpoint")
    };
    let (own, all) = (own_stream(app, &person).await, installation(streams(app).await));
    person.login().await.expect(200);
    assert!(checkpoint(app).await >= 1);
    let other = app.verified("eve@example.org").await;
    is_sound(app).await;
    put_back(app, &own).await;
    put_back(app, &all).await;
    let found = findings(app).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].stream, found[0].kind), (all.id, Kind::Truncated));
    other.logout().await.expect(204);
    assert_eq!(kinds(app).await, [Kind::Truncated]);
});

both!(a_stream_that_is_removed_as_a_whole_is_found_by_a_checkpoint_event, async |app| {
    let person = app.verified("ada@example.org").await;
    checkpoint(app).await;
    without_guards(app).await;
    let stream = own_stream(app, &person).await;
    let empty = audit_stream::Model { head_seq: 0, base_seq: 0, ..stream.clone() };
    put_back(app, &empty).await;
    audit_stream::Entity::delete_by_id(stream.id)
        .exec(app.inside().db.writer())
        .await
        .expect("removed");
    assert_eq!(kinds(app).await, [Kind::Missing]);
});

both!(a_checkpoint_event_has_each_head_once, async |app| {
    assert_eq!(checkpoint(app).await, 0, "there are no events");
    let mut person = app.verified("ada@example.org").await;
    let streams = streams(app).await.len();
    assert_eq!(checkpoint(app).await, streams);
    assert_eq!(checkpoint(app).await, 0, "another replica has nothing to add");
    app.clock.advance(Duration::from_hours(1));
    assert_eq!(checkpoint(app).await, 0);
    person.login().await.expect(200);
    assert_eq!(checkpoint(app).await, 1);
    let checkpoints =
        rows(app).await.into_iter().filter(|row| row.action == "audit.checkpoint").count();
    assert_eq!(checkpoints, 2);
    // An event whose transaction began before the last checkpoint is in the next one.
    person.login().await.expect(200);
    app.clock.advance(Duration::from_mins(1));
    assert_eq!(checkpoint(app).await, 1);
    is_sound(app).await;
});

/// Records an event in the stream of each of `count` teams.
async fn write_to_teams(app: &TestApp, count: u128) {
    let inside = app.inside();
    let tx = inside.db.begin().await.expect("a transaction");
    for team in 1..=count {
        let event = Event {
            action: Action::TeamUpdated,
            outcome: Outcome::Success,
            actor: Actor::System,
            subject: None,
            team: Some(Uuid::from_u128(team)),
            detail: Detail::none(),
            origin: &RequestOrigin::none(),
        };
        record(&tx, &inside.audit, &event, app.clock.now()).await.expect("recorded");
    }
    tx.commit().await.expect("an end");
}

/// Makes the database refuse the second checkpoint event, or ends this.
async fn refuse_second_checkpoint(app: &TestApp, is_refused: bool) {
    let db = &app.inside().db;
    let exists = "EXISTS (SELECT 1 FROM audit_events WHERE action = 'audit.checkpoint')";
    let statements = match (db.is_postgres(), is_refused) {
        (true, true) => vec![
            format!(
                "CREATE FUNCTION refuse_second() RETURNS trigger LANGUAGE plpgsql AS \
                 $$BEGIN IF {exists} THEN RAISE 'refused'; END IF; RETURN NEW; END$$"
            ),
            "CREATE TRIGGER refuse_second BEFORE INSERT ON audit_events FOR EACH ROW \
             WHEN (NEW.action = 'audit.checkpoint') EXECUTE FUNCTION refuse_second()"
                .to_owned(),
        ],
        (true, false) => vec!["DROP TRIGGER refuse_second ON audit_events".to_owned()],
        (false, true) => vec![format!(
            "CREATE TRIGGER refuse_second BEFORE INSERT ON audit_events \
             WHEN NEW.action = 'audit.checkpoint' AND {exists} \
             BEGIN SELECT RAISE(ABORT, 'refused'); END"
        )],
        (false, false) => vec!["DROP TRIGGER refuse_second".to_owned()],
    };
    for statement in statements {
        db.writer().execute_unprepared(&statement).await.expect("a trigger");
    }
}

both!(a_failed_run_of_checkpoint_events_is_made_up_for_by_the_next_one, async |app| {
    const TEAMS: usize = 2 * HEADS_PER_CHECKPOINT + 20;
    write_to_teams(app, TEAMS as u128).await;
    // The events are older than the time by which clocks can differ.
    app.clock.advance(Duration::from_hours(1));
    refuse_second_checkpoint(app, true).await;
    let inside = app.inside();
    for _ in 0..2 {
        app.clock.advance(Duration::from_mins(1));
        let failed = checkpoint_event::write(&inside.db, &inside.audit, app.clock.now()).await;
        assert!(failed.is_err(), "{failed:?}");
    }
    refuse_second_checkpoint(app, false).await;
    app.clock.advance(Duration::from_hours(1));
    assert_eq!(checkpoint(app).await, TEAMS - HEADS_PER_CHECKPOINT);
    let events: Vec<Value> = rows(app)
        .await
        .into_iter()
        .filter(|row| row.action == "audit.checkpoint")
        .map(|row| serde_json::from_str(&row.detail).expect("JSON"))
        .collect();
    let marks: Vec<bool> = events.iter().map(|detail| detail["complete"] == true).collect();
    assert_eq!(marks, [false, false, true], "only the last event of a complete run has the mark");
    let mut heads: Vec<&str> = events
        .iter()
        .flat_map(|detail| detail["heads"].as_array().expect("heads"))
        .filter_map(|head| head["stream"].as_str())
        .collect();
    heads.sort_unstable();
    heads.dedup();
    assert_eq!(heads.len(), TEAMS, "each stream is in a checkpoint event");
    app.clock.advance(Duration::from_hours(1));
    assert_eq!(checkpoint(app).await, 0);
    write_to_teams(app, 3).await;
    assert_eq!(checkpoint(app).await, 3);
    write_to_teams(app, 1).await;
    let last = rows(app).await.into_iter().filter(|row| row.detail.contains("\"checkpoint\":4"));
    assert_eq!(last.count(), 1, "the next event has the number of the newest checkpoint event");
    is_sound(app).await;
});

both!(deleted_identities_are_found_as_long_as_their_accounts_exist, async |app| {
    let person = app.verified("ada@example.org").await;
    let other = app.verified("eve@example.org").await;
    without_guards(app).await;
    let db = app.inside().db.writer();
    let of_person =
        audit_identity::Column::PersonId.eq(id_of(&person).parse::<Uuid>().expect("id"));
    let kept =
        audit_identity::Entity::find().filter(of_person.clone()).all(db).await.expect("read");
    let one = &kept[0];
    audit_identity::Entity::delete_by_id((one.event_id, one.party.clone()))
        .exec(db)
        .await
        .expect("deleted");
    assert_eq!(kinds(app).await, [Kind::IdentityMissing]);
    audit_identity::Entity::delete_many().filter(of_person).exec(db).await.expect("deleted");
    let found = findings(app).await;
    assert!(found.len() >= 2, "in the stream of the user and of the team: {found:?}");
    assert!(found.iter().all(|finding| finding.kind == Kind::IdentityMissing), "{found:?}");
    for row in kept {
        audit_identity::Entity::insert(row.into_active_model())
            .exec_without_returning(db)
            .await
            .expect("put back");
    }
    is_sound(app).await;
    // With their account, identities are deleted rightly, and the next events go on.
    person.leave().await.expect(204);
    is_sound(app).await;
    other.logout().await.expect(204);
    is_sound(app).await;
    // An attacker deletes a user in the database.
    let other = id_of(&other).parse::<Uuid>().expect("an id");
    latchkey_entity::user::Entity::delete_by_id(other).exec(db).await.expect("deleted");
    let found = kinds(app).await;
    assert!(found.contains(&Kind::IdentityMissing) && found.contains(&Kind::Unsealed), "{found:?}");
});

both!(swapped_and_removed_owners_of_streams_are_found, async |app| {
    let ada = app.verified("ada@example.org").await;
    let eve = app.verified("eve@example.org").await;
    without_guards(app).await;
    let (of_ada, of_eve) = (own_stream(app, &ada).await, own_stream(app, &eve).await);
    let owned = async |stream: &audit_stream::Model, user_id: Option<Uuid>| {
        let changed = audit_stream::Model { user_id, ..stream.clone() };
        let changed = changed.into_active_model().reset_all();
        changed.update(app.inside().db.writer()).await.expect("written");
    };
    owned(&of_ada, None).await;
    assert_eq!(kinds(app).await, [Kind::Unsealed, Kind::Unsealed], "base and head");
    owned(&of_eve, of_ada.user_id).await;
    owned(&of_ada, of_eve.user_id).await;
    assert_eq!(kinds(app).await, [Kind::Unsealed; 4]);
    owned(&of_ada, None).await;
    owned(&of_eve, of_eve.user_id).await;
    owned(&of_ada, of_ada.user_id).await;
    is_sound(app).await;
    let erased = "UPDATE audit_streams SET erased = erased + 1";
    app.inside().db.writer().execute_unprepared(erased).await.expect("written");
    assert!(kinds(app).await.contains(&Kind::Unsealed));
});
