//! Tests of `POST /api/introspect`, which returns the current state of a token. They also check
//! which clients are allowed to call it.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use hyper::Method;
use serde_json::{Value, json};

use crate::app::{Backend, PUBLIC_URL, TestApp, both};
use crate::ask::sql;
use crate::client::{Answer, Client, claims};
use crate::servers::PrivateServer;
use crate::servers::Signal;

/// The id and the secret of a client of the operator, in the form that the setting
/// `introspection.clients` has.
pub const CLIENT: &str = "gateway:kJ8s0bQ2mZr7Tt4cXv9LwYp1Ne6Ua3Gh5Df8Rk0Bo2M";
const SECRET: &str = "kJ8s0bQ2mZr7Tt4cXv9LwYp1Ne6Ua3Gh5Df8Rk0Bo2M";
const PATH: &str = "/api/introspect";

/// Returns a client that sends the credentials in [`CLIENT`].
pub fn as_client(app: &TestApp) -> Client {
    app.anonymous().header("authorization", &format!("Basic {}", STANDARD.encode(CLIENT)))
}

/// Introspects a token with the credentials in [`CLIENT`].
pub async fn introspect(app: &TestApp, token: &str) -> Answer {
    as_client(app).post_form(PATH, &[("token", token)]).await.expect(200)
}

/// Fails the test unless the token is active.
pub async fn is_active(app: &TestApp, token: &str) {
    assert_eq!(introspect(app, token).await.json()["active"], true);
}

