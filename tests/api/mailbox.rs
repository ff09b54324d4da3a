//! Tests of the built-in mailbox over HTTP: which clients can reach it, and which credentials open
//! it.

use std::net::SocketAddr;

use hyper::Method;
use latchkey::mail::{COOKIE_TTL_S, MailboxKey};

use crate::app::{Backend, PUBLIC_URL, TestApp, both};
use crate::client::{Answer, Client};
use crate::nginx::Nginx;
use crate::proxy::Proxy;

/// A `public_url` on this machine.
const HERE: &str = "http://localhost:8080";
const HTML: &str = "text/html,application/xhtml+xml,*/*;q=0.8";
const PAGES: [&str; 2] = ["/dev/mailbox", "/dev/mailbox/messages"];

/// Reads the mailbox key from the data directory.
fn key(app: &TestApp) -> String {
    let file = app.inside().config.data_dir.join("mailbox-key");
    std::fs::read_to_string(file).expect("the key's file").trim().to_owned()
}

async fn embedded(public_url: &str) -> TestApp {
    TestApp::builder(Backend::Embedded).set("public_url", public_url).start().await
}

/// Returns `name=value` of the cookie that the response sets.
fn cookie(answer: &Answer) -> String {
    let cookie = answer.header("set-cookie").expect("a cookie");
    cookie.split(';').next().expect("a name and a value").to_owned()
}

/// Opens the mailbox with the key. Returns a client with the cookie that a browser gets.
async fn browser(client: &Client, key: &str) -> Client {
    let opened = client.get(&format!("/dev/mailbox?key={key}")).await.expect(303);
    client.header("Cookie", &cookie(&opened))
}

both!(
    the_mailbox_is_for_this_machine_alone,
    ["public_url" = "http://localhost:8080"],
    async |app| {
        let has_mailbox = app.inside().mailbox.is_some();
        assert_eq!(app.inside().mailbox_key.is_some(), has_mailbox);
        let key = if has_mailbox { key(app) } else { MailboxKey::random().expose().to_owned() };
        let with_key = app.anonymous().bearer(&key);
        let expected = if has_mailbox { 200 } else { 404 };
        for path in PAGES {
            for host in
                ["localhost", "localhost:8080", "[::1]:8080", "127.0.0.1", "app.localhost:1"]
            {
                let answer = with_key.header("Host", host).get(path).await;
                assert_eq!(answer.status, expected, "{path} at {host}");
            }
            for (name, value) in [
                ("Host", "latchkey.test"),
                ("Host", "localhost.evil.example"),
                ("Host", "127.0.0.1.evil.example:8080"),
                ("Host", "10.0.0.1"),
                ("Host", "0.0.0.0"),
                ("Forwarded", "for=127.0.0.1"),
                ("Via", "1.1 proxy"),
                ("X-Forwarded-For", "127.0.0.1"),
                ("X-Forwarded-Host", "localhost"),
                ("X-Forwarded-Proto", "http"),
                ("X-Forwarded-Server", "proxy"),
                ("X-Real-Ip", "127.0.0.1"),
                ("X-Client-Ip", "127.0.0.1"),
                ("X-Cluster-Client-Ip", "127.0.0.1"),
                ("X-Original-Forwarded-For", "127.0.0.1"),
                ("X-Envoy-External-Address", "127.0.0.1"),
                ("True-Client-Ip", "127.0.0.1"),
                ("CF-Connecting-IP", "127.0.0.1"),
                ("CDN-Loop", "cdn"),
                ("Fastly-Client-IP", "127.0.0.1"),
                ("Tailscale-User-Login", "ada@example.com"),
            ] {
                let answer = with_key.header(name, value).get(path).await;
                assert_eq!(answer.status, 404, "{path} with {name}: {value}");
                answer.expect_problem(404, "not-found");
            }
        }
        let elsewhere = with_key.header("Host", "evil.example");
        elsewhere.delete("/dev/mailbox/messages").await.expect_problem(404, "not-found");
    }
);

