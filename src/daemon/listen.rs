//! Binds the listeners. If a port is taken, reports which process has this port.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use listeners::{Listener, Protocol, SocketState};

use super::StartError;
use crate::config::Config;
use crate::http::server::Server;
use crate::http::sources::Sources;
use crate::http::tls::Tls;

/// Loads the certificate of the public listener.
pub fn tls(config: &Config) -> Result<Option<Arc<Tls>>, StartError> {
    let Some(files) = config.http.tls() else { return Ok(None) };
    let tls =
        Tls::load(files).map_err(|error| StartError::Settings(format!("http.tls: {error}")))?;
    Ok(Some(Arc::new(tls)))
}

/// Creates the limits that share the connections of the public listener between clients.
pub fn sources(config: &Config) -> Arc<Sources> {
    let max = config.http.max_connections_per_source;
    Sources::new(max, config.http.trusted_proxies.clone())
}

/// Binds `address`, the value of `setting`. `other` is the IP address and port of the daemon's
/// other listener.
pub async fn bind(
    setting: &'static str,
    address: SocketAddr,
    other: SocketAddr,
    tls: Option<Arc<Tls>>,
    connections_max: usize,
) -> Result<Server, StartError> {
    Server::bind(address, tls, connections_max).await.map_err(|error| {
        if error.kind() != io::ErrorKind::AddrInUse {
            return StartError::Listen(format!(
                "cannot listen on {address}: {error}\n  to use another address, set `{setting}`"
            ));
        }
        let who = holder(address.port()).map_or_else(
            || "the address is in use".to_owned(),
            |who| format!("the address is in use by {who}"),
        );
        let variable = format!("LATCHKEY_{}", setting.to_uppercase().replace('.', "__"));
        let elsewhere = SocketAddr::new(address.ip(), free_near(address, other.port()));
        StartError::Listen(format!(
            "cannot listen on {address}: {who}\n  to use another address, set `{setting}`, for \
             example {variable}={elsewhere}"
        ))
    })
}

/// Returns a free port of `address` that is not `ours`. This is the next higher free port, if there
/// is one.
fn free_near(address: SocketAddr, ours: u16) -> u16 {
    let above = (address.port().max(1023)..u16::MAX).map(|port| port + 1);
    let is_free = |port: &u16| *port != ours && TcpListener::bind((address.ip(), *port)).is_ok();
    above.take(100).find(is_free).unwrap_or(0)
}

/// The process that listens on a TCP port of this machine, if the kernel shows it: `name (pid
/// 123)`.
pub fn holder(port: u16) -> Option<String> {
    let listens = |it: &Listener| {
        (it.protocol, it.state, it.socket.port()) == (Protocol::TCP, SocketState::Listen, port)
    };
    let found = listeners::get_all().ok()?.into_iter().find(listens)?;
    Some(format!("{} (pid {})", found.process.name, found.process.pid))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[tokio::test]
    async fn a_taken_port_is_told_by_its_holder() {
        let first = bind("http.listen", at(0), at(9), None, 1).await.unwrap();
        let taken = first.local_addr().unwrap();
        let error = bind("http.listen", taken, at(9), None, 1).await.unwrap_err().to_string();
        assert!(error.contains(&format!("(pid {})", std::process::id())), "{error}");
        assert!(error.contains("LATCHKEY_HTTP__LISTEN="), "{error}");
    }

    #[tokio::test]
    async fn a_port_is_offered_that_neither_we_nor_others_have() {
        let taken = bind("http.listen", at(0), at(9), None, 1).await.unwrap();
        let taken = taken.local_addr().unwrap().port();
        assert_ne!(free_near(at(taken - 1), 9), taken, "a port of another process");
        let offered = free_near(at(taken), 9);
        assert!(offered > taken || taken == u16::MAX, "{offered}");
        assert_ne!(free_near(at(taken), offered), offered, "our own");
    }
}