/// Fails the test unless the response says that the token is inactive, and nothing else.
pub async fn is_inactive(app: &TestApp, token: &str) {
    let answer = introspect(app, token).await;
    assert_eq!(answer.text(), r#"{"active":false}"#);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
}

both!(
    a_live_vault_token_is_told_in_full,
    ["introspection.clients" = crate::introspection::CLIENT],
    async |app| {
        let person = app.verified("ada@example.org").await;
        let answer = introspect(app, &person.vault_token).await;
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let mut expected = claims(&person.vault_token);
        expected["active"] = json!(true);
        expected["token_type"] = json!("Bearer");
        assert_eq!(answer.json(), expected, "its claims, and nothing of the person");
        assert!(!answer.text().contains("ada@"));
    }
);

both!(
    a_live_user_token_is_told_with_the_address,
    ["introspection.clients" = crate::introspection::CLIENT],
    async |app| {
        let person = app.register("ada@example.org").await;
        let told = introspect(app, &person.user_token).await.json();
        let said = claims(&person.user_token);
        assert_eq!((&told["active"], &told["token_type"]), (&json!(true), &json!("Bearer")));
        assert_eq!(
            (&told["username"], &told["email_verified"]),
            (&json!("ada@example.org"), &json!(false))
        );
        for name in ["iss", "aud", "sub", "sid", "jti", "iat", "nbf", "exp"] {
            assert_eq!(told[name], said[name], "{name}");
        }
        assert_eq!(told["aud"], PUBLIC_URL);
        assert_eq!((told.get("scope"), told.get("tid")), (None, None));
    }
);

both!(
    what_is_not_live_is_inactive_and_nothing_more,
    ["introspection.clients" = crate::introspection::CLIENT],
    async |app| {
        let unverified = app.register("eve@example.org").await;
        is_inactive(app, &unverified.vault_token).await;
        let person = app.verified("ada@example.org").await;
        is_active(app, &person.vault_token).await;
        let parts: Vec<&str> = person.vault_token.split('.').collect();
        let mut forged = claims(&person.vault_token);
        forged["scope"] = json!("everything");
        let forged = URL_SAFE_NO_PAD.encode(forged.to_string());
        let other_key = URL_SAFE_NO_PAD
            .encode(r#"{"typ":"at+jwt","alg":"ES256","kid":"AAAAAAAAAAAAAAAAAAAAAA"}"#);
        for token in [
            "x".to_owned(),
            "a.b.c".to_owned(),
            format!("{}.{forged}.{}", parts[0], parts[2]),
            format!("{}.{}.", parts[0], parts[1]),
            format!("{other_key}.{}.{}", parts[1], parts[2]),
            format!("{} ", person.vault_token),
            "\u{e9}\u{0}".to_owned(),
        ] {
            is_inactive(app, &token).await;
        }
        app.clock.advance(Duration::from_mins(5));
        is_inactive(app, &person.vault_token).await;
        is_active(app, &person.user_token).await;
        app.clock.advance(Duration::from_mins(10));
        is_inactive(app, &person.user_token).await;
    }
);

both!(
    an_ended_session_is_inactive_at_once,
    ["introspection.clients" = crate::introspection::CLIENT],
    async |app| {
        let person = app.verified("ada@example.org").await;
        let (phone, tablet) = (person.another_device().await, person.another_device().await);
        phone.logout().await.expect(204);
        for token in [&phone.vault_token, &phone.user_token] {
            is_inactive(app, token).await;
        }
        is_active(app, &tablet.vault_token).await;
        person.as_user().delete("/api/sessions").await.expect(204);
        for token in [&tablet.vault_token, &tablet.user_token] {
            is_inactive(app, token).await;
        }
        is_active(app, &person.vault_token).await;
        person.leave().await.expect(204);
        for token in [&person.vault_token, &person.user_token] {
            is_inactive(app, token).await;
        }
    }
);

both!(
    a_change_of_membership_is_seen_at_once,
    ["introspection.clients" = crate::introspection::CLIENT],
    async |app| {
        for change in [
            "UPDATE memberships SET epoch = epoch + 1",
            "UPDATE memberships SET role = 'viewer'",
            "DELETE FROM projects",
            "DELETE FROM memberships",
        ] {
            let mut person = app.verified(&format!("p{}@example.org", change.len())).await;
            is_active(app, &person.vault_token).await;
            sql(app, change).await;
            is_inactive(app, &person.vault_token).await;
            is_active(app, &person.user_token).await;
            // A refresh creates tokens with the current state of the database.
            person.refresh().await.expect(200);
            let still_in_a_team = claims(&person.vault_token).get("tid").is_some();
            assert_eq!(still_in_a_team, !change.ends_with("memberships"), "{change}");
            if still_in_a_team {
                is_active(app, &person.vault_token).await;
            } else {
                is_inactive(app, &person.vault_token).await;
            }
        }
    }
);

both!(
    a_disabled_account_is_inactive_at_once,
    ["introspection.clients" = crate::introspection::CLIENT],
    async |app| {
        let person = app.verified("ada@example.org").await;
        sql(app, "UPDATE users SET status = 'disabled'").await;
        for token in [&person.vault_token, &person.user_token] {
            is_inactive(app, token).await;
        }
        sql(app, "UPDATE users SET status = 'active'").await;
        is_active(app, &person.vault_token).await;
        sql(app, "UPDATE users SET session_epoch = session_epoch + 1").await;
        for token in [&person.vault_token, &person.user_token] {
            is_inactive(app, token).await;
        }
    }
);

both!(
    only_a_client_of_the_operator_may_ask,
    ["introspection.clients" = crate::introspection::CLIENT],
    async |app| {
        let person = app.verified("ada@example.org").await;
        let token = ("token", person.vault_token.as_str());
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        let refused = |answer: Answer| {
            assert_eq!(
                answer.header("www-authenticate"),
                Some("Basic realm=\"latchkey\", charset=\"UTF-8\"")
            );
            let answer = answer.expect_problem(401, "invalid-credentials");
            assert_eq!(answer.json()["error"], "invalid_client");
            let mut body = answer.json();
            body["traceId"] = Value::Null;
            body
        };
        let mut bodies = vec![refused(app.anonymous().post_form(PATH, &[token]).await)];
        for header in [
            basic("gateway:wrong"),
            basic("nobody:kJ8s0bQ2mZr7Tt4cXv9LwYp1Ne6Ua3Gh5Df8Rk0Bo2M"),
            basic("gateway"),
            basic(""),
            "Basic %%%".to_owned(),
            format!("Bearer {}", person.user_token),
            format!("Bearer {}", person.vault_token),
        ] {
            let client = app.anonymous().header("authorization", &header);
            bodies.push(refused(client.post_form(PATH, &[token]).await));
        }
        for pair in [("gateway", "wrong"), ("nobody", SECRET), ("gateway", "")] {
            let fields = [token, ("client_id", pair.0), ("client_secret", pair.1)];
            bodies.push(refused(app.anonymous().post_form(PATH, &fields).await));
        }
        let query = format!("{PATH}?client_id=gateway&client_secret={SECRET}");
        bodies.push(refused(app.anonymous().post_form(&query, &[token]).await));
        assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]), "{bodies:?}");

        let in_body = [token, ("client_id", "gateway"), ("client_secret", SECRET)];
        let answer = app.anonymous().post_form(PATH, &in_body).await.expect(200);
        assert_eq!(answer.json()["active"], true);
        let named_twice = as_client(app).post_form(PATH, &[token, ("client_id", "gateway")]).await;
        assert_eq!(named_twice.expect(200).json()["active"], true);
    }
);

