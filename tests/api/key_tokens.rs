//! Tests of project keys. They check how a client with a key gets a token at `POST /api/token`, how
//! it introspects tokens, and how long a token of the key is valid.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::app::{PUBLIC_URL, TestApp, both};
use crate::ask::sql;
use crate::client::{Answer, claims, jose_header};
use crate::introspection::{is_active, is_inactive};
use crate::people::{ProjectKey, claim, id_of, people};
use crate::project_keys::names;

const TOKEN: &str = "/api/token";

/// Fails the test unless the response is the refusal for an invalid project key.
#[track_caller]
fn is_no_client(answer: Answer) -> Value {
    let challenge = answer.header("www-authenticate").map(str::to_owned);
    assert_eq!(challenge.as_deref(), Some("Basic realm=\"latchkey\", charset=\"UTF-8\""));
    let mut body = answer.expect_problem(401, "invalid-credentials").json();
    assert_eq!(body["error"], "invalid_client");
    body["traceId"] = Value::Null;
    body
}

#[track_caller]
fn is_refused(answer: Answer, error: &str) {
    let body = answer.expect_problem(400, "malformed-request").json();
    assert_eq!(body["error"], error);
}

/// Introspects a token with the credentials of a project key.
async fn introspect(app: &TestApp, key: &ProjectKey, token: &str) -> Value {
    key.client(app).post_form("/api/introspect", &[("token", token)]).await.expect(200).json()
}

