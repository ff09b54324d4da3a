//! [`Cx`]: the context of a request, created once before its handler runs.

use std::cell::RefCell;
use std::net::IpAddr;
use std::time::Duration;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;
use tokio::time::Instant;

use super::forwarded::{ForwardedClient, client, is_forwarded, trusts};
use crate::admission::Headers as RateHeaders;
use crate::client_key::ClientKey;
use crate::secret::{id_of, random_bytes};
use crate::telemetry::ids::Ids;
use crate::telemetry::trace::{self, Place, Traceparent};

const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The context of one request.
#[derive(Debug)]
pub struct Cx {
    /// The id of the request. `X-Request-Id` and every log line contain it.
    pub request_id: String,
    /// The id of the trace: 32 hexadecimal digits (W3C Trace Context §3.2.2.3). A trusted proxy may
    /// send it. Otherwise it is new.
    pub trace_id: String,
    /// The id of the span of this request: 16 hexadecimal digits.
    pub span_id: String,
    pub sampled: bool,
    /// The client's span. If the peer is a trusted proxy, this span becomes the parent of the
    /// request's span. Otherwise the request's span only links to the client's span.
    pub trace_parent: TraceParent,
    /// The client's IP address. It is the address of the peer, or the address that a trusted proxy
    /// has sent in a header.
    pub client: IpAddr,
    /// Whether the client used TLS to connect to this daemon, or to the trusted proxy in front of
    /// it.
    pub transport: Transport,
    /// Whether a trusted proxy reports with `X-Forwarded-Proto: http` that the client used plain
    /// http.
    pub clear_at_proxy: bool,
    /// Whether a trusted proxy sent the request for itself. This is true if the request has neither
    /// `X-Forwarded-For` nor `Forwarded`. If the request has one of them, this is false, even if
    /// the header is unreadable.
    pub of_proxy_itself: bool,
    /// When the response has to be ready.
    pub deadline: Instant,
    /// The state of a limit, for the `RateLimit` headers of the response.
    pub rate: Option<RateHeaders>,
}

/// The client's span, as the `traceparent` header of the request names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TraceParent {
    /// The `traceparent` header is missing or invalid.
    #[default]
    None,
    /// The span belongs to a trusted proxy. The request becomes part of the proxy's trace.
    Parent(Traceparent),
    /// The span belongs to another client. The request gets its own trace and only links to that
    /// span.
    Linked(Traceparent),
}

/// How the client reached the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Without TLS.
    Plain,
    Tls,
}

/// The client or the proxy at the other end of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    pub address: IpAddr,
    /// Whether the connection to this daemon uses TLS.
    pub transport: Transport,
}

/// Whether the forwarded headers came from a peer that may set them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarded {
    /// The request has no forwarded headers, or a trusted proxy sent them.
    Fine,
    /// A peer that is not a trusted proxy sent forwarded headers. They are ignored.
    Untrusted,
    /// A trusted proxy sent forwarded headers, but an entry in them cannot be read. The proxy
    /// counts as the client.
    Unreadable,
}

