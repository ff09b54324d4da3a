//! Tests that a client takes no capacity from other clients if it withholds its bodies or sends
//! many requests at once.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Version};
use hyper_util::client::legacy::Client as Hyper;
use hyper_util::rt::TokioExecutor;
use latchkey::actor::FairPermit;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::floods::connected_from;
use super::frames::{
    Connection, DATA, END_HEADERS, END_STREAM, HEADERS, WINDOW_UPDATE, fields, frame, request,
};
use super::{Raw, Unfinished, bare, lines, post};
use crate::app::{TestApp, both};
use crate::poll::eventually;

/// The documented limit of the size of a body, in bytes.
const BODY_BYTES_MAX: usize = 16 * 1024;
const WITHIN: Duration = Duration::from_secs(10);
const GREEDY: [u8; 4] = [127, 0, 0, 2];
const OTHER: [u8; 4] = [127, 0, 0, 3];
const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");
const JSON: (&str, &str) = ("Content-Type", "application/json");

/// Sends one request from an IP address and returns its response. The response must not wait for
/// the bodies that another client withholds.
async fn ask_from(app: &TestApp, source: [u8; 4], request: &[u8]) -> Raw {
    let asked = async {
        let mut stream = connected_from(source, app.public_addr()).await;
        stream.write_all(request).await.expect("written");
        let mut told = Vec::new();
        stream.read_to_end(&mut told).await.expect("answered");
        Raw::only(&told)
    };
    timeout(WITHIN, asked).await.expect("an answer at once")
}

both!(who_withholds_bodies_takes_nothing_of_others, async |app| {
    let gate = &app.inside().gate;
    let all = gate.in_flight.free();
    assert_eq!(all, 1024, "the default's");
    let mut asked = request("POST", "/api/introspect");
    asked.push(("content-type", "application/x-www-form-urlencoded"));
    let asked = frame(HEADERS, END_HEADERS, 1, &fields(&asked));
    // The client opens 11 connections with 100 streams each. The daemon has fewer permits than
    // these streams. On each stream the client sends the header and nothing more.
    let mut held = Vec::new();
    for _ in 0..11 {
        let stream = connected_from(GREEDY, app.public_addr()).await;
        let mut connection = Connection::over(stream, &[]).await;
        for stream in (0..100_u32).map(|n| 2 * n + 1) {
            let mut opening = asked.clone();
            opening[5..9].copy_from_slice(&stream.to_be_bytes());
            assert!(connection.send(&opening).await);
        }
        // The reply to a ping shows that the server has read the frames before the ping.
        assert!(connection.lives().await);
        held.push(connection);
    }
    let taken = async || (gate.bodies.free() == all / 2).then_some(());
    eventually("a source that has its part", WITHIN, taken).await;
    assert_eq!(gate.in_flight.free(), all, "a body that is awaited is not in work");

    // Requests of other clients are served on every kind of route.
    let close = ("Connection", "close");
    let introspect = post("/api/introspect", &[FORM], b"token=x");
    assert_eq!(ask_from(app, OTHER, &introspect).await.status, 401);
    let login = br#"{"email":"nobody@shares.example","password":"not this one"}"#;
    let login = post("/api/login", &[JSON], login);
    assert_eq!(ask_from(app, OTHER, &login).await.status, 401);
    for path in ["/api/me", "/api/refresh", "/api/forward-auth"] {
        assert_eq!(ask_from(app, OTHER, &bare("GET", path, &[close])).await.status, 401, "{path}");
    }
    // The client that withholds its bodies gets a 503 for another request with a body. A request
    // without a body is served.
    let refused = ask_from(app, GREEDY, &login).await;
    assert_eq!(refused.problem(), (503, "overloaded".to_owned()));
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(ask_from(app, GREEDY, &bare("GET", "/api/me", &[close])).await.status, 401);
    let said = app.admin().get("/metrics").await.expect(200).text();
    assert!(said.contains("latchkey_requests_shed_total{reason=\"source\""), "{said}");

    drop(held);
    let back = async || (gate.bodies.free() == all).then_some(());
    eventually("all places, once they are gone", WITHIN, back).await;
    assert_eq!(ask_from(app, GREEDY, &login).await.status, 401);
});

