//! [`Sources`] limits the connections that one source may hold open, so that one source cannot use
//! up all connections.
//!
//! A source is an IPv4 address or an IPv6 /64 network. The connections of trusted proxies are not
//! counted, because a proxy stands for many clients.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ipnet::IpNet;
use tokio::time::Instant;

use super::forwarded::trusts;
use crate::client_key::ClientKey;

/// The operator is warned at most once in this time.
const WARNING_EVERY: Duration = Duration::from_mins(1);

/// Counts connections by source. It has one entry for each source with open connections, so it
/// never has more entries than connections.
#[derive(Debug)]
pub struct Sources {
    max: usize,
    exempt: Vec<IpNet>,
    counted: Mutex<Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    open: HashMap<ClientKey, usize>,
    warned: Option<Instant>,
}

impl Sources {
    /// Allows each source `max` connections, and each source in `exempt` any number of connections.
    pub fn new(max: usize, exempt: Vec<IpNet>) -> Arc<Self> {
        Arc::new(Self { max, exempt, counted: Mutex::default() })
    }

    /// Counts a connection until the returned guard is dropped. Returns none if the source already
    /// holds the maximum number of connections.
    pub fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Held> {
        let address = address.to_canonical();
        if trusts(&self.exempt, address) {
            return Some(Held(None));
        }
        let source = ClientKey::narrow(address);
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let open = counted.open.get(&source).copied().unwrap_or(0);
        if open < self.max {
            counted.open.insert(source, open + 1);
            return Some(Held(Some((self.clone(), source))));
        }
        if counted.warned.is_none_or(|at| at.elapsed() >= WARNING_EVERY) {
            counted.warned = Some(Instant::now());
            tracing::warn!(
                "client.address" = %address,
                "a source holds as many connections as http.max_connections_per_source allows, so its further connections are closed. \
                 If the source is your proxy, add it to http.trusted_proxies"
            );
        }
        None
    }
}

/// The guard of a counted connection.
#[derive(Debug)]
pub struct Held(Option<(Arc<Sources>, ClientKey)>);

impl Drop for Held {
    fn drop(&mut self) {
        let Some((sources, source)) = self.0.take() else { return };
        let mut counted = sources.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let left = counted.open.get(&source).copied().unwrap_or(0).saturating_sub(1);
        if left == 0 {
            counted.open.remove(&source);
        } else {
            counted.open.insert(source, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_source_holds_so_many_and_another_as_many() {
        let sources = Sources::new(2, Vec::new());
        let held: Vec<Held> =
            (0..2).map(|_| sources.admit(ip("192.0.2.1")).expect("room")).collect();
        assert!(sources.admit(ip("192.0.2.1")).is_none());
        assert!(
            sources.admit(ip("::ffff:192.0.2.1")).is_none(),
            "the same address, mapped to IPv6"
        );
        assert!(sources.admit(ip("192.0.2.2")).is_some());
        drop(held);
        assert!(sources.admit(ip("192.0.2.1")).is_some());
        assert!(sources.counted.lock().unwrap().open.is_empty(), "no entry is left");
    }

    #[test]
    fn an_ipv6_source_is_its_64() {
        let sources = Sources::new(1, Vec::new());
        let _one = sources.admit(ip("2001:db8:1:1::1")).expect("room");
        assert!(sources.admit(ip("2001:db8:1:1:ffff::1")).is_none());
        assert!(sources.admit(ip("2001:db8:1:2::1")).is_some());
    }

    #[test]
    fn a_trusted_proxy_is_not_counted() {
        let sources = Sources::new(1, vec!["10.0.0.0/8".parse().unwrap()]);
        let held: Vec<Held> = (0..9).filter_map(|_| sources.admit(ip("10.1.2.3"))).collect();
        assert_eq!(held.len(), 9);
        assert!(sources.admit(ip("::ffff:10.1.2.3")).is_some());
    }
}
