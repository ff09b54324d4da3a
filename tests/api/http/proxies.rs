//! Tests of the headers that say where a request comes from, and of the proxies that are allowed to
//! send these headers.

use crate::app::{TestApp, both};
use crate::client::Person;
use crate::declared::operations;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// Registers a user with these `X-Forwarded-For` headers. Returns the IP address in the user's
/// session.
async fn seen_from(app: &TestApp, email: &str, forwarded: &[&str]) -> String {
    let mut client = (*app.anonymous()).clone();
    for value in forwarded {
        client = client.header("X-Forwarded-For", value);
    }
    let person = Person::register(&client, email).await;
    app.mail_to(email).await;
    let sessions = person.sessions().await.expect(200).json();
    sessions["items"][0]["ip"].as_str().expect("a session has an address").to_owned()
}

/// Says whether the trace id in a problem equals the trace id that the caller sent.
async fn goes_on(app: &TestApp) -> bool {
    let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let answer = app.anonymous().header("traceparent", &parent).get("/api/me").await.expect(401);
    answer.json()["traceId"] == TRACE
}

both!(
    a_trusted_proxy_is_believed,
    ["http.trusted_proxies" = "127.0.0.0/8,10.0.0.0/8"],
    async |app| {
        for (n, (forwarded, seen)) in [
            (vec!["203.0.113.7"], "203.0.113.7"),
            (vec!["6.6.6.6, 203.0.113.7, 10.1.2.3"], "203.0.113.7"),
            (vec!["6.6.6.6", "203.0.113.8"], "203.0.113.8"),
            (vec!["2001:db8::1"], "2001:db8::1"),
            (vec!["::ffff:203.0.113.9"], "203.0.113.9"),
            (vec!["203.0.113.10:51234"], "203.0.113.10"),
            (vec!["[2001:db8::3]:443"], "2001:db8::3"),
            (vec!["203.0.113.14,"], "203.0.113.14"),
            (vec!["unknown"], "127.0.0.1"),
            (vec!["203.0.113.7, <script>"], "127.0.0.1"),
            (vec![], "127.0.0.1"),
        ]
        .into_iter()
        .enumerate()
        {
            let email = format!("p{n}@proxied.example");
            assert_eq!(seen_from(app, &email, &forwarded).await, seen, "{forwarded:?}");
        }
        assert!(goes_on(app).await);
        let https = app.anonymous().header("X-Forwarded-Proto", "https").get("/api/me").await;
        let strict = https.header("strict-transport-security").expect("HSTS").to_owned();
        assert!(strict.contains("includeSubDomains"), "{strict}");
        let age = strict.split(['=', ';']).nth(1).and_then(|age| age.parse::<u64>().ok());
        assert!(age.is_some_and(|age| age >= 31_536_000), "{strict}");
        let http = app.anonymous().header("X-Forwarded-Proto", "http").get("/api/me").await;
        assert_eq!(http.header("strict-transport-security"), None);
    }
);

both!(
    what_a_proxy_took_in_clear_is_refused_where_https_is_promised,
    ["http.trusted_proxies" = "127.0.0.1/32"],
    async |app| {
        for said in ["http", "HTTP"] {
            let clear = app.anonymous().header("X-Forwarded-Proto", said);
            for path in ["/api/me", "/api/refresh", "/api/captcha", "/api/exist-email/a@b.example"]
            {
                let refused = clear.get(path).await;
                assert_eq!(refused.header("location"), None, "nothing is led to https");
                refused.expect_problem(403, "forbidden");
            }
            for (method, path) in operations() {
                if path.starts_with("/api/") && path != "/api/forward-auth" {
                    clear.bare(method, &path).await.expect_problem(403, "forbidden");
                }
            }
            // These requests are not refused. With `forward-auth` a proxy asks about the request of
            // another client, and the JWKS is public.
            clear.get("/api/forward-auth").await.expect_problem(401, "invalid-token");
            clear.get("/api/forward-auth/x").await.expect_problem(401, "invalid-token");
            clear.get("/.well-known/jwks.json").await.expect(200);
        }
        for said in ["https", "", "ftp"] {
            let other = app.anonymous().header("X-Forwarded-Proto", said);
            other.get("/api/me").await.expect_problem(401, "invalid-token");
        }
    }
);

both!(
    where_http_is_promised_it_is_served,
    ["http.trusted_proxies" = "127.0.0.1/32", "public_url" = "http://127.0.0.1:8080"],
    async |app| {
        let clear = app.anonymous().header("X-Forwarded-Proto", "http");
        clear.get("/api/me").await.expect_problem(401, "invalid-token");
    }
);

both!(anybody_else_is_not, ["http.trusted_proxies" = "192.0.2.0/24"], async |app| {
    assert_eq!(seen_from(app, "a@direct.example", &["203.0.113.7"]).await, "127.0.0.1");
    assert!(!goes_on(app).await);
    let https = app.anonymous().header("X-Forwarded-Proto", "https").get("/api/me").await;
    assert_eq!(https.header("strict-transport-security"), None);
    let http = app.anonymous().header("X-Forwarded-Proto", "http").get("/api/me").await;
    http.expect_problem(401, "invalid-token");
});
