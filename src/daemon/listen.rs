//! Binds the listeners. If a port is taken, reports which process has this port.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use listeners::{Listener, Protocol, SocketState};

use super::StartError;
use crate::config::Config;
use crate::http::idle::IdleTimeouts;
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

/// Binds the public listener. Its connections are shared between clients, and trusted proxies keep
/// theirs for longer.
pub async fn bind_public(config: &Config, tls: Option<Arc<Tls>>) -> Result<Server, StartError> {
    let (http, other) = (&config.http, config.admin.listen);
    let server = bind("http.listen", http.listen, other, tls, http.max_connections).await?;
    let sources = Sources::new(http.max_connections_per_source, http.trusted_proxies.clone());
    let idle = IdleTimeouts::new(http.idle_timeout, http.trusted_proxies.clone());
    Ok(server.sharing(sources).closing_idle(idle))
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
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::{self, Inputs, Machine};

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
    async fn the_settings_decide_when_an_idle_connection_is_closed() {
        for (setting, client, proxy) in [(None, 75, 620), (Some("10s"), 10, 620)] {
            let mut flags = vec![
                "http.listen=127.0.0.1:0".to_owned(),
                "http.trusted_proxies=10.0.0.0/8".to_owned(),
            ];
            flags.extend(setting.map(|it| format!("http.idle_timeout={it}")));
            let loaded = config::load(&Inputs {
                files: Vec::new(),
                environment: &BTreeMap::new(),
                flags: &flags,
                machine: Machine { cores: 1, log_on_terminal: false },
            });
            let server = bind_public(&loaded.unwrap().config, None).await.unwrap();
            for (address, seconds) in [([192, 0, 2, 1], client), ([10, 0, 0, 1], proxy)] {
                assert_eq!(server.idle_within(address.into()).as_secs(), seconds, "{setting:?}");
            }
        }
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
