//! Tests of the stop of the daemon. The daemon finishes the requests that have begun, and begins no
//! new work. A second signal stops the daemon at once.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use latchkey::clock::Clock;
use latchkey::daemon::Daemon;
use latchkey::http::answer::{self, Answer};
use latchkey::http::cx::Peer;
use latchkey::http::server::{Server, Service};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::{PATIENCE, Place};
use crate::app;
use crate::http::accept_task;
use crate::http::frames::{
    ACK, Connection, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, fields, frame, request,
};
use crate::poll::eventually;

/// Sends a login request with an incomplete body.
async fn slow_request(public: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(public).await.expect("connected");
    let head = "POST /api/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n\
                Expect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    stream.write_all(head.as_bytes()).await.expect("written");
    // The server asks the client to send the body. This shows that the request has begun.
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).await.expect("an answer");
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream
}

#[tokio::test]
async fn sigterm_lets_requests_end_takes_no_new_ones_and_exits_0_embedded() {
    let mut place = Place::new();
    let mut running = place.start().await;
    let mut slow = slow_request(running.public).await;
    let mut idle = TcpStream::connect(running.public).await.expect("connected");
    running.daemon.signal("-TERM");
    eventually("a closed listener", PATIENCE, async || {
        TcpStream::connect(running.public).await.is_err().then_some(())
    })
    .await;
    let ready = running.admin().get("/readyz").await.expect(503).json();
    assert_eq!(ready["status"], "draining");
    running.admin().get("/livez").await.expect(200);
    assert!(running.daemon.ended().is_none(), "a request is in work");
    assert_eq!(idle.read(&mut [0]).await.ok(), Some(0), "an idle connection is closed");

    slow.write_all(b"{}").await.expect("written");
    let mut answer = Vec::new();
    slow.read_to_end(&mut answer).await.expect("answered");
    assert!(answer.starts_with(b"HTTP/1.1 422 "), "{}", String::from_utf8_lossy(&answer));
    let status = running.daemon.end(PATIENCE).await;
    assert_eq!(status.code(), Some(0), "{}", running.daemon.log());
}

#[tokio::test]
async fn a_second_sigterm_stops_at_once_embedded() {
    let mut place = Place::new().set("http.drain_delay", "60s");
    let mut running = place.start().await;
    let _slow = slow_request(running.public).await;
    running.daemon.signal("-TERM");
    running.daemon.says("stopping").await;
    running.daemon.signal("-TERM");
    let status = running.daemon.end(Duration::from_secs(5)).await;
    assert_eq!(status.code(), Some(1), "cut short is not done");
    assert!(running.daemon.log().contains("stopping at once"));
}

#[tokio::test]
async fn readiness_goes_before_the_listener_does_embedded() {
    let mut place = Place::new().set("http.drain_delay", "60s");
    let running = place.start().await;
    running.daemon.signal("-TERM");
    eventually("unreadiness", PATIENCE, async || {
        (running.admin().get("/readyz").await.status == 503).then_some(())
    })
    .await;
    // During the drain delay the daemon serves a new client. The response closes the client's
    // connection.
    let answer = running.client.get("/api/captcha").await.expect(200);
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(running.client.get("/none").await.expect(404).header("connection"), Some("close"));
}

#[tokio::test]
async fn http_2_is_told_to_go_away_and_its_requests_end_embedded() {
    let mut place = Place::new();
    let mut running = place.start().await;
    let mut connection = Connection::to(running.public, &[]).await;
    let mut head = request("POST", "/api/login");
    head.push(("content-type", "application/json"));
    assert!(connection.send(&frame(HEADERS, END_HEADERS, 1, &fields(&head))).await);
    // The reply to the ping shows that the server has read the frames before the ping.
    assert!(connection.lives().await);
    running.daemon.signal("-TERM");
    let away = connection.until(|it| it.kind == GOAWAY).await.expect("a word before the end");
    assert_eq!(away.error(), 0, "NO_ERROR");
    // When the server receives the reply to its ping, it knows all streams that the client had
    // opened before the GOAWAY arrived.
    let ping = connection.until(|it| it.kind == PING && it.flags == 0).await.expect("a ping");
    assert!(connection.send(&frame(PING, ACK, 0, &ping.payload)).await);
    assert!(connection.send(&frame(DATA, END_STREAM, 1, b"{}")).await);
    let answer = connection.until(|it| it.kind == HEADERS && it.stream == 1).await;
    assert!(answer.is_some(), "the request in work is answered");
    // After the end of the response and a last GOAWAY, the server closes the connection.
    while connection.next().await.is_some() {}
    assert_eq!(running.daemon.end(PATIENCE).await.code(), Some(0), "{}", running.daemon.log());
}

/// A service that responds to every request with a 204.
struct Silent;

impl Service for Silent {
    async fn call(&self, _: Peer, _: hyper::Request<hyper::body::Incoming>) -> Answer {
        answer::no_content()
    }
}

/// A service that never responds. It reports when it was called.
struct Deaf(tokio::sync::Notify);

impl Service for Deaf {
    async fn call(&self, _: Peer, _: hyper::Request<hyper::body::Incoming>) -> Answer {
        self.0.notify_one();
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_request_that_never_ends_holds_the_listener_no_longer_than_its_patience() {
    let server = Server::bind(([127, 0, 0, 1], 0).into(), None, 64).await.expect("bound");
    let mut stream =
        TcpStream::connect(server.local_addr().expect("bound")).await.expect("in the backlog");
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("written");
    let (deaf, stop) = (Arc::new(Deaf(tokio::sync::Notify::new())), CancellationToken::new());
    let patience = Duration::from_millis(300);
    let running = server.spawn(deaf.clone(), accept_task(&stop).await, patience);
    deaf.0.notified().await;
    let began = std::time::Instant::now();
    stop.cancel();
    tokio::time::timeout(PATIENCE, running).await.expect("it ends").expect("it ends well");
    assert!(began.elapsed() >= patience, "the request had its time");
}

#[tokio::test]
async fn a_daemon_that_does_not_drain_is_cut_embedded() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = app::config(&app::defaults(&directory));
    let daemon = Daemon::start(config, Clock::System).await.expect("started");
    let _slow = slow_request(daemon.public_addr()).await;
    let (within, began) = (Duration::from_millis(300), std::time::Instant::now());
    daemon.stop_after(Duration::ZERO, within).await;
    let took = began.elapsed();
    // A body has 15 s to arrive. If the stop waited for the body, the stop would take longer.
    assert!(took >= within && took < Duration::from_secs(10), "{took:?}");
}

#[tokio::test]
async fn whom_the_kernel_let_in_is_served_after_the_stop() {
    let server = Server::bind(([127, 0, 0, 1], 0).into(), None, 64).await.expect("bound");
    let address = server.local_addr().expect("bound");
    let mut streams = Vec::new();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(address).await.expect("in the backlog");
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("written");
        streams.push(stream);
    }
    let stop = CancellationToken::new();
    stop.cancel();
    server.run(Arc::new(Silent), accept_task(&stop).await, PATIENCE).await;
    for mut stream in streams {
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("closed, not reset");
        assert!(answer.starts_with(b"HTTP/1.1 204 "), "{}", String::from_utf8_lossy(&answer));
    }
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn sigint_stops_as_sigterm_does_embedded() {
    let mut place = Place::new();
    let mut running = place.start().await;
    running.daemon.signal("-INT");
    assert_eq!(running.daemon.end(PATIENCE).await.code(), Some(0));
}