/// Starts a login request and does not send its body.
async fn withheld(app: &TestApp, headers: &[(&str, &str)]) -> TcpStream {
    let mut stream = TcpStream::connect(app.public_addr()).await.expect("connected");
    let head = format!(
        "POST /api/login HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{}Content-Type: \
         application/json\r\nContent-Length: 2\r\n\r\n",
        lines(headers)
    );
    stream.write_all(head.as_bytes()).await.expect("written");
    stream
}

both!(
    clients_of_a_proxy_have_a_share_each_and_the_proxy_has_none,
    ["http.max_in_flight" = "16", "http.trusted_proxies" = "127.0.0.1/32"],
    async |app| {
        let bodies = &app.inside().gate.bodies;
        let mut held = Vec::new();
        let mut take = async |headers: &[(&str, &str)], free: usize| {
            held.push(withheld(app, headers).await);
            let taken = async || (bodies.free() == free).then_some(());
            eventually("a place that is taken", WITHIN, taken).await;
        };
        let from = |client: &'static str| [("X-Forwarded-For", client)];
        for n in 1..=8 {
            take(&from("198.51.100.7"), 16 - n).await;
        }
        let login = br#"{"email":"nobody@shares.example","password":"not this one"}"#;
        let ask = async |headers: &[(&str, &str)]| {
            let headers = [&[JSON], headers].concat();
            Raw::only(&app.raw(&post("/api/login", &headers, login)).await)
        };
        let refused = ask(&from("198.51.100.7")).await;
        assert_eq!(refused.problem(), (503, "overloaded".to_owned()));
        assert_eq!(ask(&from("198.51.100.8")).await.status, 401);
        // A client cannot avoid the limit with a header that cannot be parsed. Such a request
        // counts for the IP address of the proxy, which then has the same limit as a client.
        for n in 1..=4 {
            take(&from("garbage"), 8 - n).await;
        }
        assert_eq!(ask(&from("rubbish")).await.status, 503);
        // A request without the header also counts for the proxy, but then without a limit, because
        // the proxy stands for many clients.
        for n in 1..=3 {
            take(&[], 4 - n).await;
        }
        assert_eq!(ask(&[]).await.status, 401);
    }
);

both!(of_what_is_in_work_no_source_has_more_than_is_left, async |app| {
    let gate = &app.inside().gate;
    let holder = gate.in_flight.client(GREEDY.into());
    let held: Vec<FairPermit> = std::iter::from_fn(|| gate.in_flight.take(holder).ok()).collect();
    assert_eq!(held.len(), gate.in_flight.free(), "half of all");
    let get = bare("GET", "/api/me", &[("Connection", "close")]);
    let refused = ask_from(app, GREEDY, &get).await;
    assert_eq!(refused.problem(), (503, "overloaded".to_owned()));
    assert_eq!(ask_from(app, OTHER, &get).await.status, 401);
    drop(held);
    assert_eq!(ask_from(app, GREEDY, &get).await.status, 401);
});

both!(whoever_holds_back_a_body_is_not_in_work, ["http.max_in_flight" = "1"], async |app| {
    let slow = Unfinished::start(app).await;
    let gate = &app.inside().gate;
    let taken = async || (gate.bodies.free() == 0).then_some(());
    eventually("the slow request has the only place of a body", WITHIN, taken).await;
    app.anonymous().get("/api/me").await.expect_problem(401, "invalid-token");
    app.anonymous().login("a@b.example", "x").await.expect_problem(503, "overloaded");
    assert_eq!(slow.finish().await.problem(), (422, "validation-failed".to_owned()));
    app.anonymous().login("a@b.example", "some password").await.expect(401);
});

both!(what_reads_no_body_waits_for_none, async |app| {
    let endless = ("Transfer-Encoding", "chunked");
    let withheld = ("Content-Length", "5");
    for (method, path, status) in [
        ("GET", "/api/me", 401),
        ("GET", "/api/refresh", 401),
        ("GET", "/api/forward-auth", 401),
        ("POST", "/api/forward-auth/v1/x", 401),
        ("DELETE", "/api/sessions", 401),
        ("POST", "/api/logout", 401),
        ("GET", "/docs", 200),
    ] {
        for framing in [endless, withheld] {
            let asked = ask_from(app, OTHER, &bare(method, path, &[framing])).await;
            assert_eq!(asked.status, status, "{method} {path} {framing:?}");
        }
    }
    // For a request that needs no body, the announced length does not matter, however large it is.
    let much = ("Content-Length", "1000000");
    assert_eq!(ask_from(app, OTHER, &bare("GET", "/api/me", &[much])).await.status, 401);
});

