//! Tests of the headers that every response must have, and of the headers that must not be in any
//! response.

use hyper::Method;
use latchkey::actor::{FairPermit, PermitHolder};
use serde_json::json;

use crate::app::{TestApp, both};
use crate::client::Answer;

const API_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

/// Returns one response of each kind, with a name that says its kind.
async fn answers(app: &TestApp) -> Vec<(&'static str, Answer)> {
    let person = app.register("ada@headers.example").await;
    let (nobody, user) = (app.anonymous(), person.as_user());
    let mut answers = vec![
        ("200 tokens", nobody.login(&person.email, &person.password).await.expect(200)),
        ("200 JSON", user.get("/api/me").await.expect(200)),
        ("200 true", nobody.exists(&person.email).await.expect(200)),
        ("200 captcha", nobody.get("/api/captcha").await.expect(200)),
        ("204", user.bare(Method::DELETE, "/api/sessions").await.expect(204)),
        ("204 OPTIONS", nobody.bare(Method::OPTIONS, "/api/me").await.expect(204)),
        ("400", nobody.verify("unknown").await.expect(400)),
        ("401", nobody.get("/api/me").await.expect(401)),
        ("403", user.header("Sec-Purpose", "prefetch").get("/api/refresh").await.expect(403)),
        ("404", nobody.get("/nowhere").await.expect(404)),
        ("405", nobody.get("/api/login").await.expect(405)),
        ("409", nobody.register(&person.email, "nine lives of a cat", "A").await.expect(409)),
        ("415", nobody.post_form("/api/login", &[]).await.expect(415)),
        ("422", nobody.post_json("/api/login", json!({})).await.expect(422)),
        ("HEAD", user.bare(Method::HEAD, "/api/me").await.expect(200)),
        ("page", nobody.get("/docs").await.expect(200)),
        ("page of a problem", nobody.get("/problems/invalid-token").await.expect(200)),
        ("page of a link", nobody.get("/verify-email?token=x").await),
        ("page of a reset", nobody.get("/reset-password?token=x").await),
        ("JWKS", nobody.get("/.well-known/jwks.json").await.expect(200)),
        ("discovery", nobody.get("/.well-known/openid-configuration").await.expect(200)),
        ("OpenAPI", nobody.get("/openapi.json").await.expect(200)),
    ];
    let long = "a".repeat(20_000);
    let twice = nobody.header("Authorization", "Bearer a").header("Authorization", "Bearer b");
    let endless = nobody.header("Authorization", &format!("Bearer {}", &long[..9_000]));
    answers.extend([
        ("400 in the head", twice.get("/api/me").await.expect(400)),
        ("400 of JSON", nobody.post_json("/api/login", json!([])).await.expect(400)),
        ("404 of a page", nobody.get("/problems/nowhere").await.expect(404)),
        ("405 OPTIONS", nobody.bare(Method::PUT, "/api/me").await.expect(405)),
        ("413", nobody.post_json("/api/login", json!({ "email": long })).await.expect(413)),
        ("414", nobody.get(&format!("/{}", &long[..5_000])).await.expect(414)),
        ("431", endless.get("/api/me").await.expect(431)),
    ]);
    app.mail_to(&person.email).await;
    let _all = all_places(app);
    answers.push(("503", nobody.get("/api/me").await.expect(503)));
    answers
}

fn all_places(app: &TestApp) -> Vec<FairPermit> {
    let places = &app.inside().gate.in_flight;
    std::iter::from_fn(|| places.take(PermitHolder::NOBODY).ok()).collect()
}

