//! The settings of the two listeners: `http.*` and `admin.*`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::settings;
use crate::config::kind::Item::{Network, Origin};
use crate::config::kind::Kind::{self, Address, Integer, List, Path};
use crate::config::setting::Fallback::{Is, Nothing};
use crate::config::setting::M;

settings! {
    /// The public listener
    Http = "http" {
        /// The address and port of the public listener.
        listen: SocketAddr = "http.listen", Address, Is("127.0.0.1:8080");
        /// The certificate chain, in PEM.
        tls_cert: Option<PathBuf> = "http.tls.cert", Path, Nothing("/etc/latchkey/tls.crt");
        /// The private key of the certificate, in PEM.
        tls_key: Option<PathBuf> = "http.tls.key", Path, Nothing("/etc/latchkey/tls.key");
        /// Networks of proxies whose `X-Forwarded-For`, or else `Forwarded` (RFC 7239), names the
        /// client. Without them all clients behind a proxy count as one address.
        trusted_proxies: Vec<IpNet> = "http.trusted_proxies", List(Network), Is("");
        /// Origins of web pages that may call the API from a browser, compared exactly.
        cors_origins: Vec<String> = "http.cors_origins", List(Origin), Is("");
        /// The most connections that are open at once. Further connections wait until one is
        /// closed.
        max_connections: usize = "http.max_connections", Integer(1, 1_000_000), Is("20000");
        /// The most connections of one address (IPv6: one /64). Further ones are closed. Trusted
        /// proxies have no such limit.
        // A twentieth of all: an office or a carrier behind one address has hundreds.
        max_connections_per_source: usize = "http.max_connections_per_source",
            Integer(1, 1_000_000), Is("1000");
        /// The most requests in work at once, and the most that still send their body. One address
        /// may have half of either. Further requests get 503.
        max_in_flight: usize = "http.max_in_flight", Integer(1, 100_000), Is("1024");
        /// How long a stopping daemon still serves requests after `/readyz` reports that it stops.
        /// Load balancers need this time to take it out.
        drain_delay: Duration = "http.drain_delay", Kind::Duration(0, 5 * M), Is("5s");
    }
}

settings! {
    /// The listener of probes and metrics; never expose it
    Admin = "admin" {
        /// The address and port of `/livez`, `/readyz` and `/metrics`.
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
    /// The files of the certificate and its key; the settings name both or none.
    pub fn tls(&self) -> Option<TlsFiles> {
        let (cert, key) = (self.tls_cert.clone()?, self.tls_key.clone()?);
        Some(TlsFiles { cert, key })
    }
}
