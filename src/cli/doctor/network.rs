//! Checks names and ports: the public URL, the ports of the listeners, and the services that the
//! daemon contacts.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::net::{TcpListener, TcpStream, lookup_host};

use super::{Finding, Patient};
use crate::config::{Config, Profile};
use crate::daemon::{holder, open_files};

/// How long one name resolution or one connection may take.
const WITHIN: Duration = Duration::from_secs(5);
/// The port of OTLP over gRPC.
const GRPC: u16 = 4317;

/// Checks that the host name in links and tokens resolves, and that the daemon sees the clients'
/// addresses.
pub(super) async fn public_url(patient: &Patient<'_>) -> Vec<Finding> {
    let config = patient.config;
    let Ok(url) = url::Url::parse(&config.public_url) else {
        return vec![Finding::failed("is not a URL", "write it as https://auth.example.com")];
    };
    let (host, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default());
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let resolved = resolve(&host, port.unwrap_or(443)).await;
    let mut found = vec![name(&host, resolved)];
    found.extend(proxy(config, url.scheme() == "https"));
    found
}

/// Reports whether the host name in links and tokens resolves.
fn name(host: &str, resolved: Result<Vec<SocketAddr>, String>) -> Finding {
    match resolved {
        Ok(addresses) => {
            let text: Vec<String> = addresses.iter().map(|it| it.ip().to_string()).collect();
            Finding::ok(format!("{host} is {}", text.join(", ")))
        }
        // With split DNS, the daemon's machine perhaps cannot resolve the public name.
        Err(why) => Finding::warning(
            format!("{host}: {why}"),
            "create an A or AAAA record for this name, or correct `public_url`",
        ),
    }
}

/// Warns if the settings require a proxy in front of the daemon, but no proxy is trusted.
fn proxy(config: &Config, is_https: bool) -> Option<Finding> {
    let is_behind = is_https && config.http.tls().is_none();
    if !is_behind || !config.http.trusted_proxies.is_empty() {
        return None;
    }
    let text = "a proxy is in front of the daemon, but `http.trusted_proxies` is empty, so all \
         clients count as one IP address";
    let remedy = "add the network of the proxy to `http.trusted_proxies`";
    Some(match config.profile {
        Profile::Production => Finding::failed(text, remedy),
        Profile::Development => Finding::warning(text, remedy),
    })
}

/// Whether the listeners' ports are free, or already in use by latchkey.
pub(super) async fn ports(patient: &Patient<'_>) -> Vec<Finding> {
    let config = patient.config;
    let mut found = Vec::new();
    for (setting, address) in
        [("http.listen", config.http.listen), ("admin.listen", config.admin.listen)]
    {
        found.push(port(setting, address).await);
    }
    if !config.admin.listen.ip().is_loopback() && config.profile == Profile::Production {
        found.push(Finding::ok(
            "admin.listen is not a loopback address: restrict access to it with a network policy",
        ));
    }
    if let Some((needed, limit)) = open_files::shortage(config) {
        let text = format!(
            "all connections that the settings allow need {needed} open files, but a process of \
             this user may have {limit}"
        );
        found.push(Finding::warning(text, open_files::FIX));
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
            "use an IP address of this machine; a port below 1024 needs CAP_NET_BIND_SERVICE";
        return Finding::failed(format!("{setting} {address}: {error}"), remedy);
    }
    match holder(address.port()) {
        Some(who) if who.starts_with("latchkey ") => {
            Finding::ok(format!("{setting} {address} is in use by {who}"))
        }
        Some(who) => Finding::failed(
            format!("{setting} {address} is in use by {who}"),
            &format!("stop that process, or set `{setting}` to another port"),
        ),
        // This can be a daemon, because a process without core dumps hides its sockets.
        None => Finding::warning(
            format!("{setting} {address} is in use by a process that this user cannot see"),
            "find out whether that process is the daemon: run `sudo ss -ltnp`, or request /livez \
             from the address of `admin.listen`",
        ),
    }
}

/// Checks that the services that the daemon contacts respond: the collectors and the service of
/// breached passwords.
pub(super) async fn others(patient: &Patient<'_>) -> Vec<Finding> {
    let asked = asked(patient.config);
    if asked.is_empty() {
        return vec![Finding::skipped("the daemon contacts no other services")];
    }
    join_all(asked.into_iter().map(|(what, url, meanwhile)| async move {
        match reach(url).await {
            Ok(()) => Finding::ok(format!("{what} accepts connections")),
            Err(why) => Finding::warning(
                format!("{what}: {why} ({meanwhile})"),
                "allow this machine to connect to it",
            ),
        }
    }))
    .await
}

