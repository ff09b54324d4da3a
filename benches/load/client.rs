//! The HTTP client: one connection with one request at a time on HTTP/1.1, or one stream of a
//! shared connection on HTTP/2.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::{http1, http2};
use hyper::header::{HOST, HeaderMap, HeaderValue};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// The number of clients that share one connection on HTTP/2.
const STREAMS: usize = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Http1,
    /// HTTP/2 over plain TCP with prior knowledge.
    Http2,
}

impl Protocol {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http1 => "1.1",
            Self::Http2 => "2",
        }
    }
}

/// A response that has arrived completely.
#[derive(Debug)]
pub struct Response {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// One client. The task that drives its connection ends with it.
pub struct Client {
    host: HeaderValue,
    sender: Sender,
    _driver: Arc<JoinSet<()>>,
}

enum Sender {
    One(http1::SendRequest<Full<Bytes>>),
    Two(http2::SendRequest<Full<Bytes>>),
}

/// Opens the connections of `count` clients.
pub async fn connect(
    address: SocketAddr,
    protocol: Protocol,
    count: usize,
) -> Result<Vec<Client>, String> {
    let mut clients: Vec<Client> = Vec::with_capacity(count);
    for number in 0..count {
        let client = match clients.last() {
            Some(Client { host, sender: Sender::Two(sender), _driver: driver })
                if number % STREAMS != 0 =>
            {
                let sender = Sender::Two(sender.clone());
                Client { host: host.clone(), sender, _driver: driver.clone() }
            }
            _ => Client::open(address, protocol).await?,
        };
        clients.push(client);
    }
    Ok(clients)
}

impl Client {
    async fn open(address: SocketAddr, protocol: Protocol) -> Result<Self, String> {
        let failed = |error: &dyn std::fmt::Display| format!("connecting to {address}: {error}");
        let stream = TcpStream::connect(address).await.map_err(|error| failed(&error))?;
        stream.set_nodelay(true).map_err(|error| failed(&error))?;
        let stream = TokioIo::new(stream);
        let mut driver = JoinSet::new();
        let sender = match protocol {
            Protocol::Http1 => {
                let shaken = http1::handshake(stream).await;
                let (sender, connection) = shaken.map_err(|error| failed(&error))?;
                driver.spawn(async move { drop(connection.await) });
                Sender::One(sender)
            }
            Protocol::Http2 => {
                let shaken = http2::handshake(TokioExecutor::new(), stream).await;
                let (sender, connection) = shaken.map_err(|error| failed(&error))?;
                driver.spawn(async move { drop(connection.await) });
                Sender::Two(sender)
            }
        };
        let host = HeaderValue::from_str(&address.to_string()).map_err(|error| failed(&error))?;
        Ok(Self { host, sender, _driver: Arc::new(driver) })
    }

    /// Sends a request whose URI is a path, and waits for the whole response.
    pub async fn send(&mut self, mut request: Request<Full<Bytes>>) -> Result<Response, String> {
        let response = match &mut self.sender {
            Sender::One(sender) => {
                request.headers_mut().insert(HOST, self.host.clone());
                sender.ready().await.map_err(|error| error.to_string())?;
                sender.send_request(request).await
            }
            Sender::Two(sender) => {
                let host = self.host.to_str().unwrap_or_default();
                let uri = format!("http://{host}{}", request.uri());
                *request.uri_mut() = Uri::try_from(uri).map_err(|error| error.to_string())?;
                sender.ready().await.map_err(|error| error.to_string())?;
                sender.send_request(request).await
            }
        };
        let (parts, body) = response.map_err(|error| error.to_string())?.into_parts();
        let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
        Ok(Response { status: parts.status, headers: parts.headers, body })
    }
}
