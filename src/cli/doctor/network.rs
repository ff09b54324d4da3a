//! Names and ports: what clients reach us by, what we listen on, and whom we ask.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, lookup_host};

use super::{Finding, Patient};
use crate::config::Profile;
use crate::daemon::holder;

/// How long one name or connection may take.
const WITHIN: Duration = Duration::from_secs(5);
/// OTLP's port over gRPC.
const GRPC: u16 = 4317;

/// Whether the name in links and tokens leads somewhere, and addresses of clients are seen.
pub(super) async fn public_url(patient: &Patient<'_>) -> Vec<Finding> {
    let config = patient.config;
    let Ok(url) = url::Url::parse(&config.public_url) else {
        return vec![Finding::failed("is no URL", "write https://auth.example.com")];
    };
    let (host, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default());
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let remedy = "make an A or AAAA record for it, or correct `public_url`";
    let mut found = vec![match resolve(&host, port.unwrap_or(443)).await {
        Ok(addresses) => {
            let text: Vec<String> = addresses.iter().map(|it| it.ip().to_string()).collect();
            Finding::ok(format!("{host} is {}", text.join(", ")))
        }
        // Behind split DNS the daemon itself may not know its own name.
        Err(why) => Finding::warning(format!("{host}: {why}"), remedy),
    }];
    let is_behind = url.scheme() == "https" && config.http.tls.is_none();
    if is_behind && config.http.trusted_proxies.is_empty() {
        let text =
            "a proxy stands in front and `http.trusted_proxies` is empty: everybody is one address";
        let remedy = "list the proxy's network in `http.trusted_proxies`";
        found.push(match config.profile {
            Profile::Production => Finding::failed(text, remedy),
            Profile::Development => Finding::warning(text, remedy),
        });
    }
    found
}

/// Whether the listeners' ports are free, or ours already.
pub(super) async fn ports(patient: &Patient<'_>) -> Vec<Finding> {
    let config = patient.config;
    let mut found = Vec::new();
    for (setting, address) in
        [("http.listen", config.http.listen), ("admin.listen", config.admin_listen)]
    {
        found.push(port(setting, address).await);
    }
    if !config.admin_listen.ip().is_loopback() && config.profile == Profile::Production {
        found.push(Finding::ok("admin.listen is not loopback: keep it behind a network policy"));
    }
    found
}

async fn port(setting: &str, address: SocketAddr) -> Finding {
    let bound = TcpListener::bind(address).await;
    let Err(error) = bound else {
        return Finding::ok(format!("{setting} {address} is free"));
    };
    if error.kind() != std::io::ErrorKind::AddrInUse {
        let remedy =
            "ports below 1024 need CAP_NET_BIND_SERVICE; addresses have to be this machine's";
        return Finding::failed(format!("{setting} {address}: {error}"), remedy);
    }
    match holder(address.port()) {
        Some(who) if who.starts_with("latchkey ") => {
            Finding::ok(format!("{setting} {address} is held by {who}"))
        }
        Some(who) => Finding::failed(
            format!("{setting} {address} is held by {who}"),
            &format!("stop it, or set `{setting}` to another port"),
        ),
        None => Finding::warning(
            format!("{setting} {address} is in use, by whom this user may not see"),
            "fine where it is the daemon: run doctor as its user to know",
        ),
    }
}

/// Whether those answer that we ask: the collector, the service of breached passwords.
pub(super) async fn others(patient: &Patient<'_>) -> Vec<Finding> {
    let mut asked = Vec::new();
    if let Some(url) = &patient.config.password.breach_url {
        asked.push(("password.breach_url", url.clone(), "passwords pass unchecked meanwhile"));
    }
    let telemetry = &patient.config.telemetry;
    let signals = [&telemetry.traces, &telemetry.metrics, &telemetry.logs];
    if let Some(to) = signals.into_iter().flatten().next() {
        asked.push((
            "telemetry.endpoint",
            to.endpoint.clone(),
            "what is exported is dropped meanwhile",
        ));
    }
    if asked.is_empty() {
        return vec![Finding::skipped("nobody else is asked")];
    }
    let mut found = Vec::new();
    for (setting, url, meanwhile) in asked {
        found.push(match reach(&url).await {
            Ok(()) => Finding::ok(format!("{setting} takes connections")),
            Err(why) => Finding::warning(
                format!("{setting}: {why} ({meanwhile})"),
                "let this machine reach it",
            ),
        });
    }
    found
}

async fn reach(url: &str) -> Result<(), String> {
    let url = url::Url::parse(url).map_err(|error| error.to_string())?;
    let host = url.host_str().ok_or("no host")?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = url.port_or_known_default().unwrap_or(GRPC);
    let addresses = resolve(&host, port).await?;
    match tokio::time::timeout(WITHIN, TcpStream::connect(addresses.as_slice())).await {
        Ok(connected) => connected.map(drop).map_err(|error| error.to_string()),
        Err(_) => Err("does not answer".to_owned()),
    }
}

async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    let found = tokio::time::timeout(WITHIN, lookup_host((host, port))).await;
    let found = found.map_err(|_| "the name server does not answer".to_owned())?;
    let found: Vec<SocketAddr> = found.map_err(|_| "does not resolve".to_owned())?.collect();
    if found.is_empty() { Err("does not resolve".to_owned()) } else { Ok(found) }
}
