//! Tests of too many connections, of slow connections, and of connections that send nothing. The
//! timers of the listener run on a clock that the test advances.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::{Request, Response};
use latchkey::http::answer::Answer;
use latchkey::http::cx::Peer;
use latchkey::http::idle::IdleTimeouts;
use latchkey::http::server::{Server, Service};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::{Raw, accept_task, bare};
use crate::app::both;
use crate::poll::eventually;

/// The time for which the test waits to see that a connection above the limit gets no response.
const NO_ANSWER_WITHIN: Duration = Duration::from_millis(300);

both!(
    connections_beyond_the_cap_wait_and_hold_nobody_up_for_ever,
    ["http.max_connections" = "8"],
    async |app| {
        let mut idle = Vec::new();
        for _ in 0..8 {
            let mut stream = TcpStream::connect(app.public_addr()).await.expect("connected");
            // The first byte makes sure that the listener has accepted this connection before the
            // test opens the next one.
            stream.write_all(b"G").await.expect("written");
            idle.push(stream);
        }
        let mut next = TcpStream::connect(app.public_addr()).await.expect("the kernel takes it");
        next.write_all(&bare("GET", "/api/me", &[("Connection", "close")])).await.expect("written");
        let mut bytes = Vec::new();
        let early = timeout(NO_ANSWER_WITHIN, next.read_to_end(&mut bytes)).await;
        assert!(early.is_err() && bytes.is_empty(), "the ninth of eight was served");
        drop(idle.pop());
        next.read_to_end(&mut bytes).await.expect("served");
        assert_eq!(Raw::only(&bytes).status, 401);
        // Hundreds of short connections must not use up the limit of connections.
        for _ in 0..300 {
            drop(TcpStream::connect(app.public_addr()).await.expect("connected"));
        }
        drop(idle);
        app.anonymous().get("/api/me").await.expect(401);
    }
);

/// Connects from this loopback address. latchkey treats each loopback address as another client.
pub(super) async fn connected_from(source: [u8; 4], to: std::net::SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind((source, 0).into()).expect("all of 127/8 is this machine");
    socket.connect(to).await.expect("the kernel takes it")
}

both!(
    one_source_holds_its_share_and_others_are_served,
    ["http.max_connections" = "64", "http.max_connections_per_source" = "4"],
    async |app| {
        let greedy = [127, 0, 0, 2];
        let mut held = Vec::new();
        for _ in 0..4 {
            let mut stream = connected_from(greedy, app.public_addr()).await;
            stream.write_all(b"G").await.expect("written");
            held.push(stream);
        }
        // The client opens 124 further connections. This is 60 more than the limit of all clients
        // together. The daemon closes each of the 124 connections without a response.
        for n in 0..124 {
            let mut stream = connected_from(greedy, app.public_addr()).await;
            let mut told = Vec::new();
            let _closed_or_reset = stream.read_to_end(&mut told).await;
            assert!(told.is_empty(), "connection {n} of a full source was answered");
        }
        app.anonymous().get("/api/me").await.expect(401);
        let mut other = connected_from([127, 0, 0, 3], app.public_addr()).await;
        other.write_all(&bare("GET", "/api/me", &[("Connection", "close")])).await.expect("sent");
        let mut told = Vec::new();
        other.read_to_end(&mut told).await.expect("served");
        assert_eq!(Raw::only(&told).status, 401);
        // For each connection that the client closes, the daemon accepts a new one.
        drop(held.pop());
        eventually("a place of its own", Duration::from_secs(10), async || {
            let mut again = connected_from(greedy, app.public_addr()).await;
            let request = bare("GET", "/api/me", &[("Connection", "close")]);
            let mut told = Vec::new();
            let _closed_or_reset = again.write_all(&request).await;
            let _closed_or_reset = again.read_to_end(&mut told).await;
            (!told.is_empty()).then(|| assert_eq!(Raw::only(&told).status, 401))
        })
        .await;
    }
);

both!(
    a_trusted_proxy_holds_as_many_as_it_needs,
    ["http.max_connections_per_source" = "2", "http.trusted_proxies" = "127.0.0.4/32"],
    async |app| {
        let mut held = Vec::new();
        for _ in 0..20 {
            let mut stream = connected_from([127, 0, 0, 4], app.public_addr()).await;
            stream.write_all(&bare("GET", "/api/me", &[])).await.expect("written");
            let mut first = [0; 12];
            stream.read_exact(&mut first).await.expect("served");
            assert_eq!(&first, b"HTTP/1.1 401");
            held.push(stream);
        }
    }
);

