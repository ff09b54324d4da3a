//! Tests of the endpoints for programs: keys, discovery, OpenAPI, problem pages, and the headers of
//! every response.

use hyper::Method;
use latchkey::http::router::ROUTES;
use latchkey::problem::Code;
use serde_json::{Value, json};

use crate::app::{PUBLIC_URL, both};
use crate::client::jose_header;

both!(the_keys_are_public_and_of_the_vault_token_alone, async |app| {
    let person = app.register("ada@example.org").await;
    let answer = app.anonymous().get("/.well-known/jwks.json").await.expect(200);
    assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
    assert_eq!(answer.header("cross-origin-resource-policy"), Some("cross-origin"));
    let set = answer.json();
    let [key] = set["keys"].as_array().expect("keys").as_slice() else { panic!("{set}") };
    assert_eq!(key["kid"], jose_header(&person.vault_token)["kid"]);
    for (name, value) in [("kty", "EC"), ("crv", "P-256"), ("alg", "ES256"), ("use", "sig")] {
        assert_eq!(key[name], value, "{set}");
    }
    for secret in ["d", "k", "p", "q"] {
        assert_eq!(key.get(secret), None, "{set}");
    }
    app.anonymous().bare(Method::HEAD, "/.well-known/jwks.json").await.expect(200);
});

both!(
    a_shared_secret_is_never_published,
    [
        "tokens.algorithm" = "HS256",
        "tokens.secret" = "a secret of at least thirty-two bytes, this one",
        "tokens.allow_shared_secret" = "true"
    ],
    async |app| {
        let person = app.register("ada@example.org").await;
        assert_eq!(jose_header(&person.vault_token)["alg"], "HS256");
        let set = app.anonymous().get("/.well-known/jwks.json").await.expect(200).json();
        assert_eq!(set, json!({ "keys": [] }));
        // A token of one kind must not be accepted as a token of the other kind.
        person.as_vault().get("/api/me").await.expect_problem(401, "invalid-token");
    }
);

both!(discovery_leads_to_the_keys, async |app| {
    let answer = app.anonymous().get("/.well-known/openid-configuration").await.expect(200);
    let document = answer.json();
    assert_eq!(document["issuer"], PUBLIC_URL);
    assert_eq!(document["jwks_uri"], format!("{PUBLIC_URL}/.well-known/jwks.json"));
    assert_eq!(document["id_token_signing_alg_values_supported"], json!(["ES256"]));
    assert_eq!(document["token_endpoint"], format!("{PUBLIC_URL}/api/token"));
    assert_eq!(document["grant_types_supported"], json!(["client_credentials"]));
});

both!(the_api_describes_every_route, async |app| {
    let document = app.anonymous().get("/openapi.json").await.expect(200).json();
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1.")));
    for route in ROUTES.iter().filter(|route| route.operation.is_some()) {
        let verb = route.method.name().to_lowercase();
        let operation = &document["paths"][route.path][&verb];
        assert!(operation["operationId"].is_string(), "{verb} {}", route.path);
        assert!(operation["responses"].is_object(), "{verb} {}", route.path);
    }
    let ids: Vec<&Value> = document["paths"]
        .as_object()
        .expect("paths")
        .values()
        .flat_map(|path| path.as_object().expect("operations").values())
        .filter_map(|operation| operation.get("operationId"))
        .collect();
    let mut unique: Vec<String> = ids.iter().map(ToString::to_string).collect();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), ids.len(), "each operation has an id of its own: {ids:?}");
});

both!(every_problem_has_its_page, async |app| {
    for code in Code::ALL {
        let answer = app.anonymous().get(&format!("/problems/{}", code.name())).await.expect(200);
        assert!(answer.text().contains(code.name()), "{}", answer.text());
    }
    app.anonymous().get("/problems").await.expect(200);
    app.anonymous().get("/problems/nonsense").await.expect(404);
    app.anonymous().get("/docs").await.expect(200);
    app.anonymous().get("/").await.expect(200);
});

both!(the_description_is_sent_once_to_who_keeps_it, async |app| {
    for path in ["/docs", "/openapi.json"] {
        let first = app.anonymous().get(path).await.expect(200);
        let etag = first.header("etag").expect("an etag").to_owned();
        assert!(etag.starts_with('"') && etag.ends_with('"'), "{etag}");
        for known in
            [etag.clone(), format!("W/{etag}"), format!("\"other\", {etag}"), "*".to_owned()]
        {
            let again = app.anonymous().header("if-none-match", &known).get(path).await.expect(304);
            assert_eq!(again.text(), "", "{path}");
            assert_eq!(again.header("etag"), Some(etag.as_str()), "{path}");
        }
        let changed = app.anonymous().header("if-none-match", "\"other\"").get(path).await;
        assert_eq!(changed.expect(200).text(), first.text(), "{path}");
    }
});

both!(what_is_not_there_and_what_is_not_allowed, async |app| {
    let anonymous = app.anonymous();
    for path in
        ["/api", "/api/", "/api/login/", "/api/Login", "/metrics", "/livez", "/readyz", "/.env"]
    {
        anonymous.get(path).await.expect_problem(404, "not-found");
    }
    for (method, path, allow) in [
        (Method::GET, "/api/login", "OPTIONS, POST"),
        (Method::PUT, "/api/me", "OPTIONS, GET, HEAD, PATCH, DELETE"),
        (Method::POST, "/api/refresh", "OPTIONS, GET"),
        (Method::TRACE, "/api/me", "OPTIONS, GET, HEAD, PATCH, DELETE"),
    ] {
        let answer = anonymous.bare(method, path).await.expect_problem(405, "method-not-allowed");
        assert_eq!(answer.header("allow"), Some(allow), "{path}");
    }
    let overridden = anonymous.header("x-http-method-override", "DELETE").get("/api/captcha").await;
    overridden.expect(200);
    let long = format!("/api/exist-email/{}", "a".repeat(4_096));
    anonymous.get(&long).await.expect_problem(414, "uri-too-long");
    anonymous
        .bearer(&"a".repeat(9_000))
        .get("/api/me")
        .await
        .expect_problem(431, "headers-too-large");
});

both!(every_answer_has_the_headers_of_a_careful_server, async |app| {
    let person = app.register("ada@example.org").await;
    let answers = [
        person.me().await,
        person.logout().await,
        app.anonymous().get("/nowhere").await,
        app.anonymous().get("/api/login").await,
        app.anonymous().login("no address", "x").await,
        app.anonymous().get("/docs").await,
        app.anonymous().get("/openapi.json").await,
    ];
    for answer in &answers {
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        let policy = answer.header("content-security-policy").expect("a policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
        assert!(answer.header("x-request-id").is_some());
        for never in ["server", "set-cookie", "x-powered-by", "access-control-allow-origin"] {
            assert_eq!(answer.header(never), None, "{never}");
        }
    }
});