both!(every_answer_is_hardened, async |app| {
    for (name, answer) in answers(app).await {
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{name}");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{name}");
        assert_eq!(answer.header("x-frame-options"), Some("DENY"), "{name}");
        let policy = answer.header("content-security-policy").unwrap_or_default().to_owned();
        let is_page = name.starts_with("page");
        assert_eq!(policy == API_POLICY, !is_page, "{name}: {policy}");
        assert!(policy.starts_with("default-src 'none'; "), "{name}: {policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{name}: {policy}");
        assert!(!policy.contains("unsafe"), "{name}: {policy}");
        let is_public = matches!(name, "JWKS" | "discovery");
        let shared = if is_public { "cross-origin" } else { "same-origin" };
        assert_eq!(answer.header("cross-origin-resource-policy"), Some(shared), "{name}");
        for absent in ["server", "set-cookie", "x-powered-by", "strict-transport-security"] {
            assert_eq!(answer.header(absent), None, "{name}");
        }
        // A client is allowed to cache a response that is the same for all clients, so this
        // response has an entity tag. A response about a user has no entity tag.
        let is_tagged = matches!(name, "OpenAPI" | "page");
        assert_eq!(answer.header("etag").is_some(), is_tagged, "{name}");
        assert!(answer.header("x-request-id").is_some_and(|id| id.len() >= 16), "{name}");
        let typed = answer.header("content-type").is_some();
        assert_eq!(typed, !name.starts_with("204"), "{name}");
        if !is_public && !matches!(name, "OpenAPI" | "page" | "page of a problem") {
            assert_eq!(answer.header("cache-control"), Some("no-store"), "{name}");
        }
    }
    let keys = app.anonymous().get("/.well-known/jwks.json").await;
    assert_eq!(keys.header("cache-control"), Some("public, max-age=300"));
});