/// A number of bytes that is larger than the buffers of two sockets.
const MUCH: usize = 16 * 1024 * 1024;

/// A service that responds at once. For `/much` it sends more bytes than a socket buffer can hold.
struct Plain;

impl Service for Plain {
    async fn call(&self, _: Peer, request: Request<Incoming>) -> Answer {
        let body = if request.uri().path() == "/much" { vec![b'a'; MUCH] } else { Vec::new() };
        Response::new(Full::new(Bytes::from(body)))
    }
}

/// Starts a listener with its timers and without the stores, because the threads of the stores do
/// not use the test clock.
async fn listener() -> (std::net::SocketAddr, CancellationToken) {
    listener_with(IdleTimeouts::default()).await
}

async fn listener_with(idle: IdleTimeouts) -> (std::net::SocketAddr, CancellationToken) {
    let server = Server::bind(([127, 0, 0, 1], 0).into(), None, 64).await.expect("bound");
    let server = server.closing_idle(idle);
    let address = server.local_addr().expect("an address");
    let stop = CancellationToken::new();
    drop(server.spawn(Arc::new(Plain), accept_task(&stop).await, Duration::ZERO));
    (address, stop)
}

/// Sends each part and then waits for the pause of this part. After the last part it waits until
/// the server closes the connection. Returns the elapsed seconds of the clock and the received
/// bytes.
async fn until_closed(address: std::net::SocketAddr, parts: &[(&[u8], u64)]) -> (u64, Vec<u8>) {
    let mut stream = TcpStream::connect(address).await.expect("connected");
    let began = Instant::now();
    for (bytes, pause) in parts {
        if stream.write_all(bytes).await.is_err() {
            break;
        }
        let mut one = [0; 1];
        let pause = Duration::from_secs(*pause);
        // Waits until the pause ends, or until the server closes the connection.
        if pause > Duration::ZERO && timeout(pause, stream.peek(&mut one)).await.is_ok() {
            break;
        }
    }
    let mut told = Vec::new();
    let _closed_or_reset = stream.read_to_end(&mut told).await;
    (began.elapsed().as_secs(), told)
}