both!(
    a_form_that_breaks_the_rules_is_refused,
    ["introspection.clients" = crate::introspection::CLIENT],
    async |app| {
        let person = app.verified("ada@example.org").await;
        let (token, client) = (("token", person.vault_token.as_str()), as_client(app));
        let invalid = |answer: Answer| {
            let answer = answer.expect_problem(400, "malformed-request");
            assert_eq!(answer.json()["error"], "invalid_request");
        };
        invalid(client.post_form(PATH, &[]).await);
        invalid(client.post_form(PATH, &[("token", "")]).await);
        invalid(client.post_form(PATH, &[token, token]).await);
        invalid(client.post_form(PATH, &[token, ("x", "1"), ("x", "2")]).await);
        invalid(client.post_form(PATH, &[token, ("client_secret", SECRET)]).await);
        invalid(client.post_form(PATH, &[token, ("client_id", "another")]).await);
        let kind = Some("application/x-www-form-urlencoded");
        invalid(client.send(Method::POST, PATH, kind, Bytes::from_static(b"token=%ff")).await);
        let answer = client.post_json(PATH, json!({ "token": person.vault_token })).await;
        assert_eq!(
            answer.expect_problem(415, "unsupported-media-type").json()["error"],
            "invalid_request"
        );
        client.get(PATH).await.expect_problem(405, "method-not-allowed");
        let many = vec![("token", "x"); 3_000];
        client.post_form(PATH, &many).await.expect_problem(413, "body-too-large");
        for hint in ["access_token", "refresh_token", "nonsense"] {
            let fields = [token, ("token_type_hint", hint)];
            assert_eq!(client.post_form(PATH, &fields).await.expect(200).json()["active"], true);
        }
    }
);

both!(without_clients_nobody_may_ask, async |app| {
    let person = app.verified("ada@example.org").await;
    let answer = as_client(app).post_form(PATH, &[("token", &person.vault_token)]).await;
    answer.expect_problem(401, "invalid-credentials");
});

both!(
    a_client_is_not_limited_and_one_that_fails_is,
    ["introspection.clients" = crate::introspection::CLIENT, "rate_limit.enabled" = "true"],
    async |app| {
        for _ in 0..400 {
            is_inactive(app, "x").await;
        }
        for _ in 0..20 {
            app.anonymous().post_form(PATH, &[("token", "x")]).await.expect(401);
        }
        let answer = app.anonymous().post_form(PATH, &[("token", "x")]).await;
        let wait: u64 = answer.header("retry-after").expect("a wait").parse().expect("seconds");
        answer.expect_problem(429, "rate-limited");
        // Requests with wrong credentials never delay requests with correct credentials.
        is_inactive(app, "x").await;
        app.clock.advance(Duration::from_secs(wait));
        app.anonymous().post_form(PATH, &[("token", "x")]).await.expect(401);
    }
);

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_agree_on_servers() {
    let app = TestApp::builder(Backend::Servers).set("introspection.clients", CLIENT).start().await;
    let replica = app.replica().await;
    let person = app.verified("ada@example.org").await;
    let other = person.another_device().await;
    is_active(&replica, &person.vault_token).await;
    person.logout().await.expect(204);
    is_inactive(&replica, &person.vault_token).await;
    let revoke = [("token", other.vault_token.as_str())];
    app.anonymous().post_form("/api/revoke", &revoke).await.expect(200);
    is_inactive(&replica, &other.vault_token).await;
    is_active(&replica, &other.user_token).await;
    replica.finish().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_down_is_503_and_never_an_answer_on_servers() {
    let mut redis = PrivateServer::redis().await;
    let app = TestApp::builder(Backend::Servers)
        .set("redis.url", &redis.url())
        .set("introspection.clients", CLIENT)
        .start()
        .await;
    let person = app.verified("ada@example.org").await;
    redis.signal(Signal::Kill);
    let token = [("token", person.vault_token.as_str())];
    let asked = as_client(&app).post_form(PATH, &token).await;
    asked.expect_problem(503, "dependency-unavailable");
    let asked = person.as_vault().get("/api/forward-auth").await;
    asked.expect_problem(503, "dependency-unavailable");
    // These requests do not need the token store. latchkey stores a revocation in SQL.
    is_inactive(&app, "x").await;
    app.anonymous().post_form("/api/revoke", &token).await.expect(200);
    redis.restart().await;
    crate::poll::eventually("the token store", Duration::from_secs(10), async || {
        let asked = as_client(&app).post_form(PATH, &token).await;
        (asked.status == 200).then_some(())
    })
    .await;
    is_inactive(&app, &person.vault_token).await;
    app.finish().await;
}
