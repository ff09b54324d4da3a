//! The settings of the two listeners: `http.*` and `admin.*`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::settings;
use crate::config::kind::Item::{Network, Origin};
use crate::config::kind::Kind::{self, Address, Integer, List, Path};
use crate::config::setting::Fallback::{Is, Nothing};
use crate::config::setting::{H, M, S};

settings! {
    /// The public listener
    Http = "http" {
        /// The IP address and port of the public listener.
        listen: SocketAddr = "http.listen", Address, Is("127.0.0.1:8080");
        /// The file of the certificate chain, in PEM.
        tls_cert: Option<PathBuf> = "http.tls.cert", Path, Nothing("/etc/latchkey/tls.crt");
        /// The file of the certificate's private key, in PEM.
        tls_key: Option<PathBuf> = "http.tls.key", Path, Nothing("/etc/latchkey/tls.key");
        /// The networks of your proxies. Only for requests from these networks, latchkey reads the
        /// client's IP address from `X-Forwarded-For`, or from `Forwarded` (RFC 7239) if there is
        /// no `X-Forwarded-For`. If you do not set the networks, latchkey uses the proxy's IP
        /// address for all clients behind the proxy.
        trusted_proxies: Vec<IpNet> = "http.trusted_proxies", List(Network), Is("");
        /// The origins of web pages that may call the API from a browser. Patterns are not
        /// possible. Each origin is converted to the form that browsers send: lower case, no
        /// default port, an internationalized domain as `xn--…`. `config print` shows this form.
        cors_origins: Vec<String> = "http.cors_origins", List(Origin), Is("");
        /// The maximum number of connections that are open at once. Further connections wait until
        /// an open connection is closed.
        max_connections: usize = "http.max_connections", Integer(1, 1_000_000), Is("20000");
        /// The maximum number of open connections from one IP address (IPv6: from one /64). Further
        /// connections are closed. The limit does not apply to trusted proxies.
        // The default is a twentieth of `max_connections`, because an office or a carrier behind
        // one IP address has hundreds of connections.
        max_connections_per_source: usize = "http.max_connections_per_source",
            Integer(1, 1_000_000), Is("1000");
        /// The maximum number of requests in progress. The number of requests whose body is still
        /// being sent has the same maximum. One IP address may use half of each maximum. Further
        /// requests get status 503.
        max_in_flight: usize = "http.max_in_flight", Integer(1, 100_000), Is("1024");
        /// latchkey closes a connection after this time without a request. The time has to be
        /// longer than the idle timeout of your load balancer. For connections from
        /// `http.trusted_proxies`, the time is at least 620 s.
        // A client that is still reading a response counts as idle. So 10 s are the shortest time.
        idle_timeout: Duration = "http.idle_timeout", Kind::Duration(10 * S, H), Is("75s");
        /// How long a stopping daemon still serves new requests after `/readyz` has reported that
        /// the daemon stops. In this time, load balancers stop sending requests to this daemon.
        drain_delay: Duration = "http.drain_delay", Kind::Duration(0, 5 * M), Is("5s");
    }
}

settings! {
    /// The listener of probes and metrics; never expose it to a public network
    Admin = "admin" {
        /// The IP address and port of `/livez`, `/readyz` and `/metrics`.
        listen: SocketAddr = "admin.listen", Address, Is("127.0.0.1:9090");
    }
}

/// A certificate chain and its key, as PEM files.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    pub cert: PathBuf,
    pub key: PathBuf,
}

impl Http {
    /// The files of the certificate and its key. The settings name both files or none.
    pub fn tls(&self) -> Option<TlsFiles> {
        let (cert, key) = (self.tls_cert.clone()?, self.tls_key.clone()?);
        Some(TlsFiles { cert, key })
    }
}
