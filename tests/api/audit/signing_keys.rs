//! Tests that the audit records when a signing key is published, rotated or retired. Each event
//! names the actor and the reason.

use std::time::Duration;

use latchkey::token::Kind;
use latchkey_entity::{audit_event, audit_stream};
use sea_orm::EntityTrait as _;
use serde_json::Value;

use super::{is_sound, rows};
use crate::app::{TestApp, both};

/// Returns the events about signing keys in order. The values of each event are the action, the
/// actor, the kind, the reason, the key and the previous key.
async fn told(app: &TestApp) -> Vec<[String; 6]> {
    let streams = audit_stream::Entity::find().all(app.inside().db.reader()).await.expect("read");
    let of_all = streams.into_iter().find(|stream| stream.kind == "installation");
    let Some(stream) = of_all else { return Vec::new() };
    let line = |row: audit_event::Model| {
        let detail: Value = serde_json::from_str(&row.detail).expect("an object");
        let text = |name: &str| detail[name].as_str().unwrap_or_default().to_owned();
        let [of, reason, key, before] = ["kind", "reason", "kid", "before"].map(text);
        [row.action, row.actor_kind, of, reason, key, before]
    };
    rows(app).await.into_iter().filter(|row| row.stream_id == stream.id).map(line).collect()
}

fn vault(app: &TestApp) -> String {
    app.inside().keys.current().vault.id.clone()
}

both!(a_scheduled_rotation_is_recorded_step_by_step, ["tokens.rotate_every" = "2h"], async |app| {
    let turn = async || app.inside().keys.turn().await.expect("a turn");
    let first = vault(app);
    assert_eq!(told(app).await, Vec::<[String; 6]>::new(), "the first keys took over from none");
    app.clock.advance(Duration::from_mins(115));
    turn().await;
    turn().await;
    app.clock.advance(Duration::from_mins(10));
    turn().await;
    let second = vault(app);
    app.clock.advance(Duration::from_mins(16));
    turn().await;
    turn().await;
    let line = |action: &str, kid: &str, before: &str| {
        ["signing-key.".to_owned() + action, "system".into(), "vault".into(), "due".into()]
            .into_iter()
            .chain([kid.to_owned(), before.to_owned()])
            .collect::<Vec<_>>()
    };
    let of_vault: Vec<Vec<String>> =
        told(app).await.into_iter().filter(|it| it[2] == "vault").map(Vec::from).collect();
    assert_eq!(
        of_vault,
        [
            line("published", &second, ""),
            line("rotated", &second, &first),
            line("retired", &first, ""),
        ]
    );
    let of_users = told(app).await.into_iter().filter(|it| it[2] == "user").map(|it| it[0].clone());
    let expected = ["signing-key.published", "signing-key.rotated"];
    assert_eq!(of_users.collect::<Vec<_>>(), expected, "a userToken's key verifies for long");
    is_sound(app).await;
});

both!(what_an_operator_does_with_keys_is_recorded, async |app| {
    let needs = crate::keys::needs(app);
    let first = vault(app);
    needs.rotate(Kind::Vault).await.expect("published");
    needs.rotate(Kind::Vault).await.expect("waiting");
    needs.rotate_now(Kind::Vault).await.expect("signs");
    app.inside().keys.turn().await.expect("a turn");
    let second = vault(app);
    needs.retire(&second).await.expect("replaced");
    needs.retire(&second).await.expect("once more");
    needs.retire(&first).await.expect("revoked");
    needs.retire("nobodys").await.expect("unknown");
    app.inside().keys.turn().await.expect("a turn");
    let third = vault(app);
    // The removal of the revoked key writes no event, because the key has verified nothing since it
    // was declared compromised.
    app.clock.advance(Duration::from_hours(1));
    app.inside().keys.turn().await.expect("a turn");
    let expected = [
        ["published", "asked", &second, ""],
        ["rotated", "asked", &second, &first],
        ["rotated", "compromised", &third, &second],
        ["retired", "compromised", &second, ""],
        ["retired", "compromised", &first, ""],
    ];
    let found = told(app).await;
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, [action, reason, kid, before]) in found.iter().zip(expected) {
        let wanted = [&format!("signing-key.{action}"), "operator", "vault", reason, kid, before];
        assert_eq!(found.each_ref().map(String::as_str), wanted);
    }
    is_sound(app).await;
});