both!(
    with_a_public_url_elsewhere_nobody_opens_the_mailbox,
    ["public_url" = "https://auth.example"],
    async |app| {
        let person = app.register("ada@elsewhere.example").await;
        app.mail_to(&person.email).await;
        assert!(app.inside().mailbox_key.is_none());
        assert!(!app.inside().config.data_dir.join("mailbox-key").exists());
        let relay = Proxy::start(app.public_addr()).await;
        for address in [app.public_addr(), relay.address()] {
            for path in PAGES {
                for host in ["localhost", "127.0.0.1:8080", "auth.example"] {
                    let client = Client::new(address).header("Host", host);
                    client.get(path).await.expect_problem(404, "not-found");
                    let html = client.header("Accept", HTML).get(path).await;
                    html.expect_problem(404, "not-found");
                }
            }
        }
        let landing = app.anonymous().header("Host", "localhost").get("/").await.expect(200);
        assert!(!landing.text().contains("/dev/mailbox"));
    }
);

/// One way to send a key or a cookie, and the expected status if the daemon serves the mailbox.
struct Form {
    what: &'static str,
    header: Option<(&'static str, String)>,
    query: String,
    expected: u16,
}

fn forms(key: &str, cookie: &str) -> Vec<Form> {
    let other = MailboxKey::random();
    let (name, value) = cookie.split_once('=').expect("a cookie");
    let headers = [
        ("the key", "Authorization", format!("Bearer {key}"), 200),
        ("the scheme in lower case", "Authorization", format!("bearer {key}"), 200),
        ("another key", "Authorization", format!("Bearer {}", other.expose()), 401),
        ("a part of the key", "Authorization", format!("Bearer {}", &key[..42]), 401),
        ("more than the key", "Authorization", format!("Bearer {key}A"), 401),
        ("an empty key", "Authorization", "Bearer ".to_owned(), 401),
        ("another scheme", "Authorization", format!("Basic {key}"), 401),
        ("the cookie as key", "Authorization", format!("Bearer {value}"), 401),
        ("the cookie", "Cookie", cookie.to_owned(), 200),
        ("the cookie among others", "Cookie", format!("a=b; {cookie}; c=d"), 200),
        ("the cookie by another name", "Cookie", format!("x={value}"), 401),
        ("the key as cookie", "Cookie", format!("{name}={key}"), 401),
        ("an empty cookie", "Cookie", format!("{name}="), 401),
    ];
    let queries = [
        ("nothing", String::new(), 401),
        ("the key in the URL", format!("key={key}"), 303),
        ("another key in the URL", format!("key={}", other.expose()), 401),
        ("an empty key in the URL", "key=".to_owned(), 401),
        ("a wrong key first", format!("key=x&key={key}"), 401),
        ("the cookie as key in the URL", format!("key={value}"), 401),
    ];
    let headers = headers.map(|(what, name, value, expected)| Form {
        what,
        header: Some((name, value)),
        query: String::new(),
        expected,
    });
    let queries =
        queries.map(|(what, query, expected)| Form { what, header: None, query, expected });
    let beside_the_cookie = Form {
        what: "a wrong key beside the cookie",
        header: Some(("Cookie", cookie.to_owned())),
        query: "key=wrong".to_owned(),
        expected: 401,
    };
    headers.into_iter().chain(queries).chain([beside_the_cookie]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_path_of_the_mailbox_opens_with_its_key_alone_embedded() {
    let elsewhere = embedded(PUBLIC_URL).await;
    let app = embedded(HERE).await;
    let person = app.register("ada@mailbox.example").await;
    let id = app.mail_to(&person.email).await.id;
    let opened = app.anonymous().get(&format!("/dev/mailbox?key={}", key(&app))).await.expect(303);
    let paths = [
        "/dev/mailbox".to_owned(),
        "/dev/mailbox/messages".to_owned(),
        "/dev/mailbox/messages?to=ada@mailbox.example&wait=1s".to_owned(),
        format!("/dev/mailbox/{id}"),
        format!("/dev/mailbox/{id}/html"),
    ];
    let mut cells = 0;
    for path in &paths {
        for Form { what, header, query, expected } in forms(&key(&app), &cookie(&opened)) {
            let joint = if path.contains('?') { '&' } else { '?' };
            let path =
                if query.is_empty() { path.clone() } else { format!("{path}{joint}{query}") };
            let with = |app: &TestApp, html: bool| {
                let client = if html {
                    app.anonymous().header("Accept", HTML)
                } else {
                    (*app.anonymous()).clone()
                };
                header.iter().fold(client, |client, (name, value)| client.header(name, value))
            };
            for method in [Method::GET, Method::HEAD] {
                for html in [false, true] {
                    let answer = with(&app, html).bare(method.clone(), &path).await;
                    assert_eq!(answer.status, expected, "{method} {path} with {what}");
                    is_locked_properly(&answer, html && expected == 401, &method);
                    cells += 1;
                }
            }
            let away = with(&elsewhere, true).header("Host", "localhost").get(&path).await;
            away.expect_problem(404, "not-found");
        }
    }
    assert!(cells >= 380, "{cells}");
    app.finish().await;
    elsewhere.finish().await;
}

/// Checks that a 401 says how to authenticate, and that only a browser gets an HTML page.
#[track_caller]
fn is_locked_properly(answer: &Answer, is_page: bool, method: &Method) {
    if answer.status != 401 {
        return;
    }
    let challenge = answer.header("www-authenticate").expect("a challenge");
    assert!(challenge.starts_with("Bearer realm=\"latchkey\""), "{challenge}");
    assert_eq!(answer.header("set-cookie"), None);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    let kind = answer.header("content-type").expect("a type");
    let wanted = if is_page { "text/html; charset=utf-8" } else { "application/problem+json" };
    assert_eq!(kind, wanted);
    if *method == Method::HEAD {
        return;
    }
    let text = answer.text();
    assert!(text.contains("mailbox-key"), "it says where the key is: {text}");
    assert!(!text.contains("ada@"), "no mail is shown: {text}");
    if !is_page {
        assert_eq!(answer.json()["code"], "invalid-token");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_key_empties_the_mailbox_embedded() {
    let app = embedded(HERE).await;
    let person = app.register("ada@mailbox.example").await;
    app.mail_to(&person.email).await;
    let (local, key) = (app.anonymous(), key(&app));
    let browser = browser(&local, &key).await;
    let path = "/dev/mailbox/messages";
    local.delete(path).await.expect_problem(401, "invalid-token");
    local.delete(&format!("{path}?key={key}")).await.expect_problem(401, "invalid-token");
    local.bearer("x").delete(path).await.expect_problem(401, "invalid-token");
    for site in ["cross-site", "same-site"] {
        let other = browser.header("Sec-Fetch-Site", site).header("Sec-Fetch-Dest", "empty");
        other.delete(path).await.expect_problem(401, "invalid-token");
    }
    assert_eq!(app.mails_to(&person.email).await.len(), 1);
    browser.header("Sec-Fetch-Site", "same-origin").delete(path).await.expect(204);
    assert!(app.mails_to(&person.email).await.is_empty());
    local.bearer(&key).delete(path).await.expect(204);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_leaves_the_url_and_a_cookie_of_these_paths_stays_embedded() {
    let app = embedded(HERE).await;
    let (local, key) = (app.anonymous(), key(&app));
    for (asked, led) in [
        (format!("/dev/mailbox?key={key}"), "/dev/mailbox"),
        (format!("/dev/mailbox?key={key}&key=x"), "/dev/mailbox"),
        (
            format!("/dev/mailbox/messages?to=a%2Bb%40c.example&key={key}&wait=0s"),
            "/dev/mailbox/messages?to=a%2Bb%40c.example&wait=0s",
        ),
    ] {
        let opened = local.get(&asked).await.expect(303);
        assert_eq!(opened.header("location"), Some(led));
        assert_eq!(opened.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(opened.header("cache-control"), Some("no-store"));
        assert!(opened.body.is_empty());
        let set = opened.header("set-cookie").expect("a cookie");
        assert!(!set.contains(&key), "the cookie is not the key: {set}");
        let attributes: Vec<&str> = set.split("; ").skip(1).collect();
        let age = format!("Max-Age={COOKIE_TTL_S}");
        assert_eq!(attributes, ["Path=/dev/mailbox", &age, "HttpOnly", "SameSite=Strict"]);
        local.header("Cookie", &cookie(&opened)).get(led).await.expect(200);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_site_opens_nothing_with_the_cookie_embedded() {
    let app = embedded(HERE).await;
    let (local, key) = (app.anonymous(), key(&app));
    let browser = browser(&local, &key).await;
    let from = |client: &Client, site: &str, dest: &str| {
        client.header("Sec-Fetch-Site", site).header("Sec-Fetch-Dest", dest).header("Accept", HTML)
    };
    for (site, dest, expected) in [
        ("none", "document", 200),
        ("same-origin", "document", 200),
        ("same-origin", "empty", 200),
        ("same-site", "document", 200),
        ("same-site", "iframe", 401),
        ("same-site", "empty", 401),
        ("cross-site", "document", 401),
        ("cross-site", "iframe", 401),
        ("unheard-of", "document", 401),
    ] {
        for path in PAGES {
            let answer = from(&browser, site, dest).get(path).await.expect(expected);
            if expected == 401 {
                // The link on this page leads to the same origin, so the browser sends the cookie
                // with the request.
                assert!(answer.text().contains("href=\"/dev/mailbox\""), "{}", answer.text());
            }
        }
    }
    // A client that sends the key needs no cookie.
    from(&local.bearer(&key), "cross-site", "document").get("/dev/mailbox").await.expect(200);
    let opened = from(&local, "cross-site", "document");
    opened.get(&format!("/dev/mailbox?key={key}")).await.expect(303);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cookie_ends_after_a_week_and_the_key_does_not_embedded() {
    let app = embedded(HERE).await;
    let (local, key) = (app.anonymous(), key(&app));
    let browser = browser(&local, &key).await;
    let almost = u64::try_from(COOKIE_TTL_S).expect("positive") - 1;
    app.clock.advance(std::time::Duration::from_secs(almost));
    browser.get("/dev/mailbox").await.expect(200);
    app.clock.advance(std::time::Duration::from_secs(1));
    browser.get("/dev/mailbox").await.expect_problem(401, "invalid-token");
    local.bearer(&key).get("/dev/mailbox").await.expect(200);
    app.finish().await;
}

/// Sends requests through proxies that connect from a loopback address. latchkey receives a
/// loopback Host and no header of a proxy.
async fn through_proxies(app: &TestApp, expected: [u16; 2]) {
    let key = app.inside().mailbox_key.as_ref().map(|key| key.expose().to_owned());
    let relay = Proxy::start(app.public_addr()).await;
    let nginx = Nginx::bare(app.public_addr()).await;
    let ask = |address: SocketAddr, host: &str| Client::new(address).header("Host", host);
    for path in PAGES {
        for client in [
            ask(relay.address(), "localhost"),
            ask(relay.address(), "127.0.0.1"),
            ask(nginx.address(), "auth.example"),
            ask(nginx.address(), "localhost"),
        ] {
            let seen = client.get(path).await.status;
            let with_key = client.bearer(key.as_deref().unwrap_or("none")).get(path).await.status;
            assert_eq!([seen, with_key], expected, "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_hides_itself_reaches_no_mail_embedded() {
    let app = embedded("https://auth.example").await;
    through_proxies(&app, [404, 404]).await;
    app.finish().await;
    let app = embedded(HERE).await;
    through_proxies(&app, [401, 200]).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_locks_out_the_cookies_of_the_old_one_embedded() {
    let mut app = embedded(HERE).await;
    let first = key(&app);
    let opened = app.anonymous().get(&format!("/dev/mailbox?key={first}")).await.expect(303);
    let cookie = cookie(&opened);
    app.restart().await;
    assert_eq!(key(&app), first, "a restart keeps the key");
    app.anonymous().header("Cookie", &cookie).get("/dev/mailbox").await.expect(200);
    std::fs::remove_file(app.inside().config.data_dir.join("mailbox-key")).expect("removed");
    app.restart().await;
    let second = key(&app);
    assert_ne!(second, first);
    let local = app.anonymous();
    local.header("Cookie", &cookie).get("/dev/mailbox").await.expect_problem(401, "invalid-token");
    local.bearer(&first).get("/dev/mailbox").await.expect_problem(401, "invalid-token");
    local.bearer(&second).get("/dev/mailbox").await.expect(200);
    app.finish().await;
}