impl Cx {
    /// Creates the context from the head of a request. Forwarded headers are used only if the peer
    /// is in `trusted`. If another peer sends `traceparent`, the request's span only links to the
    /// span in `traceparent`.
    pub fn new(
        peer: Peer,
        headers: &HeaderMap,
        trusted: &[IpNet],
        answer_within: Duration,
    ) -> (Self, Forwarded) {
        let address = peer.address.to_canonical();
        let is_trusted = trusts(trusted, address);
        let forwarded = is_forwarded(headers);
        let client = if is_trusted { client(headers, trusted) } else { ForwardedClient::None };
        let at_proxy = headers.get(FORWARDED_PROTO).filter(|_| is_trusted);
        let at_proxy = at_proxy.map(HeaderValue::as_bytes).unwrap_or_default();
        let tls_at_proxy = at_proxy == b"https";
        let told = headers.get(TRACEPARENT).and_then(|value| value.to_str().ok());
        let trace_parent = match told.and_then(Traceparent::parse) {
            None => TraceParent::None,
            Some(told) if is_trusted && trace::propagates() => TraceParent::Parent(told),
            Some(told) => TraceParent::Linked(told),
        };
        let random = next_id_bytes();
        let (for_trace, for_span, for_request) = (&random[..16], &random[16..24], &random[24..]);
        let trace_id = match &trace_parent {
            TraceParent::Parent(parent) => parent.trace_id.clone(),
            _ => hex(for_trace),
        };
        let parent_sampled = match &trace_parent {
            TraceParent::Parent(parent) => Some(parent.sampled),
            _ => None,
        };
        let (span_id, sampled) = (hex(for_span), trace::samples(&trace_id, parent_sampled));
        let cx = Self {
            request_id: id_of(for_request),
            trace_id,
            span_id,
            sampled,
            trace_parent,
            client: match client {
                ForwardedClient::Address(client) => client,
                ForwardedClient::None | ForwardedClient::Unreadable => address,
            },
            transport: if tls_at_proxy { Transport::Tls } else { peer.transport },
            clear_at_proxy: at_proxy.eq_ignore_ascii_case(b"http"),
            of_proxy_itself: is_trusted && !forwarded,
            deadline: Instant::now() + answer_within,
            rate: None,
        };
        let forwarded = match client {
            ForwardedClient::Unreadable => Forwarded::Unreadable,
            _ if forwarded && !is_trusted => Forwarded::Untrusted,
            _ => Forwarded::Fine,
        };
        (cx, forwarded)
    }
}

impl Cx {
    /// The value of `traceparent` for work that this request causes.
    pub fn traceparent(&self) -> String {
        format!("00-{}-{}-{:02x}", self.trace_id, self.span_id, u8::from(self.sampled))
    }

    /// The client key for fair queues.
    pub fn queue_key(&self) -> ClientKey {
        ClientKey::wide(self.client)
    }

    /// The client that the permits of this request are counted for
    /// ([`FairPermits`](crate::actor::FairPermits)). It is none if a trusted proxy sent the request
    /// for itself, because a proxy stands for many clients. If the headers of the proxy cannot be
    /// read, the permits are counted for the proxy's own IP address. Otherwise a client could evade
    /// a limit with an invalid header.
    pub fn holder(&self) -> Option<IpAddr> {
        (!self.of_proxy_itself).then_some(self.client)
    }

    /// The position of the request's span in its trace.
    pub fn place(&self) -> Place {
        let (parent, link) = match &self.trace_parent {
            TraceParent::None => (None, None),
            TraceParent::Parent(parent) => (Some(parent.clone()), None),
            TraceParent::Linked(link) => (None, Some(link.clone())),
        };
        let ids = Ids {
            request_id: self.request_id.clone(),
            trace_id: self.trace_id.clone(),
            span_id: self.span_id.clone(),
            sampled: self.sampled,
        };
        Place { ids, parent, link }
    }
}

/// The number of random bytes in the ids of one request.
const ID_BYTES: usize = 40;
/// The number of requests whose random bytes are drawn at once. A call to the random source costs
/// more than the bytes.
const IDS_AT_ONCE: usize = 32;

thread_local! {
    /// Random bytes for the ids of the next requests of this thread. The ids are no secrets.
    static ID_POOL: RefCell<Vec<[u8; ID_BYTES]>> = const { RefCell::new(Vec::new()) };
}

/// Random bytes for the ids of a request.
fn next_id_bytes() -> [u8; ID_BYTES] {
    ID_POOL.with_borrow_mut(|pool| {
        if pool.is_empty() {
            let drawn = random_bytes::<{ ID_BYTES * IDS_AT_ONCE }>();
            pool.extend_from_slice(drawn.as_chunks().0);
        }
        pool.pop().unwrap_or_else(random_bytes)
    })
}

pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cx(peer: &str, trusted: &[&str], headers: &[(&'static str, &str)]) -> (Cx, Forwarded) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let trusted: Vec<IpNet> = trusted.iter().map(|net| net.parse().unwrap()).collect();
        let peer = Peer { address: peer.parse().unwrap(), transport: Transport::Plain };
        Cx::new(peer, &map, &trusted, Duration::from_secs(5))
    }

    fn client_of(peer: &str, trusted: &[&str], forwarded: &[&str]) -> String {
        let headers: Vec<_> = forwarded.iter().map(|value| ("x-forwarded-for", *value)).collect();
        cx(peer, trusted, &headers).0.client.to_string()
    }

    #[test]
    fn forwarded_headers_count_from_trusted_proxies_only() {
        assert_eq!(client_of("192.0.2.1", &[], &["198.51.100.7"]), "192.0.2.1");
        assert_eq!(client_of("10.0.0.1", &["10.0.0.0/8"], &["198.51.100.7"]), "198.51.100.7");
        let (_, forwarded) = cx("192.0.2.1", &[], &[("x-forwarded-for", "198.51.100.7")]);
        assert_eq!(forwarded, Forwarded::Untrusted);
    }

    #[test]
    fn a_proxy_is_never_the_holder_of_its_clients_places() {
        let holder = |peer: &str, headers: &[(&'static str, &str)]| {
            cx(peer, &["10.0.0.0/8"], headers).0.holder().map(|address| address.to_string())
        };
        let forwarded = |value| [("x-forwarded-for", value)];
        assert_eq!(holder("10.0.0.1", &[]), None, "the proxy sends its own request");
        let client = holder("10.0.0.1", &forwarded("198.51.100.7"));
        assert_eq!(client.as_deref(), Some("198.51.100.7"));
        assert_eq!(holder("10.0.0.1", &forwarded("garbage")).as_deref(), Some("10.0.0.1"));
        assert_eq!(holder("192.0.2.1", &[]).as_deref(), Some("192.0.2.1"));
        let forged = holder("192.0.2.1", &forwarded("198.51.100.7"));
        assert_eq!(forged.as_deref(), Some("192.0.2.1"));
    }

    #[test]
    fn only_a_trusted_proxy_says_that_a_client_came_in_clear() {
        let clear = |peer: &str, proto: &str| {
            cx(peer, &["10.0.0.0/8"], &[("x-forwarded-proto", proto)]).0.clear_at_proxy
        };
        assert!(clear("10.0.0.1", "http") && clear("10.0.0.1", "HTTP"));
        assert!(
            !clear("10.0.0.1", "https") && !clear("10.0.0.1", "") && !clear("192.0.2.1", "http")
        );
    }

    #[test]
    fn the_chain_is_walked_from_the_right() {
        let trusted = ["10.0.0.0/8"];
        assert_eq!(
            client_of("10.0.0.1", &trusted, &["6.6.6.6, 198.51.100.7, 10.0.0.2"]),
            "198.51.100.7"
        );
        assert_eq!(client_of("10.0.0.1", &trusted, &["6.6.6.6", "198.51.100.7"]), "198.51.100.7");
        assert_eq!(client_of("10.0.0.1", &trusted, &["10.0.0.9"]), "10.0.0.9");
        assert_eq!(
            client_of("::ffff:10.0.0.1", &trusted, &["::ffff:198.51.100.7"]),
            "198.51.100.7"
        );
    }

    #[test]
    fn what_cannot_be_read_means_the_peer() {
        for garbage in ["unknown", "198.51.100.7:port", "[::1"] {
            let (cx, forwarded) = cx("10.0.0.1", &["10.0.0.0/8"], &[("x-forwarded-for", garbage)]);
            assert_eq!(cx.client.to_string(), "10.0.0.1", "{garbage}");
            assert_eq!(forwarded, Forwarded::Unreadable, "{garbage}");
        }
    }

    #[test]
    fn a_trace_goes_on_from_a_trusted_proxy_only() {
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let headers = [("traceparent", parent)];
        let trusted = cx("10.0.0.1", &["10.0.0.0/8"], &headers).0;
        assert_eq!(trusted.trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
        assert!(trusted.traceparent().starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"));
        let told = Traceparent::parse(parent).unwrap();
        assert_eq!(trusted.trace_parent, TraceParent::Parent(told.clone()));
        let stranger = cx("192.0.2.1", &[], &headers).0;
        assert_ne!(stranger.trace_id, trusted.trace_id);
        assert_eq!(stranger.trace_parent, TraceParent::Linked(told));
        for bad in [
            "",
            "00-0-0-0",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(Traceparent::parse(bad), None, "{bad}");
        }
    }
}
