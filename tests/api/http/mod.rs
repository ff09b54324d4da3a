//! HTTP tests that send bytes on a socket. They test which requests are refused, which headers
//! every response has, and which proxy is trusted.

mod cross_site;
mod floods;
pub mod frames;
mod framing;
mod guards;
mod h2;
mod headers;
mod input;
mod metacharacters;
mod proxies;
mod routes;
mod secure;
mod shares;
mod smuggling;

use std::sync::Arc;

use latchkey::actor::{Root, Task};
use latchkey::telemetry::Metrics;
use latchkey::telemetry::labels::TaskName;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::app::TestApp;

/// Returns the accept task of a listener without a daemon.
pub async fn accept_task(stop: &CancellationToken) -> Task {
    let metrics = Arc::new(Metrics::new().expect("instruments"));
    Root::spawn(metrics).await.expect("a root").task(TaskName::AcceptPublic, stop)
}

/// A response in the form in which it came from the socket.
#[derive(Debug)]
struct Raw {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Raw {
    /// Parses the first response in the bytes. Returns this response and the bytes after it.
    #[track_caller]
    fn first(bytes: &[u8]) -> (Self, &[u8]) {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("no answer: {}", String::from_utf8_lossy(bytes)));
        let head = String::from_utf8(bytes[..end].to_vec()).expect("a head is ASCII");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        let mut answer = Self { status, head, body: Vec::new() };
        let rest = &bytes[end + 4..];
        let length = answer.header("content-length").map_or(0, |n| n.parse().expect("a number"));
        let (body, rest) = rest.split_at(length);
        answer.body = body.to_vec();
        (answer, rest)
    }

    /// Parses the bytes as exactly one response.
    #[track_caller]
    fn only(bytes: &[u8]) -> Self {
        let (answer, rest) = Self::first(bytes);
        assert!(rest.is_empty(), "more than one answer: {}", String::from_utf8_lossy(bytes));
        answer
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    #[track_caller]
    fn problem(&self) -> (u16, String) {
        let text = String::from_utf8_lossy(&self.body);
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{text}");
        let body: Value = serde_json::from_slice(&self.body).expect("a problem is JSON");
        (self.status, body["code"].as_str().expect("a problem has a code").to_owned())
    }
}

fn lines(headers: &[(&str, &str)]) -> String {
    headers.iter().flat_map(|(name, value)| [*name, ": ", *value, "\r\n"]).collect()
}

/// Returns a POST request with a `Content-Length`. The connection closes after its response.
fn post(path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n{}Content-Length: {}\r\n\r\n",
        lines(headers),
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// Returns a POST request whose body is sent in chunks of 1000 bytes.
fn post_chunked(path: &str, body: &[u8]) -> Vec<u8> {
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\
         Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    .into_bytes();
    for chunk in body.chunks(1000) {
        request.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        request.extend_from_slice(chunk);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\n\r\n");
    request
}

/// Returns a request without a body.
fn bare(method: &str, path: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let lines = lines(headers);
    format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{lines}\r\n").into_bytes()
}

/// An unfinished request. Its header and the first byte of its body are sent, and the last byte is
/// not.
struct Unfinished(TcpStream);

impl Unfinished {
    async fn start(app: &TestApp) -> Self {
        let mut stream = TcpStream::connect(app.public_addr()).await.expect("connected");
        let head = "POST /api/login HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\
                    Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{";
        stream.write_all(head.as_bytes()).await.expect("written");
        Self(stream)
    }

    async fn finish(mut self) -> Raw {
        self.0.write_all(b"}").await.expect("written");
        let mut answer = Vec::new();
        self.0.read_to_end(&mut answer).await.expect("answered");
        Raw::only(&answer)
    }
}
