//! How long a connection may be without a request.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

use super::forwarded::trusts;

/// The timeout of a listener that has no setting. It is longer than the 60 seconds for which most
/// clients and proxies keep an idle connection.
const DEFAULT: Duration = Duration::from_secs(75);

/// The shortest timeout of a trusted proxy. Google Cloud's load balancers keep idle connections for
/// 600 seconds, and nobody can change this. Google recommends 620 seconds for the server behind
/// them.
const OF_PROXIES_MIN: Duration = Duration::from_secs(620);

/// The idle timeouts of a listener.
///
/// The peer should be the one that closes an idle connection. If the daemon closes it, a request of
/// the peer can be on its way at that moment. The peer cannot know whether the request was
/// executed, so it does not repeat a POST, and a proxy responds with 502. So the timeout has to be
/// longer than the one of the peer.
#[derive(Clone, Debug)]
pub struct IdleTimeouts {
    of_clients: Duration,
    proxies: Vec<IpNet>,
}

impl IdleTimeouts {
    /// Connections of `proxies` have `of_clients` too, but at least 620 seconds.
    pub fn new(of_clients: Duration, proxies: Vec<IpNet>) -> Self {
        Self { of_clients, proxies }
    }

    /// The timeout of a connection from this IP address.
    pub fn of(&self, address: IpAddr) -> Duration {
        if trusts(&self.proxies, address) {
            return self.of_clients.max(OF_PROXIES_MIN);
        }
        self.of_clients
    }
}

impl Default for IdleTimeouts {
    fn default() -> Self {
        Self::new(DEFAULT, Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeout(of_clients: u64, address: &str) -> u64 {
        let proxies = vec!["10.0.0.0/8".parse().unwrap()];
        let timeouts = IdleTimeouts::new(Duration::from_secs(of_clients), proxies);
        timeouts.of(address.parse().unwrap()).as_secs()
    }

    #[test]
    fn a_trusted_proxy_has_at_least_620_seconds() {
        assert_eq!(timeout(75, "192.0.2.1"), 75);
        assert_eq!(timeout(75, "10.0.0.1"), 620);
        assert_eq!(timeout(75, "::ffff:10.0.0.1"), 620);
        assert_eq!(timeout(900, "10.0.0.1"), 900);
        assert_eq!(timeout(900, "192.0.2.1"), 900);
    }
}
