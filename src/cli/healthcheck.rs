//! `latchkey healthcheck`: asks the admin listener, for containers without curl.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::output::{Talk, print_json, say_line};
use crate::config::{Loaded, Problems};
use crate::exit::{BAD_CONFIGURATION, FAILED, USAGE};
use crate::secret::redact;

/// How long all of it may take: under Docker's and Kubernetes' usual patience.
const TIMEOUT: Duration = Duration::from_secs(2);
/// How much of the answer is read; the status line comes first.
const ANSWER_BYTES_MAX: u64 = 16 * 1024;
const PATH: &str = "/readyz";

#[derive(Args, Debug)]
pub struct Arguments {
    /// Ask there instead of `admin.listen`: `127.0.0.1:9090` or `http://127.0.0.1:9090/livez`
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

/// Where to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Target {
    authority: String,
    path: String,
}

/// Asks; exit 0 says ready, 1 not ready or no answer.
pub async fn run(
    arguments: &Arguments,
    load: impl FnOnce() -> Result<Loaded, Problems>,
    json: bool,
    talk: Talk,
) -> ExitCode {
    let target = if let Some(url) = &arguments.url {
        let Some(target) = target(url) else {
            talk.fail("--url is not host:port or http://host:port, without a user");
            return ExitCode::from(USAGE);
        };
        target
    } else {
        match load() {
            Ok(loaded) => Target {
                authority: reachable(loaded.config.admin_listen).to_string(),
                path: PATH.to_owned(),
            },
            Err(problems) => {
                talk.problems(&problems);
                return ExitCode::from(BAD_CONFIGURATION);
            }
        }
    };
    let status = match tokio::time::timeout(TIMEOUT, ask(&target)).await {
        Ok(Ok(status)) => Ok(status),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", TIMEOUT.as_secs())),
    };
    let is_ready = matches!(status, Ok(200));
    if json {
        let error = status.as_ref().err();
        print_json(
            talk,
            &json!({ "ready": is_ready, "status": status.as_ref().ok(), "error": error }),
        );
    } else {
        let url = redact(&format!("http://{}{}", target.authority, target.path));
        match &status {
            Ok(200) => say_line("ready"),
            Ok(status) => say_line(&format!("not ready: {url} answers {status}")),
            Err(error) => say_line(&format!("not ready: {url}: {error}")),
        }
    }
    ExitCode::from(if is_ready { 0 } else { FAILED })
}

/// The status of a GET.
async fn ask(target: &Target) -> std::io::Result<u16> {
    let mut stream = TcpStream::connect(&target.authority).await?;
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        target.path, target.authority
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    let mut stream = stream.take(ANSWER_BYTES_MAX);
    let mut chunk = [0; 1024];
    while !answer.contains(&b'\n') {
        let read = stream.read(&mut chunk).await?;
        if read == 0 {
            break;
        }
        answer.extend_from_slice(&chunk[..read]);
    }
    status(&answer).ok_or_else(|| std::io::Error::other("the answer is not HTTP"))
}

/// The code of a status line (RFC 9112 §4).
fn status(answer: &[u8]) -> Option<u16> {
    let line = answer.split(|byte| *byte == b'\r').next()?;
    let line = std::str::from_utf8(line).ok()?;
    line.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()
}

/// Host and port, perhaps as a URL with a path.
fn target(given: &str) -> Option<Target> {
    let rest = given.strip_prefix("http://").unwrap_or(given);
    let (authority, path) = match rest.find('/') {
        Some(at) if rest.len() > at + 1 => rest.split_at(at),
        Some(at) => (&rest[..at], PATH),
        None => (rest, PATH),
    };
    let (host, port) = authority.rsplit_once(':')?;
    let is_plain = |text: &str| text.chars().all(|c| c.is_ascii_graphic());
    let is_host = !host.is_empty() && !host.contains('@');
    let is_sound = is_host && port.parse::<u16>().is_ok() && is_plain(rest);
    is_sound.then(|| Target { authority: authority.to_owned(), path: path.to_owned() })
}

/// Where a listener answers: one on every address answers on loopback.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_every_address_is_asked_on_loopback() {
        let ask = |text: &str| reachable(text.parse().unwrap()).to_string();
        assert_eq!(ask("0.0.0.0:9090"), "127.0.0.1:9090");
        assert_eq!(ask("[::]:9090"), "[::1]:9090");
        assert_eq!(ask("10.0.0.1:9090"), "10.0.0.1:9090");
    }

    #[test]
    fn a_url_is_an_authority_and_perhaps_a_path() {
        let both = |text: &str| target(text).map(|target| (target.authority, target.path));
        let pair = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
        assert_eq!(both("localhost:1"), pair("localhost:1", "/readyz"));
        assert_eq!(both("http://[::1]:9/"), pair("[::1]:9", "/readyz"));
        assert_eq!(both("http://a:9/livez"), pair("a:9", "/livez"));
        for wrong in
            ["", "localhost", "u:p@a:1", "https://a:1", ":1", "a:b", "a:1/x y", "a:1/\r\nX: y"]
        {
            assert_eq!(both(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_status_line_has_a_code() {
        assert_eq!(status(b"HTTP/1.1 503 Service Unavailable\r\n"), Some(503));
        assert_eq!(status(b"SSH-2.0-OpenSSH\r\n"), None);
    }

    #[tokio::test]
    async fn a_listener_is_asked_for_its_path_and_its_status_is_told() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let target = Target { authority, path: PATH.to_owned() };
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 256];
            let read = stream.read(&mut request).await.unwrap();
            assert!(request[..read].starts_with(b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1:"));
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        };
        let (asked, ()) = tokio::join!(ask(&target), serve);
        assert_eq!(asked.unwrap(), 200);
    }
}
