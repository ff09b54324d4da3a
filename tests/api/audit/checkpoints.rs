//! Tests of checkpoints. A checkpoint is a signed statement of the head of each audit stream, and
//! it is stored outside the database. The key that signs the checkpoints lives longer than the keys
//! that sign tokens. The daemon logs checkpoints from its start on.

use std::time::Duration;

use latchkey::audit::checkpoint;
use latchkey::audit::verify::Kind;
use latchkey::daemon::AuditKeeper;
use latchkey_entity::{audit_event, audit_identity, signing_key};
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _};
use uuid::Uuid;

use super::{is_sound, rows, without_guards};
use crate::app::{TestApp, both};

const ISSUER: &str = "https://auth.example";

/// Returns the checkpoint at the end of an export.
async fn exported(app: &TestApp) -> String {
    let inside = app.inside();
    let page = checkpoint::page(&inside.db, i64::MIN, Uuid::nil()).await.expect("heads");
    checkpoint::sign(&inside.audit, ISSUER, app.clock.now_seconds(), page).expect("signed")
}

/// Returns the findings of `audit verify --heads`, or `None` if no audit key signed the checkpoint.
async fn compared(app: &TestApp, token: &str) -> Option<Vec<Kind>> {
    let inside = app.inside();
    let claims = checkpoint::open(inside.audit.keys(), token)?;
    let mut found = Vec::new();
    for head in &claims.heads {
        let mut sink = |finding: latchkey::audit::verify::Finding| found.push(finding.kind);
        checkpoint::compare(&inside.db, head, 0, &mut sink).await.expect("compared");
    }
    Some(found)
}

both!(heads_are_checked_long_after_every_signing_key_is_forgotten, async |app| {
    app.verified("ada@example.org").await;
    let kept = exported(app).await;
    let before = app.inside().keys.current().vault.id.clone();
    let needs = crate::keys::needs(app);
    for kind in latchkey::token::Kind::TOKENS {
        needs.rotate_now(kind).await.expect("rotated");
    }
    app.clock.advance(Duration::from_hours(31 * 24));
    app.inside().keys.turn().await.expect("a turn");
    let row = signing_key::Entity::find_by_id(before).one(app.inside().db.reader()).await;
    assert_eq!(row.expect("read"), None, "the key that signed at that time is forgotten");
    assert_eq!(compared(app, &kept).await, Some(Vec::new()));

    let (start, signature) = kept.rsplit_once('.').expect("a JWS");
    let (header, _) = start.split_once('.').expect("a JWS");
    let other = exported(app).await;
    let payload = other.split('.').nth(1).expect("a JWS");
    assert_eq!(compared(app, &format!("{header}.{payload}.{signature}")).await, None, "forged");
    let person = app.verified("eve@example.org").await;
    assert_eq!(compared(app, &person.vault_token).await, None, "a token is no head");

    without_guards(app).await;
    let last = rows(app).await.pop().expect("a row");
    let db = app.inside().db.writer();
    let of_event = audit_identity::Column::EventId.eq(last.id);
    let kept = exported(app).await;
    audit_identity::Entity::delete_many().filter(of_event).exec(db).await.expect("removed");
    audit_event::Entity::delete_by_id(last.id).exec(db).await.expect("removed");
    let found = compared(app, &kept).await;
    assert_eq!(found, Some(vec![Kind::Missing]), "a truncated chain");
});

both!(heads_are_logged_from_the_start_on_and_each_once_an_hour, async |app| {
    let first = AuditKeeper::new(app.inside().clone());
    assert_eq!(first.keep().await, 0, "nothing was written yet");
    app.verified("ada@example.org").await;
    let streams =
        checkpoint::page(&app.inside().db, i64::MIN, Uuid::nil()).await.expect("heads").len();
    assert!(streams >= 2);
    assert_eq!(first.keep().await, streams);
    app.clock.advance(Duration::from_secs(3_601));
    assert_eq!(first.keep().await, streams, "an hour's overlap, for rows that were on their way");
    app.clock.advance(Duration::from_secs(3_601));
    assert_eq!(first.keep().await, 0, "nothing moved since");
    // After an outage of several days, a new process logs the heads of all streams again, because
    // the old process perhaps did not log them.
    app.clock.advance(Duration::from_hours(72));
    let second = AuditKeeper::new(app.inside().clone());
    assert_eq!(second.keep().await, streams);
    app.clock.advance(Duration::from_secs(3_601));
    assert_eq!(second.keep().await, 0);
    is_sound(app).await;
});
