//! Old rows go from the start of their streams; what is left still verifies.

use std::time::Duration;

use latchkey::audit::{Swept, sweep};
use latchkey_entity::{audit_event, audit_stream};
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