both!(a_key_becomes_a_token_of_its_team_and_project, async |app| {
    let [ada] = people(app, ["ada"]).await;
    let key = ada.make_key(&["vault:write", "vault:read"]).await;
    let answer = key.ask(app, &[]).await.expect(200);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("pragma"), Some("no-cache"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let answer = answer.json();
    assert_eq!(names(&answer), ["access_token", "expires_in", "scope", "token_type"]);
    assert_eq!((&answer["token_type"], &answer["expires_in"]), (&json!("Bearer"), &json!(300)));
    assert_eq!(answer["scope"], "vault:read vault:write");
    let token = answer["access_token"].as_str().expect("text");
    let said = claims(token);
    let expected =
        ["aud", "client_id", "exp", "iat", "iss", "jti", "nbf", "pid", "scope", "sub", "tid"];
    assert_eq!(names(&said), expected);
    assert_eq!((&said["sub"], &said["client_id"]), (&json!(key.id), &json!(key.id)));
    assert_eq!((&said["iss"], &said["aud"]), (&json!(PUBLIC_URL), &json!("vault")));
    assert_eq!(said["tid"], claim(&ada, "tid"));
    assert_eq!(said["pid"], claim(&ada, "pid"));
    assert_eq!(jose_header(token)["typ"], "at+jwt");

    let passed = app.anonymous().bearer(token).get("/api/forward-auth").await.expect(200);
    assert_eq!(passed.header("x-latchkey-subject"), Some(key.id.as_str()));
    assert_eq!(passed.header("x-latchkey-role"), Some(""));
    assert_eq!(passed.header("x-latchkey-scope"), Some("vault:read vault:write"));
    // The routes of latchkey's own API do not accept the token.
    let client = app.anonymous().bearer(token);
    for path in ["/api/me", "/api/refresh", "/api/teams", &ada.keys()] {
        client.get(path).await.expect_problem(401, "invalid-token");
    }
});

both!(a_scope_narrows_and_never_widens, async |app| {
    let [ada] = people(app, ["ada"]).await;
    let key = ada.make_key(&["vault:write", "vault:read"]).await;
    for (asked, given) in [
        ("vault:read", "vault:read"),
        ("vault:write vault:read", "vault:read vault:write"),
        ("vault:read vault:read", "vault:read"),
        ("", "vault:read vault:write"),
    ] {
        let answer = key.ask(app, &[("scope", asked)]).await.expect(200).json();
        assert_eq!(answer["scope"], given, "{asked:?}");
        let token = answer["access_token"].as_str().expect("text");
        assert_eq!(claims(token)["scope"], given);
        app.anonymous().bearer(token).get("/api/forward-auth").await.expect(200);
    }
    for wrong in
        ["vault:manage", "vault:read team:own", "vault:read  vault:write", " ", "VAULT:READ"]
    {
        is_refused(key.ask(app, &[("scope", wrong)]).await, "invalid_scope");
    }
});

both!(
    the_grant_is_refused_as_the_rfc_has_it,
    ["introspection.clients" = crate::introspection::CLIENT],
    async |app| {
        let [ada, eve] = people(app, ["ada", "eve"]).await;
        let (key, other) =
            (ada.make_key(&["vault:read"]).await, eve.make_key(&["vault:read"]).await);
        let grant = ("grant_type", "client_credentials");
        let (id, secret) = (("client_id", key.id.as_str()), ("client_secret", key.secret.as_str()));
        let form = async |fields: &[(&str, &str)]| app.anonymous().post_form(TOKEN, fields).await;
        form(&[grant, id, secret]).await.expect(200);
        key.ask(app, &[id]).await.expect(200);
        is_refused(key.ask(app, &[id, secret]).await, "invalid_request");
        is_refused(key.ask(app, &[("client_id", &other.id)]).await, "invalid_request");
        is_refused(
            key.ask(app, &[("scope", "vault:read"), ("scope", "x")]).await,
            "invalid_request",
        );
        is_refused(key.client(app).post_form(TOKEN, &[]).await, "invalid_request");
        for grant in ["password", "authorization_code", "refresh_token", "CLIENT_CREDENTIALS"] {
            let asked = key.client(app).post_form(TOKEN, &[("grant_type", grant)]).await;
            is_refused(asked, "unsupported_grant_type");
        }
        let operator = crate::introspection::as_client(app).post_form(TOKEN, &[grant]).await;
        is_refused(operator, "unauthorized_client");
        let json = json!({ "grant_type": "client_credentials" });
        let json = key.client(app).post_json(TOKEN, json).await;
        let json = json.expect_problem(415, "unsupported-media-type").json();
        assert_eq!(json["error"], "invalid_request");
        key.client(app).get(TOKEN).await.expect_problem(405, "method-not-allowed");

        let mut refusals = vec![is_no_client(form(&[grant]).await)];
        let stranger = latchkey::team::key_text::make(uuid::Uuid::from_u128(7));
        let forged = latchkey::team::key_text::make(key.id.parse().expect("an id"));
        let other_last = if key.secret.ends_with('0') { "1" } else { "0" };
        let spoilt = format!("{}{other_last}", &key.secret[..key.secret.len() - 1]);
        for (id, secret) in [
            (key.id.as_str(), other.secret.as_str()),
            (&other.id, &key.secret),
            (&key.id, forged.expose()),
            (&key.id, &spoilt),
            (&key.id, &key.secret[3..]),
            (&key.id, "x"),
            ("00000000-0000-0000-0000-000000000007", stranger.expose()),
            (&key.id.to_uppercase(), &key.secret),
            (&key.id.replace('-', ""), &key.secret),
            ("latchkey", &key.secret),
        ] {
            refusals.push(is_no_client(
                form(&[grant, ("client_id", id), ("client_secret", secret)]).await,
            ));
            let basic = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
            let client = app.anonymous().header("authorization", &basic);
            refusals.push(is_no_client(client.post_form(TOKEN, &[grant]).await));
        }
        for header in [format!("Bearer {}", key.secret), format!("Bearer {}", ada.user_token)] {
            let client = app.anonymous().header("authorization", &header);
            refusals.push(is_no_client(client.post_form(TOKEN, &[grant]).await));
        }
        assert!(refusals.windows(2).all(|pair| pair[0] == pair[1]), "{refusals:?}");
    }
);

both!(
    revoking_a_key_ends_it_and_its_tokens_at_once,
    ["introspection.clients" = crate::introspection::CLIENT],
    async |app| {
        let [ada] = people(app, ["ada"]).await;
        let (key, other) =
            (ada.make_key(&["vault:read"]).await, ada.make_key(&["vault:read"]).await);
        let (token, others) = (key.token(app).await, other.token(app).await);
        for token in [&token, &others] {
            is_active(app, token).await;
        }
        let one = format!("{}/{}", ada.keys(), key.id);
        ada.as_user().delete(&one).await.expect(204);
        ada.as_user().delete(&one).await.expect_problem(404, "not-found");
        is_no_client(key.ask(app, &[]).await);
        is_inactive(app, &token).await;
        let passed = app.anonymous().bearer(&token).get("/api/forward-auth").await;
        passed.expect_problem(401, "invalid-token");
        is_active(app, &others).await;
        // A client that has a token can revoke this token. Other tokens of the key stay active.
        let third = other.token(app).await;
        app.anonymous().post_form("/api/revoke", &[("token", &others)]).await.expect(200);
        is_inactive(app, &others).await;
        is_active(app, &third).await;
    }
);

both!(
    a_key_ends_with_its_time_its_project_and_its_team,
    ["introspection.clients" = crate::introspection::CLIENT],
    async |app| {
        let [mut ada] = people(app, ["ada"]).await;
        let end = latchkey::clock::rfc3339(app.clock.now() + 60_000);
        let body = json!({ "name": "short", "scopes": ["vault:read"], "expiresAt": end });
        let made = ada.as_user().post_json(&ada.keys(), body).await.expect(200).json();
        let text = |name: &str| made[name].as_str().expect("text").to_owned();
        let short = ProjectKey { id: text("id"), secret: text("secret") };
        let answer = short.ask(app, &[]).await.expect(200).json();
        let lives = answer["expires_in"].as_i64().expect("a number");
        assert!((59..=60).contains(&lives), "not beyond the key: {lives}");
        let token = answer["access_token"].as_str().expect("text").to_owned();
        is_active(app, &token).await;
        app.clock.advance(Duration::from_mins(1));
        is_inactive(app, &token).await;
        is_no_client(short.ask(app, &[]).await);

        let projects = format!("/api/teams/{}/projects", claim(&ada, "tid"));
        let project = ada.as_user().post_json(&projects, json!({ "name": "Two" })).await;
        let project = project.expect(200).json()["id"].as_str().expect("an id").to_owned();
        let key = ada.make_key_in(&project, &["vault:read"]).await;
        let token = key.token(app).await;
        is_active(app, &token).await;
        let path = format!("/api/teams/{}/projects/{project}", claim(&ada, "tid"));
        let confirmed = json!({ "name": "Two" });
        ada.as_user().json(hyper::Method::DELETE, &path, confirmed).await.expect(204);
        is_inactive(app, &token).await;
        is_no_client(key.ask(app, &[]).await);

        let team = ada.make_team("Short").await["id"].as_str().expect("an id").to_owned();
        ada.switch(&team, json!({})).await.expect(200);
        let key = ada.make_key(&["team:own"]).await;
        let token = key.token(app).await;
        is_active(app, &token).await;
        let path = format!("/api/teams/{team}");
        ada.as_user()
            .json(hyper::Method::DELETE, &path, json!({ "name": "Short" }))
            .await
            .expect(204);
        is_inactive(app, &token).await;
        is_no_client(key.ask(app, &[]).await);
    }
);

both!(a_key_introspects_its_own_teams_vault_tokens_alone, async |app| {
    let [ada, eve] = people(app, ["ada", "eve"]).await;
    let (key, other) = (ada.make_key(&["vault:read"]).await, eve.make_key(&["vault:read"]).await);
    let token = key.token(app).await;
    let said = introspect(app, &key, &ada.vault_token).await;
    assert_eq!((&said["active"], &said["sub"]), (&json!(true), &json!(id_of(&ada))));
    let said = introspect(app, &key, &token).await;
    assert_eq!((&said["active"], &said["client_id"]), (&json!(true), &json!(key.id)));
    assert_eq!(said["token_type"], "Bearer");
    assert!(["sid", "role", "mep"].iter().all(|name| said.get(name).is_none()), "{said}");
    for unseen in [&eve.vault_token, &other.token(app).await, &ada.user_token, &eve.user_token] {
        assert_eq!(introspect(app, &key, unseen).await, json!({ "active": false }));
    }
    assert_eq!(introspect(app, &key, "x").await, json!({ "active": false }));
    is_no_client({
        let forged = ProjectKey { id: key.id.clone(), secret: other.secret.clone() };
        forged.client(app).post_form("/api/introspect", &[("token", &token)]).await
    });
    ada.as_user().delete(&format!("{}/{}", ada.keys(), key.id)).await.expect(204);
    is_no_client(key.client(app).post_form("/api/introspect", &[("token", &token)]).await);
});

both!(
    a_token_whose_key_lost_a_right_or_its_place_is_inactive,
    ["introspection.clients" = crate::introspection::CLIENT],
    async |app| {
        let [ada, eve] = people(app, ["ada", "eve"]).await;
        let key = ada.make_key(&["vault:read", "vault:write"]).await;
        let token = key.token(app).await;
        let elsewhere = format!(
            "UPDATE project_keys SET team_id = (SELECT team_id FROM project_keys WHERE id <> {0}), \
             project_id = (SELECT project_id FROM project_keys WHERE id <> {0}) WHERE id = {0}",
            sql_id(app, &key.id)
        );
        eve.make_key(&["vault:read"]).await;
        let fewer = "UPDATE project_keys SET scopes = 'vault:read'".to_owned();
        for change in [fewer, elsewhere] {
            let token = if change.contains("SET scopes") { &token } else { &key.token(app).await };
            is_active(app, token).await;
            sql(app, &change).await;
            is_inactive(app, token).await;
        }
    }
);

/// Returns an id as an SQL literal for the kind of database that this daemon uses.
fn sql_id(app: &TestApp, id: &str) -> String {
    if app.inside().db.is_postgres() {
        return format!("'{id}'");
    }
    format!("x'{}'", id.replace('-', ""))
}

both!(
    wrong_secrets_are_limited_by_address_and_right_ones_are_not,
    ["rate_limit.enabled" = "true"],
    async |app| {
        let [ada] = people(app, ["ada"]).await;
        let key = ada.make_key(&["vault:read"]).await;
        for _ in 0..60 {
            key.token(app).await;
        }
        let wrong = ProjectKey { id: key.id.clone(), secret: format!("{}x", key.secret) };
        for _ in 0..20 {
            is_no_client(wrong.ask(app, &[]).await);
        }
        let answer = wrong.ask(app, &[]).await;
        let wait: u64 = answer.header("retry-after").expect("a wait").parse().expect("seconds");
        answer.expect_problem(429, "rate-limited");
        key.token(app).await;
        app.clock.advance(Duration::from_secs(wait));
        is_no_client(wrong.ask(app, &[]).await);
    }
);
