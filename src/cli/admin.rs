//! Requests to the admin listener of a daemon.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// At most this many bytes of a response are read.
const RESPONSE_BYTES_MAX: u64 = 64 * 1024;

/// The admin listener to contact, and the path to request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub authority: String,
    pub path: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub body: Vec<u8>,
}

/// Sends a GET request and returns the response.
pub async fn get(target: &Target) -> std::io::Result<Response> {
    let mut stream = TcpStream::connect(&target.authority).await?;
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        target.path, target.authority
    );
    stream.write_all(request.as_bytes()).await?;
    let mut response = Vec::new();
    stream.take(RESPONSE_BYTES_MAX).read_to_end(&mut response).await?;
    read(&response).ok_or_else(|| std::io::Error::other("the response is not HTTP"))
}

/// Reads the status code from the status line (RFC 9112 §4), and the body after the head.
fn read(response: &[u8]) -> Option<Response> {
    let line = response.split(|byte| *byte == b'\r').next()?;
    let line = std::str::from_utf8(line).ok()?;
    let status = line.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    let head = response.windows(4).position(|window| window == b"\r\n\r\n");
    let body = head.and_then(|at| response.get(at + 4..)).unwrap_or_default().to_vec();
    Some(Response { status, body })
}

/// The IP address and port at which a listener is reachable. A listener on all IP addresses is
/// reachable at the loopback address.
pub fn reachable(listen: SocketAddr) -> SocketAddr {
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
    fn a_response_has_a_status_and_a_body() {
        let found = read(b"HTTP/1.1 503 Service Unavailable\r\nA: b\r\n\r\n{}").unwrap();
        assert_eq!((found.status, found.body.as_slice()), (503, &b"{}"[..]));
        assert_eq!(read(b"SSH-2.0-OpenSSH\r\n"), None);
    }

    #[tokio::test]
    async fn a_listener_is_asked_for_its_path_and_its_status_is_told() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let target = Target { authority, path: "/readyz".to_owned() };
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 256];
            let read = stream.read(&mut request).await.unwrap();
            assert!(request[..read].starts_with(b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1:"));
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        };
        let (asked, ()) = tokio::join!(get(&target), serve);
        assert_eq!(asked.unwrap().status, 200);
    }
}
