//! Tests of `POST /api/revoke`, which ends a token for ever before its time.

use std::time::Duration;

use latchkey::token::revocation;
use latchkey_entity::{ended_session, revoked_token};
use sea_orm::{EntityTrait as _, PaginatorTrait as _};

use crate::app::{TestApp, both};
use crate::ask::at_once;
use crate::client::Answer;
use crate::introspection::{as_client, is_active, is_inactive};

const PATH: &str = "/api/revoke";

async fn revoke(app: &TestApp, token: &str) -> Answer {
    let answer = app.anonymous().post_form(PATH, &[("token", token)]).await.expect(200);
    assert!(answer.body.is_empty());
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    answer
}

both!(
    a_revoked_vault_token_stays_inactive_and_its_session_goes_on,
    ["introspection.clients" = crate::introspection::CLIENT],
    async |app| {
        let mut person = app.verified("ada@example.org").await;
        let old = person.vault_token.clone();
        revoke(app, &old).await;
        is_inactive(app, &old).await;
        person.as_vault().get("/api/forward-auth").await.expect_problem(401, "invalid-token");
        person.me().await.expect(200);
        person.refresh().await.expect(200);
        is_active(app, &person.vault_token).await;
        is_inactive(app, &old).await;
    }
);

both!(
    a_user_token_ends_its_session_and_no_other,
    ["introspection.clients" = crate::introspection::CLIENT],
    async |app| {
        let mut person = app.verified("ada@example.org").await;
        let other = person.another_device().await;
        let older = person.user_token.clone();
        person.refresh().await.expect(200);
        // The client can send any token of the session, even an expired token.
        app.clock.advance(Duration::from_mins(20));
        revoke(app, &older).await;
        person.me().await.expect_problem(401, "invalid-token");
        person.as_user().get("/api/refresh").await.expect_problem(401, "invalid-token");
        is_inactive(app, &person.vault_token).await;
        other.as_user().get("/api/refresh").await.expect(200);
        app.no_mail_to("ada@example.org").await;
    }
);

both!(the_token_in_the_header_is_no_client_of_its_own, async |app| {
    let person = app.verified("ada@example.org").await;
    let form = [("token", person.user_token.as_str())];
    person.as_user().post_form(PATH, &form).await.expect(200);
    person.me().await.expect_problem(401, "invalid-token");
});

both!(an_unknown_token_is_revoked_like_any_other, async |app| {
    let person = app.verified("ada@example.org").await;
    let unknown = revoke(app, "x").await;
    let known = revoke(app, &person.vault_token).await;
    assert_eq!((unknown.status, unknown.body), (known.status, known.body));
    revoke(app, &person.vault_token).await;
    revoke(app, &person.user_token).await;
    revoke(app, &person.user_token).await;
    let gone = app.verified("eve@example.org").await;
    gone.leave().await.expect(204);
    revoke(app, &gone.user_token).await;
    revoke(app, &gone.vault_token).await;
});

both!(
    the_form_and_shown_credentials_have_to_be_right,
    ["introspection.clients" = crate::introspection::CLIENT],
    async |app| {
        let person = app.verified("ada@example.org").await;
        let token = ("token", person.vault_token.as_str());
        let wrong = app.anonymous().header("authorization", "Basic Z2F0ZXdheTp3cm9uZw==");
        let answer =
            wrong.post_form(PATH, &[token]).await.expect_problem(401, "invalid-credentials");
        assert_eq!(answer.json()["error"], "invalid_client");
        let fields = [token, ("client_id", "gateway"), ("client_secret", "wrong")];
        app.anonymous().post_form(PATH, &fields).await.expect(401);
        for fields in [&[][..], &[token, token]] {
            let answer = app.anonymous().post_form(PATH, fields).await;
            assert_eq!(
                answer.expect_problem(400, "malformed-request").json()["error"],
                "invalid_request"
            );
        }
        is_active(app, &person.vault_token).await;
        // A public client sends its id and has no secret.
        app.anonymous().post_form(PATH, &[token, ("client_id", "spa")]).await.expect(200);
        is_inactive(app, &person.vault_token).await;
        as_client(app).post_form(PATH, &[token]).await.expect(200);
    }
);

both!(
    a_lost_token_store_brings_nothing_back,
    ["introspection.clients" = crate::introspection::CLIENT],
    async |app| {
        let person = app.verified("ada@example.org").await;
        let user = person.as_user().get("/api/me").await.expect(200).json()["id"].clone();
        let user: uuid::Uuid = user.as_str().expect("an id").parse().expect("a UUID");
        let (store, now) = (&app.inside().store, app.clock.now());
        let session = store.session(user, &person.sid, now).await.expect("up").expect("alive");
        // The store loses the session. Then the daemon acknowledges a revocation. After that, a
        // backup of the store restores the session.
        store.end_sessions(user, None).await.expect("up");
        revoke(app, &person.user_token).await;
        let mut restored = session.clone();
        restored.sid.clone_from(&person.sid);
        let _ = store.open_session(&restored, now).await;
        person.me().await.expect_problem(401, "invalid-token");
        is_inactive(app, &person.vault_token).await;
        let rows =
            ended_session::Entity::find_by_id(&person.sid).one(app.inside().db.reader()).await;
        let row = rows.expect("read").expect("the ending is in SQL");
        assert!(row.expires_at >= session.absolute_end, "it stays as long as the session could");
    }
);

both!(a_revocation_is_swept_when_the_token_would_have_ended, async |app| {
    let person = app.verified("ada@example.org").await;
    at_once(8, async |_| revoke(app, &person.vault_token).await).await;
    let db = &app.inside().db;
    let rows = async || revoked_token::Entity::find().count(db.reader()).await.expect("counted");
    assert_eq!(rows().await, 1);
    app.clock.advance(Duration::from_mins(6));
    assert_eq!(revocation::sweep(db, app.clock.now()).await.expect("swept"), 0, "clocks differ");
    app.clock.advance(Duration::from_mins(2));
    assert_eq!(revocation::sweep(db, app.clock.now()).await.expect("swept"), 1);
    assert_eq!(rows().await, 0);
    // The revocation of an expired token needs no row.
    revoke(app, &person.vault_token).await;
    assert_eq!(rows().await, 0);
});