both!(the_admin_listener_is_hardened_as_the_public_one_is, async |app| {
    let admin = app.admin();
    for (name, answer) in [
        ("/livez", admin.get("/livez").await.expect(200)),
        ("/readyz", admin.get("/readyz").await.expect(200)),
        ("/metrics", admin.get("/metrics").await.expect(200)),
        ("HEAD", admin.bare(Method::HEAD, "/metrics").await.expect(200)),
        ("404", admin.get("/nowhere").await.expect(404)),
        ("405", admin.bare(Method::POST, "/livez").await.expect(405)),
    ] {
        for (header, value) in [
            ("x-content-type-options", "nosniff"),
            ("content-security-policy", API_POLICY),
            ("referrer-policy", "no-referrer"),
            ("x-frame-options", "DENY"),
            ("cross-origin-resource-policy", "same-origin"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(answer.header(header), Some(value), "{name}: {header}");
        }
        assert!(answer.header("content-type").is_some(), "{name}");
        for absent in ["server", "set-cookie", "access-control-allow-origin"] {
            assert_eq!(answer.header(absent), None, "{name}: {absent}");
        }
    }
});

both!(a_429_is_hardened_as_any_other_answer, ["rate_limit.enabled" = "true"], async |app| {
    let nobody = app.anonymous();
    let mut told = nobody.exists("ada@headers.example").await;
    for _ in 0..20 {
        if told.status == 429 {
            break;
        }
        told = nobody.exists("ada@headers.example").await;
    }
    assert_eq!(told.status, 429);
    assert_eq!(told.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(told.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(told.header("content-security-policy"), Some(API_POLICY));
    assert_eq!(told.header("cross-origin-resource-policy"), Some("same-origin"));
    assert_eq!(told.header("cache-control"), Some("no-store"));
    assert!(told.header("retry-after").is_some_and(|wait| wait.parse::<u32>().is_ok()));
});

both!(a_401_says_how_to_come_in, async |app| {
    let without = app.anonymous().get("/api/me").await;
    assert_eq!(without.header("www-authenticate"), Some("Bearer realm=\"latchkey\""));
    let with = app.anonymous().bearer("nonsense").get("/api/me").await;
    let challenge = with.header("www-authenticate").expect("a challenge").to_owned();
    assert!(challenge.starts_with("Bearer ") && challenge.contains("error=\"invalid_token\""));
    let basic = app.anonymous().header("Authorization", "Basic YTpi").get("/api/me").await;
    // If the client sent no token, the challenge has no `error` (RFC 6750 §3.1).
    assert_eq!(basic.header("www-authenticate"), Some("Bearer realm=\"latchkey\""));
    basic.expect_problem(401, "invalid-token");
    // latchkey reads the token only from the header, and not from the query (RFC 6750 §2).
    let person = app.register("ada@header-only.example").await;
    let query = format!("/api/me?access_token={}", person.user_token);
    app.anonymous().get(&query).await.expect(401);
    app.mail_to(&person.email).await;
});

both!(without_a_list_no_origin_may_read, async |app| {
    let browser = app.anonymous().header("Origin", "https://app.example");
    for answer in [browser.get("/api/me").await, browser.bare(Method::OPTIONS, "/api/me").await] {
        assert_eq!(answer.header("access-control-allow-origin"), None);
        assert_eq!(answer.header("access-control-allow-credentials"), None);
    }
});

both!(
    an_origin_is_listed_in_any_form_and_compared_as_browsers_send_it,
    ["http.cors_origins" = "HTTPS://App.Example.com,https://app2.example.com:443/,\
                               https://b\u{fc}cher.example,http://[0::1]:3000"],
    async |app| {
        for origin in [
            "https://app.example.com",
            "https://app2.example.com",
            "https://xn--bcher-kva.example",
            "http://[::1]:3000",
        ] {
            let answer = app.anonymous().header("Origin", origin).get("/api/me").await;
            assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
        }
    }
);

both!(
    a_page_may_send_the_headers_of_tracing_sdks_and_no_others,
    ["http.cors_origins" = "https://app.example"],
    async |app| {
        let browser = app
            .anonymous()
            .header("Origin", "https://app.example")
            .header("Access-Control-Request-Method", "POST");
        let wanted = "baggage,content-type,sentry-trace,traceparent,tracestate,x-request-id";
        let mut listed = Vec::new();
        for wanted in [wanted, "x-arbitrary", "*"] {
            let preflight = browser
                .header("Access-Control-Request-Headers", wanted)
                .bare(Method::OPTIONS, "/api/login")
                .await
                .expect(204);
            let headers = preflight.header("access-control-allow-headers").unwrap_or_default();
            listed.push(headers.to_ascii_lowercase());
        }
        let names: Vec<_> = listed[0].split(", ").collect();
        for name in wanted.split(',') {
            assert!(names.contains(&name), "{name}: {names:?}");
        }
        // The list does not depend on what the page asks for.
        assert!(listed.iter().all(|list| *list == listed[0]), "{listed:?}");
    }
);

both!(
    only_listed_origins_may_read,
    ["http.cors_origins" = "https://app.example,http://localhost:3000"],
    async |app| {
        for (origin, allowed) in [
            ("https://app.example", true),
            ("http://localhost:3000", true),
            ("https://app.example.evil.example", false),
            ("http://app.example", false),
            ("https://app.example:8443", false),
            ("https://app.example:443", false),
            ("https://app.example/", false),
            ("https://app.example.", false),
            ("https://APP.example", false),
            ("HTTPS://app.example", false),
            ("https://evil-app.example", false),
            ("https://evil.app.example", false),
            ("https://app.exampleevil", false),
            ("https://app.example@evil.example", false),
            ("https://evil.example#https://app.example", false),
            ("https://app.example https://evil.example", false),
            ("https://app.example,http://localhost:3000", false),
            ("http://localhost", false),
            ("http://localhost:30000", false),
            ("http://127.0.0.1:3000", false),
            ("file://", false),
            ("*", false),
            ("", false),
            ("NULL", false),
            ("null", false),
        ] {
            let browser = app.anonymous().header("Origin", origin);
            let preflight = browser
                .header("Access-Control-Request-Method", "POST")
                .header("Access-Control-Request-Headers", "content-type")
                .bare(Method::OPTIONS, "/api/login")
                .await
                .expect(204);
            let methods = preflight.header("access-control-allow-methods").unwrap_or_default();
            assert!(methods.contains("POST"), "{methods}");
            let headers = preflight.header("access-control-allow-headers").unwrap_or_default();
            assert!(headers.to_ascii_lowercase().contains("authorization, content-type"));
            let answers = [preflight, browser.get("/api/me").await, browser.get("/nowhere").await];
            for answer in answers {
                let expected = allowed.then_some(origin);
                assert_eq!(answer.header("access-control-allow-origin"), expected, "{origin}");
                assert_eq!(answer.header("access-control-allow-credentials"), None);
                let vary = answer.header("vary").unwrap_or_default();
                assert!(vary.contains("Origin"), "{origin}: {vary}");
            }
        }
    }
);
