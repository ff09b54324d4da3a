//! Tests of HTTP methods, of GET requests that change state, and of the admission of requests.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::StreamBody;
use hyper::Method;
use hyper::body::Frame;
use latchkey::http::cx::{Peer, Transport};
use latchkey::http::dispatch::Dispatcher;

use super::{Raw, bare};
use crate::app::{Backend, TestApp, both};
use crate::client::encoded;

both!(head_and_prefetch_change_nothing, async |app| {
    let person = app.register("ada@guards.example").await;
    let mail = app.mail_to("ada@guards.example").await;
    let user = person.as_user();
    let paths = [
        format!("/api/verify-email/{}", encoded(mail.token())),
        "/api/resend-email-verification".to_owned(),
        "/api/refresh".to_owned(),
    ];
    for path in &paths {
        let head = user.bare(Method::HEAD, path).await.expect(405);
        assert_eq!(head.header("allow"), Some("OPTIONS, GET"), "{path}");
        for (name, value) in [
            ("Sec-Purpose", "prefetch"),
            ("Sec-Purpose", "prefetch;prerender"),
            ("Sec-Purpose", "prefetch;anonymous-client-ip"),
            ("Purpose", "prefetch"),
            ("X-Moz", "prefetch"),
        ] {
            let prefetch = user.header(name, value).get(path).await;
            prefetch.expect_problem(403, "forbidden");
        }
    }
    app.no_mail_to("ada@guards.example").await;
    assert_eq!(person.me().await.expect(200).json()["emailVerified"], false);
    let mut person = person;
    let before = person.user_token.clone();
    person.refresh().await.expect(200);
    assert_ne!(person.user_token, before, "the token was not rotated by anything before");
    person.verify(mail.token()).await.expect(200);
});

both!(a_browser_that_follows_the_link_is_led_to_the_page, async |app| {
    let mut person = app.register("eve@guards.example").await;
    let mail = app.mail_to("eve@guards.example").await;
    let browser = app.anonymous().header("Sec-Fetch-Mode", "navigate");
    let path = format!("/api/verify-email/{}", encoded(mail.token()));
    for _ in 0..2 {
        let led = browser.get(&path).await.expect(303);
        assert_eq!(
            led.header("location"),
            Some(&*format!("/verify-email?token={}", encoded(mail.token())))
        );
        assert_eq!(led.header("cache-control"), Some("no-store"));
    }
    let page = browser.get(&format!("/verify-email?token={}", mail.token())).await.expect(200);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(person.me().await.expect(200).json()["emailVerified"], false);
    person.verify(mail.token()).await.expect(200);
    // The token in the path is any text that a path can contain. In the redirect, this text must
    // stay inside the query.
    let odd = browser.get("/api/verify-email/a%26b%0d%0aX-A:%201").await.expect(303);
    assert_eq!(odd.header("location"), Some("/verify-email?token=a%26b%0d%0aX-A:%201"));
    assert_eq!(odd.header("x-a"), None);
});

both!(only_listed_methods_are_known, async |app| {
    for method in ["PUT", "TRACE", "PATCH", "DELETE", "GET", "BREW"] {
        let bytes = app.raw(&bare(method, "/api/login", &[("Connection", "close")])).await;
        let answer = Raw::first(&bytes).0;
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.header("allow"), Some("OPTIONS, POST"), "{method}");
    }
    for (method, path, allow) in [
        (Method::HEAD, "/api/login", "OPTIONS, POST"),
        (Method::PUT, "/api/me", "OPTIONS, GET, HEAD, PATCH, DELETE"),
        (Method::POST, "/api/refresh", "OPTIONS, GET"),
        (Method::POST, "/.well-known/jwks.json", "OPTIONS, GET, HEAD"),
        (Method::GET, "/api/logout", "OPTIONS, POST"),
    ] {
        let answer = app.anonymous().bare(method, path).await;
        assert_eq!(answer.header("allow"), Some(allow), "{path}");
        assert_eq!(answer.status, 405, "{path}");
    }
    for name in ["X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"] {
        let answer =
            app.anonymous().header(name, "DELETE").bare(Method::POST, "/api/sessions").await;
        answer.expect_problem(405, "method-not-allowed");
    }
    // The target of CONNECT is a host and a port, and never a path of latchkey (RFC 9110 §9.3.6).
    for target in ["127.0.0.1:80", "/api/login"] {
        let bytes = app.raw(&bare("CONNECT", target, &[("Connection", "close")])).await;
        let answer = Raw::first(&bytes).0;
        assert!(matches!(answer.status, 400 | 404 | 405), "{target}: {}", answer.status);
    }
    let options = app.anonymous().bare(Method::OPTIONS, "/api/me").await.expect(204);
    assert_eq!(options.header("allow"), Some("OPTIONS, GET, HEAD, PATCH, DELETE"));
    assert!(options.body.is_empty());
    app.anonymous().bare(Method::OPTIONS, "/nowhere").await.expect_problem(404, "not-found");
});

both!(an_unknown_path_is_a_404_that_does_not_repeat_it, async |app| {
    for path in [
        "/api/nowhere",
        "/api/login/",
        "/api//login",
        "/API/login",
        "/api/login/..",
        "/%61pi/login",
        "/assets/../Cargo.toml",
        "/assets/%2e%2e%2fCargo.toml",
        "/metrics",
        "/readyz",
        "/livez",
        "/<script>planted</script>",
    ] {
        let bytes = app.raw(&bare("GET", path, &[("Connection", "close")])).await;
        let answer = Raw::only(&bytes);
        if answer.status != 400 {
            assert_eq!(answer.problem(), (404, "not-found".to_owned()), "{path}");
        }
        assert!(!String::from_utf8_lossy(&answer.body).contains("planted"));
    }
});

both!(beyond_the_cap_requests_are_shed_at_once, ["http.max_in_flight" = "1"], async |app| {
    let only = app
        .inside()
        .gate
        .in_flight
        .take(latchkey::actor::PermitHolder::NOBODY)
        .expect("nobody else asks");
    let shed = app.anonymous().login("a@b.example", "some password").await;
    assert_eq!(shed.header("retry-after"), Some("1"));
    shed.expect_problem(503, "overloaded");
    // Refresh requests have their own permits, so this request is still served.
    app.anonymous().get("/api/refresh").await.expect_problem(401, "invalid-token");
    drop(only);
    app.anonymous().login("a@b.example", "some password").await.expect(401);
});

/// The test calls the dispatcher directly, with a clock that the test advances. Over a socket the
/// test would take 15 s.
#[tokio::test]
async fn a_body_that_does_not_come_is_a_408_embedded() {
    let app = TestApp::start(Backend::Embedded).await;
    let dispatcher = Dispatcher::new(app.inside().clone());
    let never = futures_util::stream::pending::<Result<Frame<Bytes>, Infallible>>();
    let body = StreamBody::new(never);
    let request =
        hyper::Request::post("/api/login").header("host", "x").body(body).expect("a request");
    let peer = Peer { address: [127, 0, 0, 1].into(), transport: Transport::Plain };
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    let answer = dispatcher.serve(peer, request).await;
    assert_eq!(began.elapsed().as_secs(), 15);
    tokio::time::resume();
    assert_eq!(answer.status(), 408);
    for (name, value) in [
        ("content-type", "application/problem+json"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(answer.headers()[name], value);
    }
    app.finish().await;
}
