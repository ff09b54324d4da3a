//! Tests of requests while the token store contains records that an attacker has written. The tests
//! of `forged_records.rs` use the token store alone.

use std::time::Duration;

use latchkey::secret::{sha256, uuid_v7};
use latchkey::store::TokenKind;
use uuid::Uuid;

use crate::app::{TestApp, both};
use crate::client::Person;
use crate::forged_records::{MAC_CHARS, Raw, altered, session_key, token_key};
use crate::keys::needs;
use crate::people::{claim, id_of};
use crate::telemetry::registry::sum;

pub const NEW_PASSWORD: &str = "correct horse battery 9";

pub fn user_of(person: &Person) -> Uuid {
    id_of(person).parse().expect("a UUID")
}

pub async fn refused_records(app: &TestApp) -> f64 {
    let metrics = app.admin().get("/metrics").await.expect(200).text();
    sum(&metrics, "latchkey_store_records_refused_total", &[])
}

both!(a_recovery_token_that_was_written_by_hand_resets_no_password, async |app| {
    let mut ada = app.verified("ada@example.org").await;
    let (user, raw) = (user_of(&ada), Raw::of(app).await);
    let token = "f".repeat(64);
    let digest = sha256(token.as_bytes());
    let try_reset = async || {
        let answer = app.anonymous().reset(&token, NEW_PASSWORD).await;
        answer.expect_problem(400, "token-invalid");
        app.anonymous().get(&format!("/reset-password?token={token}")).await.expect(400);
    };
    if let Raw::Redis(it) = &raw {
        // The form in which an earlier development version stored tokens.
        let hash = format!("lk:{{{user}}}:t:recover");
        redis::cmd("HSET")
            .arg(&[&hash, "row_id", &uuid_v7(app.clock.now()).to_string(), "digest", &digest])
            .arg(&["stamp", "0", "expires_at", "99999999999999"])
            .exec_async(&mut it.clone())
            .await
            .expect("written");
        raw.set_index(&digest, user, TokenKind::Recover).await;
        try_reset().await;
    }
    let key = token_key(user, TokenKind::Recover);
    let before = refused_records(app).await;
    for version in 0..3 {
        let row = uuid_v7(app.clock.now());
        let json = format!(
            "{{\"kind\":\"recover\",\"user_id\":\"{user}\",\"row_id\":\"{row}\",\"digest\":\
             \"{digest}\",\"stamp\":{version},\"subject\":null,\"expires_at\":99999999999999}}"
        );
        for mac in [sha256(json.as_bytes()), "A".repeat(MAC_CHARS), String::new()] {
            raw.set(&key, format!("{mac}{json}").as_bytes()).await;
            raw.set_index(&digest, user, TokenKind::Recover).await;
            try_reset().await;
        }
    }
    assert!(refused_records(app).await >= before + 9.0);
    // The attacker puts a digest of another token into the record of a genuine mail.
    app.anonymous().forgot(&ada.email).await.expect(200);
    let link = app.mail_to(&ada.email).await.token().to_owned();
    let genuine = String::from_utf8(raw.get(&key).await).expect("a text");
    let forged = genuine.replace(&sha256(link.as_bytes()), &digest);
    assert_ne!(genuine, forged);
    raw.set(&key, forged.as_bytes()).await;
    raw.set_index(&digest, user, TokenKind::Recover).await;
    try_reset().await;
    app.anonymous().reset(&link, NEW_PASSWORD).await.expect_problem(400, "token-invalid");
    ada.login().await.expect(200);
    raw.set(&key, genuine.as_bytes()).await;
    app.anonymous().reset(&link, NEW_PASSWORD).await.expect(200);
    app.mail_to(&ada.email).await;
});

both!(a_session_that_was_altered_by_hand_is_refused_and_ends_nothing, async |app| {
    let mut ada = app.verified("ada@example.org").await;
    ada.refresh().await.expect(200);
    ada.me().await.expect(200);
    let raw = Raw::of(app).await;
    let key = session_key(user_of(&ada), &claim(&ada, "sid"));
    let genuine = raw.get(&key).await;
    let before = refused_records(app).await;
    let fields = altered(&genuine);
    for (field, forged) in &fields {
        raw.set(&key, forged).await;
        for path in ["/api/me", "/api/refresh", "/api/sessions"] {
            let answer = ada.as_user().get(path).await;
            assert_eq!(answer.status, 401, "{path} with another {field}");
        }
        let answer = ada.as_vault().get("/api/forward-auth").await;
        assert_eq!(answer.status, 401, "another {field}");
        assert_eq!(raw.get(&key).await, *forged, "{field}: the record was changed");
    }
    let refused = f64::from(u32::try_from(fields.len()).expect("a few fields"));
    assert!(refused_records(app).await >= before + 4.0 * refused);
    raw.set(&key, &genuine).await;
    ada.me().await.expect(200);
    ada.refresh().await.expect(200);
    // A session that was logged out stays ended, although its genuine record is put back.
    let last = raw.get(&key).await;
    ada.logout().await.expect(204);
    raw.set(&key, &last).await;
    ada.me().await.expect_problem(401, "invalid-token");
    ada.as_user().get("/api/refresh").await.expect_problem(401, "invalid-token");
});

both!(a_compromised_key_of_the_token_store_is_replaced, async |app| {
    let mut ada = app.verified("ada@example.org").await;
    app.anonymous().forgot(&ada.email).await.expect(200);
    let link = app.mail_to(&ada.email).await.token().to_owned();
    let keys = needs(app).list().await.expect("listed");
    let old = keys.iter().find(|key| key.kind == "store").expect("a key of the store");
    let before = refused_records(app).await;
    needs(app).retire(&old.id).await.expect("retired");
    app.inside().keys.turn().await.expect("read");
    ada.me().await.expect_problem(401, "invalid-token");
    ada.as_user().get("/api/refresh").await.expect_problem(401, "invalid-token");
    app.anonymous().reset(&link, NEW_PASSWORD).await.expect_problem(400, "token-invalid");
    // latchkey wrote these records itself, so they do not count as foreign, also not later.
    app.clock.advance(Duration::from_hours(24));
    app.inside().keys.turn().await.expect("read");
    ada.as_user().get("/api/refresh").await.expect_problem(401, "invalid-token");
    assert!((refused_records(app).await - before).abs() < 0.5);
    ada.login().await.expect(200);
    ada.me().await.expect(200);
    app.anonymous().forgot(&ada.email).await.expect(200);
    let link = app.mail_to(&ada.email).await.token().to_owned();
    app.anonymous().reset(&link, NEW_PASSWORD).await.expect(200);
    app.mail_to(&ada.email).await;
});