/// Sends a POST request over HTTP/2 without a length, in pieces of `size` bytes that together have
/// the maximum size. If `more` is set, it sends one more piece. Returns the status of the response.
async fn in_pieces(app: &TestApp, path: &'static str, size: usize, more: bool) -> Option<u16> {
    let mut connection = Connection::open(app, &[]).await;
    let mut head = request("POST", path);
    head.push(if path == "/api/login" {
        ("content-type", JSON.1)
    } else {
        ("content-type", FORM.1)
    });
    assert!(connection.send(&frame(HEADERS, END_HEADERS, 1, &fields(&head))).await);
    let piece = vec![b' '; size];
    let count = BODY_BYTES_MAX / size;
    for n in 1..=count {
        let flags = if n == count && !more { END_STREAM } else { 0 };
        if !connection.send(&frame(DATA, flags, 1, &piece)).await {
            return None;
        }
    }
    if more {
        // The flow-control window of the stream has the size of the largest body. The server opens
        // the window again after it has read that many bytes.
        let opened = connection.until(|it| it.kind == WINDOW_UPDATE && it.stream == 1).await;
        assert!(opened.is_some());
        assert!(connection.send(&frame(DATA, 0, 1, &piece)).await);
    }
    let answer = connection.until(|it| it.kind == HEADERS && it.stream == 1).await?;
    assert!(connection.lives().await, "{path}: one stream's body is no other's");
    answer.status()
}

both!(a_body_of_http_2_is_bounded_before_anybody_is_known, async |app| {
    for path in ["/api/introspect", "/api/revoke", "/api/token", "/api/login"] {
        // The body contains only spaces. So it is not valid JSON, it has no token to revoke, and it
        // names no client.
        let fits = if matches!(path, "/api/login" | "/api/revoke") { 400 } else { 401 };
        for size in [BODY_BYTES_MAX, 1_024, 512] {
            assert_eq!(in_pieces(app, path, size, false).await, Some(fits), "{path} {size}");
            assert_eq!(in_pieces(app, path, size, true).await, Some(413), "{path} {size}");
        }
        // A piece of one byte needs more memory than the byte itself. The server either ignores the
        // body or ends the connection.
        let crumbs = in_pieces(app, path, 1, false).await;
        assert!(crumbs.is_none() || crumbs == Some(fits), "{path}: {crumbs:?}");
    }
    let back = async || (app.inside().gate.bodies.free() == 1024).then_some(());
    eventually("all places, once they are gone", WITHIN, back).await;
});

both!(more_than_64_headers_are_431_over_http_2_too, async |app| {
    let client = Hyper::builder(TokioExecutor::new()).http2_only(true).build_http();
    let ask = async |names: &[String]| {
        let mut request = Request::get(format!("http://{}/api/me", app.public_addr()));
        for name in names {
            request = request.header(name.as_str(), "a");
        }
        let request = request.body(Full::<Bytes>::default()).expect("a request");
        let answer = client.request(request).await.expect("an answer");
        assert_eq!(answer.version(), Version::HTTP_2);
        (answer.status().as_u16(), answer.headers().get("content-type").cloned())
    };
    let names = |count: usize| -> Vec<String> { (0..count).map(|n| format!("x-{n}")).collect() };
    assert_eq!(ask(&names(64)).await.0, 401);
    let (status, kind) = ask(&names(65)).await;
    assert_eq!(status, 431);
    assert!(kind.is_some_and(|kind| kind == "application/problem+json"));
    assert_eq!(ask(&vec!["x-same".to_owned(); 65]).await.0, 431, "lines, not names");
    // Browsers split the cookies of a domain into several header lines (RFC 9113 §8.2.3). latchkey
    // counts these lines as one line.
    assert_eq!(ask(&vec!["cookie".to_owned(); 100]).await.0, 401);
});
