//! Tests of retention. The daemon deletes old rows from the start of each stream, and the remaining
//! rows are still valid.

use std::time::Duration;

use latchkey::audit::verify::Kind;
use latchkey::audit::{Swept, sweep};
use latchkey_entity::{audit_event, audit_identity, audit_stream};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _};

use super::{is_sound, kinds, rows, without_guards};
use crate::app::{TestApp, both};

async fn sweep_now(app: &TestApp, kept: Duration) -> Swept {
    let before = app.clock.now() - i64::try_from(kept.as_millis()).expect("it fits");
    sweep(&app.inside().db, &app.inside().audit, before).await.expect("swept")
}

const KEPT: Duration = Duration::from_hours(400 * 24);

both!(old_rows_go_and_the_rest_still_verifies, async |app| {
    let mut person = app.verified("ada@example.org").await;
    let gone = app.verified("eve@example.org").await;
    gone.leave().await.expect(204);
    assert_eq!(sweep_now(app, KEPT).await, Swept::default());
    let old = rows(app).await.len();
    app.clock.advance(KEPT + Duration::from_hours(1));
    person.login().await.expect(200);
    person.login().await.expect(200);
    let swept = sweep_now(app, KEPT).await;
    assert_eq!(swept.events, old as u64);
    assert_eq!(swept.streams, 2, "the stream of whoever is gone, and of their team");
    assert_eq!(rows(app).await.len(), 2);
    is_sound(app).await;
    person.login().await.expect(200);
    assert_eq!(rows(app).await.len(), 3);
    is_sound(app).await;
    assert_eq!(sweep_now(app, KEPT).await, Swept::default());
});

both!(what_names_a_key_that_is_not_ours_is_not_swept_away, async |app| {
    app.verified("ada@example.org").await;
    app.verified("eve@example.org").await;
    without_guards(app).await;
    let registered = rows(app).await.into_iter().filter(|row| row.action == "account.registered");
    let altered = registered.min_by_key(|row| row.seq).expect("a row");
    audit_event::Entity::update_many()
        .col_expr(audit_event::Column::KeyId, Expr::value("nobodys"))
        .col_expr(audit_event::Column::TraceId, Expr::value("0"))
        .filter(audit_event::Column::Id.eq(altered.id))
        .exec(app.inside().db.writer())
        .await
        .expect("altered");
    // The second invalid stream has a base that names an unknown key.
    let team = streams(app, "team").await[0];
    audit_stream::Entity::update_many()
        .col_expr(audit_stream::Column::BaseKey, Expr::value("nobodys"))
        .filter(audit_stream::Column::Id.eq(team))
        .exec(app.inside().db.writer())
        .await
        .expect("altered");
    let before = rows(app).await;
    app.clock.advance(KEPT + Duration::from_hours(1));
    let swept = sweep_now(app, KEPT).await;
    assert_eq!(swept.broken, 2);
    let left = rows(app).await;
    let kept = |of: uuid::Uuid| left.iter().filter(move |row| row.stream_id == of).count();
    let were = |of: uuid::Uuid| before.iter().filter(move |row| row.stream_id == of).count();
    for stream in [altered.stream_id, team] {
        assert!(were(stream) > 0 && kept(stream) == were(stream), "nothing of it is swept");
    }
    assert_eq!(left.len(), were(altered.stream_id) + were(team), "the sound ones had their turn");
    assert!(kinds(app).await.contains(&Kind::Unproven), "it is still there to be found");
});

both!(a_stream_that_somebody_else_has_emptied_is_not_forgotten, async |app| {
    let person = app.verified("ada@example.org").await;
    let team = streams(app, "team").await[0];
    person.leave().await.expect(204);
    without_guards(app).await;
    let mine = rows(app).await.into_iter().filter(|row| row.stream_id == team);
    let ids: Vec<_> = mine.map(|row| row.id).collect();
    let db = app.inside().db.writer();
    let of_events = audit_identity::Column::EventId.is_in(ids);
    audit_identity::Entity::delete_many().filter(of_events).exec(db).await.expect("removed");
    let of_team = audit_event::Column::StreamId.eq(team);
    audit_event::Entity::delete_many().filter(of_team).exec(db).await.expect("removed");
    audit_stream::Entity::update_many()
        .col_expr(audit_stream::Column::BaseSeq, Expr::col(audit_stream::Column::HeadSeq))
        .col_expr(audit_stream::Column::BaseMac, Expr::col(audit_stream::Column::HeadMac))
        .filter(audit_stream::Column::Id.eq(team))
        .exec(db)
        .await
        .expect("moved");
    app.clock.advance(KEPT + Duration::from_hours(1));
    assert_eq!(sweep_now(app, KEPT).await.broken, 1);
    assert_eq!(streams(app, "team").await, [team]);
    assert!(kinds(app).await.contains(&Kind::Unsealed), "it is still there to be found");
});

/// Returns the ids of the streams of this kind.
async fn streams(app: &TestApp, kind: &str) -> Vec<uuid::Uuid> {
    let all = audit_stream::Entity::find().all(app.inside().db.reader()).await.expect("read");
    all.into_iter().filter(|stream| stream.kind == kind).map(|stream| stream.id).collect()
}

both!(what_was_tampered_with_is_not_swept_away, async |app| {
    app.verified("ada@example.org").await;
    without_guards(app).await;
    audit_event::Entity::update_many()
        .col_expr(audit_event::Column::TraceId, Expr::value("0"))
        .filter(audit_event::Column::Action.eq("account.registered"))
        .exec(app.inside().db.writer())
        .await
        .expect("altered");
    app.clock.advance(KEPT + Duration::from_hours(1));
    let swept = sweep_now(app, KEPT).await;
    assert_eq!(swept.broken, 1);
    assert!(rows(app).await.iter().any(|row| row.action == "account.registered"));
    assert!(!kinds(app).await.is_empty(), "it is still there to be found");
    let streams = audit_stream::Entity::find().all(app.inside().db.reader()).await.expect("read");
    assert!(streams.iter().any(|stream| stream.base_seq == 0));
});
