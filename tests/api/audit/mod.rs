//! Tests of the audit. They check what the daemon records, that the verification accepts these
//! records, and that it finds every manipulation.

mod checkpoints;
mod flows;
mod people;
mod refusals;
mod retention;
mod rollback;
mod signing_keys;
mod tampering;
pub mod tenancy;

use latchkey::audit::verify::{Finding, Kind, verify};
use latchkey_entity::{audit_event, audit_stream};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _,
};
use uuid::Uuid;

use crate::app::TestApp;

/// Returns everything that `latchkey audit verify` reports.
async fn findings(app: &TestApp) -> Vec<Finding> {
    let inside = app.inside();
    let mut found = Vec::new();
    let mut sink = |finding| found.push(finding);
    let mut told = 0;
    let mut count = |rows| told = rows;
    let summary = verify(&inside.db, inside.audit.keys(), 0, &mut sink, &mut count).await;
    let summary = summary.expect("it is read");
    assert_eq!(summary.findings, found.len() as u64);
    assert_eq!(told, summary.events, "progress ends where the rows do");
    found
}

pub async fn is_sound(app: &TestApp) {
    assert_eq!(findings(app).await, []);
}

async fn kinds(app: &TestApp) -> Vec<Kind> {
    findings(app).await.into_iter().map(|finding| finding.kind).collect()
}

/// Returns every audit event, sorted by stream and sequence number.
pub async fn rows(app: &TestApp) -> Vec<audit_event::Model> {
    audit_event::Entity::find()
        .order_by_asc(audit_event::Column::StreamId)
        .order_by_asc(audit_event::Column::Seq)
        .all(app.inside().db.reader())
        .await
        .expect("rows")
}

/// Returns the audit stream of a user.
async fn stream_of(app: &TestApp, user_id: Uuid) -> audit_stream::Model {
    audit_stream::Entity::find()
        .filter(audit_stream::Column::UserId.eq(user_id))
        .one(app.inside().db.reader())
        .await
        .expect("it is read")
        .expect("a stream")
}

/// Returns the actions in the stream of a user, in order.
pub async fn actions(app: &TestApp, user_id: Uuid) -> Vec<String> {
    let stream = stream_of(app, user_id).await;
    let mine = rows(app).await.into_iter().filter(|row| row.stream_id == stream.id);
    mine.map(|row| row.action).collect()
}

/// Disables the triggers of the audit tables, as an attacker with database access would do.
async fn without_guards(app: &TestApp) {
    let db = &app.inside().db;
    let statements: &[&str] = if db.is_postgres() {
        &[
            "ALTER TABLE audit_events DISABLE TRIGGER USER",
            "ALTER TABLE audit_identities DISABLE TRIGGER USER",
            "ALTER TABLE audit_streams DISABLE TRIGGER USER",
        ]
    } else {
        &[
            "DROP TRIGGER audit_events_fixed",
            "DROP TRIGGER audit_events_kept",
            "DROP TRIGGER audit_identities_fixed",
            "DROP TRIGGER audit_streams_forward",
            "DROP TRIGGER audit_streams_kept",
        ]
    };
    for statement in statements {
        db.writer().execute_unprepared(statement).await.expect("no guards");
    }
}
