//! URLs (RFC 3986), as far as settings need them: parsing, checks, and redaction of secrets.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use percent_encoding::percent_decode_str;

use super::kind::Refusal;

/// The parts of a URL, as written. If the authority has several hosts (`a:1,b:2`), `host` contains
/// all of them with their ports, and `port` is `None`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Url<'a> {
    pub scheme: &'a str,
    /// `user:password`, the part before the `@`.
    pub userinfo: Option<&'a str>,
    /// A name or an IP address. An IPv6 address has no brackets here.
    pub host: &'a str,
    pub port: Option<&'a str>,
    /// The path. It is empty or starts with a slash.
    pub path: &'a str,
    pub query: Option<&'a str>,
    pub fragment: Option<&'a str>,
}

impl<'a> Url<'a> {
    /// Parses a URL. `None` if it has no `://` or its authority is malformed.
    pub fn parse(given: &'a str) -> Option<Self> {
        let (scheme, rest) = given.split_once("://")?;
        let (rest, fragment) = cut(rest, '#');
        let (rest, query) = cut(rest, '?');
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (userinfo, hosts) = match authority.rsplit_once('@') {
            Some((userinfo, hosts)) => (Some(userinfo), hosts),
            None => (None, authority),
        };
        let (host, port) = if hosts.contains(',') { (hosts, None) } else { host_and_port(hosts)? };
        Some(Self { scheme, userinfo, host, port, path, query, fragment })
    }

    /// Parses a URL and checks that it has one of `schemes` and a host (for `sqlite`, a path). The
    /// refusal does not show the URL.
    pub fn check(given: &'a str, schemes: &[&str]) -> Result<Self, Refusal> {
        let fix = || {
            let forms: Vec<_> = schemes.iter().map(|scheme| format!("{scheme}://…")).collect();
            format!("write it as {}", forms.join(" or "))
        };
        if given.starts_with(['"', '\'']) {
            return Err(Refusal::new("is in quotes", "remove the quotes"));
        }
        if given.trim() != given {
            let fix = "write only the URL, on one line";
            return Err(Refusal::new("has a space or a line break at its start or end", fix));
        }
        let no_url = || Refusal::new("is not a URL", fix());
        if given.contains(|c: char| c.is_whitespace() || c.is_control()) {
            let fix = "percent-encode it: a space is %20";
            return Err(Refusal::new("contains a space or a control character", fix));
        }
        let url = Self::parse(given).ok_or_else(no_url)?;
        if !schemes.contains(&url.scheme) {
            return Err(Refusal::new("has a scheme that is not allowed here", fix()));
        }
        if url.scheme == "sqlite" {
            if url.userinfo.is_some() || url.port.is_some() {
                let fix = "write sqlite:///absolute/path or sqlite://./relative/path";
                return Err(Refusal::new("contains a user or a port, but names a file", fix));
            }
            let has_path = !(url.host.is_empty() && url.path.is_empty());
            return if has_path { Ok(url) } else { Err(no_url()) };
        }
        url.check_escapes()?;
        if url.host.contains(',') && !url.scheme.ends_with("+cluster") {
            let fix = "write one host name that always leads to the primary; only redis+cluster:// \
                 takes several hosts";
            return Err(Refusal::new("names several hosts", fix));
        }
        if url.scheme.ends_with("unix") {
            let is_path = url.path.len() > 1 && url.host.is_empty();
            let fix =
                "write unix:///run/redis/redis.sock, with ?user=…&pass=…&db=… if you need them";
            return if is_path && url.userinfo.is_none() && url.port.is_none() {
                Ok(url)
            } else {
                Err(Refusal::new("is not the path of a Unix socket", fix))
            };
        }
        for host in url.host.split(',') {
            let (host, port) = if url.host.contains(',') {
                host_and_port(host).ok_or_else(no_url)?
            } else {
                (url.host, url.port)
            };
            if !is_host(host) && !url.leads_to_a_socket() {
                return Err(Refusal::new("contains no host", fix()));
            }
            if port.is_some_and(|port| port.is_empty() || port.parse::<u16>().is_err()) {
                let fix = "write a port from 0 to 65535";
                return Err(Refusal::new("has an invalid port", fix));
            }
        }
        Ok(url)
    }

    /// Whether the URL leads to a Unix socket of PostgreSQL, in one of the forms of libpq: without
    /// a host, or with the folder of the socket as the host, percent-encoded.
    fn leads_to_a_socket(&self) -> bool {
        let is_folder = percent_decode_str(self.host).next() == Some(b'/');
        let is_default = self.host.is_empty() && (self.path.len() > 1 || self.query.is_some());
        self.scheme.starts_with("postgres") && (is_folder || is_default)
    }