#[tokio::test(start_paused = true)]
async fn a_head_that_drips_is_cut_after_ten_seconds_embedded() {
    let (address, stop) = listener().await;
    let drip: Vec<(&[u8], u64)> =
        b"GET / HTTP/1.1\r\nHost: x\r\nX-A: aaaaaaaaaaaaaaaa".chunks(1).map(|b| (b, 1)).collect();
    for (name, parts) in [
        ("one byte", vec![(b"G".as_slice(), 0)]),
        ("a line", vec![(b"GET / HTTP/1.1\r\n".as_slice(), 0)]),
        ("no last line", vec![(b"GET / HTTP/1.1\r\nHost: x\r\n".as_slice(), 0)]),
        ("a byte a second", drip),
    ] {
        let (seconds, told) = until_closed(address, &parts).await;
        assert!((10..=13).contains(&seconds), "{name}: {seconds} s");
        assert!(told.is_empty() || told.starts_with(b"HTTP/1.1 4"), "{name}");
    }
    stop.cancel();
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_says_nothing_is_cut_after_75_seconds_embedded() {
    let (address, stop) = listener().await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".as_slice();
    for (name, parts, least, most) in [
        ("nothing", vec![], 75, 78),
        (
            "a request, then nothing",
            vec![(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".as_slice(), 0)],
            75,
            78,
        ),
        // The keep-alive of HTTP/2 sends a ping after 20 s. It closes the connection 10 s later if
        // no reply came.
        ("HTTP/2, then nothing", vec![(preface, 0)], 28, 78),
        // A client in the middle of a header block cannot reply to the ping.
        ("half a head of HTTP/2", vec![(preface, 1), (b"\0\0\x01\x01\0\0\0\0\x01\x82", 0)], 28, 33),
        ("half of HTTP/2's preface", vec![(&preface[..10], 0)], 10, 13),
        ("a method that begins like it", vec![(b"PRIVATE / HTTP/1.1\r\n".as_slice(), 0)], 10, 13),
        ("PRI alone", vec![(b"PRI".as_slice(), 0)], 10, 13),
        (
            "half a head behind a request",
            vec![(b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\n".as_slice(), 0)],
            10,
            13,
        ),
        (
            "half a head behind a request with a body",
            vec![(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}G".as_slice(), 0)],
            10,
            13,
        ),
        (
            "half a head behind chunks",
            vec![(
                b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET"
                    .as_slice(),
                0,
            )],
            10,
            13,
        ),
        (
            "two requests at once, then nothing",
            vec![(
                b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n".as_slice(),
                0,
            )],
            75,
            78,
        ),
        (
            "a request with a body, then nothing",
            vec![(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}".as_slice(), 0)],
            75,
            78,
        ),
    ] {
        let (seconds, _) = until_closed(address, &parts).await;
        assert!((least..=most).contains(&seconds), "{name}: {seconds} s");
    }
    stop.cancel();
}

/// The frames of one header block must follow each other without another frame between them (RFC
/// 9113 §6.10). A client that sends its header block slowly therefore cannot reply to a ping.
#[tokio::test(start_paused = true)]
async fn a_head_of_http_2_that_drips_is_cut_by_the_ping_embedded() {
    let (address, stop) = listener().await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".as_slice();
    let kib = b"\0\x04\0\x01\x04\0\0\0\x01\x82".as_slice();
    let open = b"\0\0\x01\x01\0\0\0\0\x01\x82".as_slice();
    let more = b"\0\0\x05\x09\0\0\0\0\x01\0\x01a\x01b".as_slice();
    for (name, head, drip, every, least) in [
        ("a byte of one frame", kib, b"\0".as_slice(), 5, 28),
        ("one frame after another", open, more, 9, 28),
        // h2 ends the connection because the header block has too many frames. No real client sends
        // six frames for one header field.
        ("many small frames", open, more, 1, 5),
    ] {
        let mut stream = TcpStream::connect(address).await.expect("connected");
        let began = Instant::now();
        stream.write_all(&[preface, head].concat()).await.expect("written");
        let mut bytes = [0; 1024];
        loop {
            match timeout(Duration::from_secs(every), stream.read(&mut bytes)).await {
                Ok(Ok(0) | Err(_)) => break,
                Err(_) if stream.write_all(drip).await.is_err() => break,
                Ok(Ok(_)) | Err(_) => {}
            }
        }
        let seconds = began.elapsed().as_secs();
        assert!((least..=33).contains(&seconds), "{name}: {seconds} s");
    }
    stop.cancel();
}

#[tokio::test(start_paused = true)]
async fn who_does_not_read_the_answer_is_cut_after_75_seconds_embedded() {
    let (address, stop) = listener().await;
    for (waits, whole) in [(70, true), (78, false)] {
        let mut stream = TcpStream::connect(address).await.expect("connected");
        stream.write_all(b"GET /much HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("written");
        // The test looks at the first byte of the response and leaves it in the socket. The rest of
        // the 16 MiB then waits behind a full buffer.
        stream.peek(&mut [0; 1]).await.expect("an answer");
        let (asked, mut told) = (Instant::now(), Vec::new());
        let _in_vain = timeout(Duration::from_secs(waits), std::future::pending::<()>()).await;
        assert_eq!(asked.elapsed().as_secs(), waits);
        let _closed_or_reset = stream.read_to_end(&mut told).await;
        assert_eq!(told.len() > MUCH, whole, "{} bytes after {waits} s", told.len());
    }
    stop.cancel();
}

#[tokio::test(start_paused = true)]
async fn a_trusted_proxy_may_keep_an_idle_connection_for_620_seconds_embedded() {
    let request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".as_slice();
    for (network, least) in [("127.0.0.0/8", 620), ("192.0.2.0/24", 75)] {
        let proxies = vec![network.parse().expect("a network")];
        let idle = IdleTimeouts::new(Duration::from_secs(75), proxies);
        let (address, stop) = listener_with(idle).await;
        let (seconds, told) = until_closed(address, &[(request, 0)]).await;
        assert!((least..=least + 3).contains(&seconds), "{network}: {seconds} s");
        assert_eq!(Raw::only(&told).status, 200);
        stop.cancel();
    }
}