/// The services that the daemon contacts. Each entry has a name, a URL, and what happens while the
/// service does not respond. A collector of several signals is listed once.
fn asked(config: &Config) -> Vec<(String, &str, &'static str)> {
    let mut asked = Vec::new();
    if let Some(url) = &config.password.breach_url {
        let meanwhile = "meanwhile passwords are accepted without this check";
        asked.push(("password.breach_url".to_owned(), url.as_str(), meanwhile));
    }
    let telemetry = &config.telemetry;
    let signals =
        [("traces", &telemetry.traces), ("metrics", &telemetry.metrics), ("logs", &telemetry.logs)];
    let mut collectors: Vec<(&str, Vec<&str>)> = Vec::new();
    for (signal, to) in signals {
        let Some(to) = to else { continue };
        let place = origin(&to.endpoint);
        match collectors.iter_mut().find(|(url, _)| origin(url) == place) {
            Some((_, signals)) => signals.push(signal),
            None => collectors.push((&to.endpoint, vec![signal])),
        }
    }
    for (url, signals) in collectors {
        let what = format!("the collector of {}", signals.join(", "));
        asked.push((what, url, "meanwhile this telemetry is dropped"));
    }
    asked
}

/// The part of a URL that a connection depends on. With HTTP each signal has its own path.
fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    url[host..].find('/').map_or(url, |end| &url[..host + end])
}

async fn reach(url: &str) -> Result<(), String> {
    let url = url::Url::parse(url).map_err(|error| error.to_string())?;
    let host = url.host_str().ok_or("the URL has no host")?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = url.port_or_known_default().unwrap_or(GRPC);
    connect(&resolve(&host, port).await?).await
}

/// Whether one of the addresses accepts a connection.
pub(super) async fn connect(addresses: &[SocketAddr]) -> Result<(), String> {
    match tokio::time::timeout(WITHIN, TcpStream::connect(addresses)).await {
        Ok(connected) => connected.map(drop).map_err(|error| error.to_string()),
        Err(_) => Err("does not respond".to_owned()),
    }
}

/// Resolves a name to its addresses.
pub(super) async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    let found = tokio::time::timeout(WITHIN, lookup_host((host, port))).await;
    let found = found.map_err(|_| "the name server does not respond".to_owned())?;
    let found: Vec<SocketAddr> = found.map_err(|_| "does not resolve".to_owned())?.collect();
    if found.is_empty() { Err("does not resolve".to_owned()) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::super::State::{Failed, Ok as Well, Warning};
    use super::super::tests::config;
    use super::*;

    #[test]
    fn a_name_that_leads_nowhere_warns() {
        let addresses = vec![SocketAddr::from(([192, 0, 2, 7], 443))];
        assert_eq!(name("auth.example", Ok(addresses)).detail, "auth.example is 192.0.2.7");
        let nowhere = name("auth.example", Err("does not resolve".to_owned()));
        assert_eq!(nowhere.state, Warning);
        assert!(nowhere.detail.contains("does not resolve"), "{nowhere:?}");
        assert_eq!(name("auth.example", Ok(Vec::new())).state, Well);
    }

    #[test]
    fn a_proxy_that_nobody_trusts_fails_in_production() {
        let smtp = ("mail.smtp_url", "smtps://mail.example.com");
        let url = ("public_url", "https://auth.example.com");
        let production = [("profile", "production"), smtp, url];
        let of = |settings: &[_], is_https| proxy(&config(settings), is_https).map(|it| it.state);
        assert_eq!(of(&production, true), Some(Failed));
        assert_eq!(of(&[url], true), Some(Warning));
        assert_eq!(of(&[], false), None);
        let trusted = [&production[..], &[("http.trusted_proxies", "10.0.0.0/8")]].concat();
        assert_eq!(of(&trusted, true), None);
    }

    #[test]
    fn every_collector_is_asked_and_each_once() {
        let one = config(&[("telemetry.endpoint", "http://otel.example:4318")]);
        let whom = |config: &Config| -> Vec<(String, String)> {
            let asked = asked(config).into_iter();
            asked.map(|(what, url, _)| (what, origin(url).to_owned())).collect()
        };
        let at = |what: &str, url: &str| (what.to_owned(), url.to_owned());
        let all = whom(&one);
        assert_eq!(all.len(), 1, "{all:?}");
        assert_eq!(all[0].1, "http://otel.example:4318");
        let mut two = one.clone();
        two.password.breach_url = Some("https://breaches.example/range/".to_owned());
        let mut elsewhere = one.telemetry.traces.clone().expect("traces are exported");
        elsewhere.endpoint = "http://logs.example:4318/v1/logs".to_owned();
        two.telemetry.logs = Some(elsewhere);
        let all = whom(&two);
        assert_eq!(all[0], at("password.breach_url", "https://breaches.example"));
        assert_eq!(all[2], at("the collector of logs", "http://logs.example:4318"));
        assert_eq!(whom(&config(&[])), []);
    }

    #[test]
    fn an_origin_is_a_url_without_its_path() {
        for (url, expected) in [
            ("http://a:1/v1/logs", "http://a:1"),
            ("https://a", "https://a"),
            ("http://[::1]:4317/", "http://[::1]:4317"),
            ("a/b", "a"),
        ] {
            assert_eq!(origin(url), expected);
        }
    }
}