    /// Refuses a URL whose user or password seems to contain an unescaped character. Such a URL
    /// would lead to another server, and parts of the password would be read as a host, a port or a
    /// path.
    fn check_escapes(&self) -> Result<(), Refusal> {
        let refuse = |reason: &str, escape: &str| {
            Err(Refusal::new(reason, format!("percent-encode user and password: {escape}")))
        };
        let behind = [Some(self.path), self.query, self.fragment];
        if behind.into_iter().flatten().any(|part| part.contains('@')) {
            return refuse(
                "contains an @ after its host",
                "@ is %40, / is %2F, ? is %3F, # is %23",
            );
        }
        if self.fragment.is_some() {
            return refuse("contains a #", "# is %23");
        }
        let userinfo = self.userinfo.unwrap_or_default();
        let mut parts = userinfo.split('%').skip(1);
        if !parts.all(|part| part.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2) {
            return refuse("contains a % that does not begin an escape", "% is %25");
        }
        if percent_decode_str(userinfo).decode_utf8().is_err() {
            return refuse("has a user or password that is not UTF-8", "ä is %C3%A4");
        }
        Ok(())
    }

    /// Whether the URL has a user, a query or a fragment. These parts are perhaps secret, so a URL
    /// that is shown must not have them.
    pub fn has_extras(&self) -> bool {
        self.userinfo.is_some() || self.query.is_some() || self.fragment.is_some()
    }

    /// Whether a connection to the host stays on this machine.
    pub fn is_loopback(&self) -> bool {
        is_loopback(self.host)
    }

    /// Whether a browser on this machine reaches this machine under the host.
    pub fn is_loopback_in_browsers(&self) -> bool {
        is_loopback_in_browsers(self.host)
    }
}

/// Splits a host from its port. `None` if an IPv6 address has no closing bracket or is none.
fn host_and_port(text: &str) -> Option<(&str, Option<&str>)> {
    let Some(rest) = text.strip_prefix('[') else {
        return Some(match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        });
    };
    let (host, rest) = rest.split_once(']')?;
    host.parse::<Ipv6Addr>().ok()?;
    match rest.strip_prefix(':') {
        Some(port) => Some((host, Some(port))),
        None => rest.is_empty().then_some((host, None)),
    }
}

/// Whether a text is a host name or an IP address, with IPv6 addresses without brackets.
fn is_host(text: &str) -> bool {
    text.contains(':') && text.parse::<Ipv6Addr>().is_ok()
        || !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || "-._".contains(c))
}

/// Whether a connection to a host stays on this machine: a loopback address (IPv6 with or without
/// brackets, and IPv4 that is mapped to IPv6), or `localhost`. Other names, also `localhost.` and
/// names below `localhost`, are resolved by DNS and can lead to another machine.
pub fn is_loopback(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
        || host.eq_ignore_ascii_case("localhost")
}

/// Whether a browser on this machine reaches this machine under the host. Browsers resolve
/// `localhost` and the names below it themselves (RFC 6761 §6.3).
pub fn is_loopback_in_browsers(host: &str) -> bool {
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    is_loopback(host) || name == "localhost" || name.ends_with(".localhost")
}

/// What to do if a server refuses the login with the user and password of a URL. `None` if neither
/// contains a character that is perhaps not escaped as it should be.
pub fn escape_hint(given: &str) -> Option<&'static str> {
    let userinfo = Url::parse(given)?.userinfo?;
    userinfo.contains(['%', '@']).then_some(
        "percent-encode user and password in the URL: a % that belongs to the password is %25, an \
         @ is %40",
    )
}

/// A URL without its secrets: the user, the password, the query and the fragment.
pub fn redacted(given: &str) -> String {
    let Some(url) = Url::parse(given) else { return "***".to_owned() };
    let is_port = url.port.is_none_or(|port| port.parse::<u16>().is_ok());
    if url.check_escapes().is_err() || !is_port {
        // Because of an unescaped character, it is unclear where the password ends.
        return format!("{}://***", url.scheme);
    }
    let without_query = given.split(['?', '#']).next().unwrap_or_default();
    let mut shown = match url.userinfo {
        Some(userinfo) => without_query.replacen(&format!("{userinfo}@"), "***@", 1),
        None => without_query.to_owned(),
    };
    if url.query.is_some() || url.fragment.is_some() {
        shown.push_str("?***");
    }
    shown
}

/// Shows only the scheme, because the other parts are perhaps secret.
impl fmt::Debug for Url<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Url").field("scheme", &self.scheme).finish_non_exhaustive()
    }
}

fn cut(text: &str, at: char) -> (&str, Option<&str>) {
    match text.split_once(at) {
        Some((before, after)) => (before, Some(after)),
        None => (text, None),
    }
}

#[cfg(test)]
#[path = "url_tests.rs"]
mod tests;
