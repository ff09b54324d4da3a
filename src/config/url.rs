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
            return Err(Refusal::new("contains a space or a control character", fix()));
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

    /// Whether the host is this machine.
    pub fn is_loopback(&self) -> bool {
        is_loopback(self.host)
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

/// Whether a host is this machine: a loopback address (IPv6 with or without brackets, and IPv4 that
/// is mapped to IPv6), `localhost`, or a name below `localhost` (RFC 6761 §6.3).
pub fn is_loopback(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    bare.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
        || name == "localhost"
        || name.ends_with(".localhost")
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
mod tests {
    use super::*;

    #[test]
    fn a_url_falls_into_its_parts() {
        let url = Url::parse("postgres://u:p@db.example:5432/latchkey?sslmode=require").unwrap();
        assert_eq!((url.scheme, url.host, url.port), ("postgres", "db.example", Some("5432")));
        assert_eq!((url.userinfo, url.path), (Some("u:p"), "/latchkey"));
        assert_eq!(Url::parse("http://[::1]:8080").unwrap().host, "::1");
        assert_eq!(Url::parse("http://[::1").map(|url| url.host), None);
    }

    #[test]
    fn a_url_needs_a_known_scheme_a_host_and_a_port_that_is_one() {
        let check = |given| Url::check(given, &["http", "https"]).map(|_| ()).is_ok();
        assert!(check("http://localhost") && check("https://[::1]:8080") && check("http://a:1/b"));
        for wrong in [
            "localhost:8080",
            "ftp://a",
            "http://",
            "http:///a",
            "http://a:x",
            "http://a:70000",
            "http://a b",
            "http://[x]",
        ] {
            assert!(!check(wrong), "{wrong}");
        }
        assert!(Url::check("sqlite://./data/latchkey.db", &["sqlite"]).is_ok());
        assert!(Url::check("sqlite:///var/lib/x.db?mode=rwc", &["sqlite"]).is_ok());
        for wrong in ["sqlite://", "sqlite://u:p@h/x.db", "sqlite://u:p/x.db"] {
            assert!(Url::check(wrong, &["sqlite"]).is_err(), "{wrong}");
        }
        assert!(Url::check("redis+cluster://a:1,b:2", &["redis+cluster"]).is_ok());
    }

    #[test]
    fn a_redacted_url_shows_where_and_nothing_secret() {
        assert_eq!(redacted("postgres://u:p@db/x?password=p"), "postgres://***@db/x?***");
        assert_eq!(redacted("redis://:p@ss@h:1"), "redis://***@h:1");
        assert_eq!(redacted("sqlite://./data/latchkey.db"), "sqlite://./data/latchkey.db");
        assert_eq!(redacted("redis://u:1/ss@h:1"), "redis://***");
        assert_eq!(redacted("hunter2"), "***");
        for unescaped in ["x://u:1#ss@h", "x://u:1?ss@h/d", "x://u:p", "x://:p", "x://u:%zz@h"] {
            assert_eq!(redacted(unescaped), "x://***", "{unescaped}");
        }
        let url = Url::parse("x://u:hunter2@h?hunter2#hunter2").unwrap();
        assert!(!format!("{url:?}").contains("hunter2"));
    }

    #[test]
    fn an_unescaped_password_is_refused_with_the_escape_that_it_needs() {
        for (userinfo, escape) in [
            ("u:p/w", "%2F"),
            ("u:1/w", "%2F"),
            ("u:p?w", "%3F"),
            ("u:1?w", "%3F"),
            ("u:p#w", "%23"),
            ("u:1#w", "%23"),
            ("u:p%w", "%25"),
            ("u:p%zz", "%25"),
            ("u:p%", "%25"),
            ("u:p%E4", "%C3%A4"),
        ] {
            for scheme in ["postgres", "redis", "smtp"] {
                let url = format!("{scheme}://{userinfo}@db.example/d");
                let refusal = Url::check(&url, &[scheme]).unwrap_err();
                assert!(refusal.fix.contains(escape), "{url}: {refusal:?}");
                assert!(refusal.fix.starts_with("percent-encode user and password"), "{url}");
                assert!(!refusal.what(true).contains("db.example"), "{url}");
            }
        }
        for (url, reason) in [
            ("'postgres://u:p@db/d'", "is in quotes"),
            ("postgres://u:p@db/d\n", "has a space or a line break at its start or end"),
            ("postgres://u:p@db/d e", "contains a space or a control character"),
        ] {
            let refusal = Url::check(url, &["postgres"]).unwrap_err();
            assert!(refusal.what(true).contains(reason), "{url:?}: {refusal:?}");
        }
        // The userinfo ends at the last `@` before the path. The database drivers read it in the
        // same way.
        assert!(Url::check("postgres://u:p@ss@db/d", &["postgres"]).is_ok());
        assert!(Url::check("redis://:p%40ss@[::1]:1/0", &["redis"]).is_ok());
    }

    #[test]
    fn several_hosts_are_for_a_cluster_alone() {
        for (url, scheme) in [
            ("postgres://u:p@a:1,b:2/d", "postgres"),
            ("redis://a,b", "redis"),
            ("smtp://a,b", "smtp"),
        ] {
            let refusal = Url::check(url, &[scheme]).unwrap_err();
            assert_eq!(refusal.what(true), "names several hosts", "{url}");
            assert!(
                refusal.fix.contains("one host name that always leads to the primary"),
                "{url}"
            );
        }
        for url in ["rediss+cluster://u:p@a:1,b:2", "rediss+cluster://u:p@[::1]:1,[::1]:2,a"] {
            assert!(Url::check(url, &["rediss+cluster"]).is_ok(), "{url}");
        }
        for url in ["redis+cluster://[::1:1,a", "redis+cluster://a:x,b", "redis+cluster://a,,b"] {
            assert!(Url::check(url, &["redis+cluster"]).is_err(), "{url}");
        }
    }

    #[test]
    fn a_unix_socket_is_written_as_libpq_and_redis_write_it() {
        for good in [
            "postgresql:///db",
            "postgres://user:p%40ss@/db?host=/run/postgresql",
            "postgres://user@:5433/db",
            "postgres://user@%2Frun%2Fpostgresql/db",
            "postgres://user@%2frun%2fpostgresql:5433/db",
            "postgres://?host=/run/postgresql",
        ] {
            assert!(Url::check(good, &["postgres", "postgresql"]).is_ok(), "{good}");
        }
        for wrong in ["postgres://", "postgres:///", "postgres://user@", "postgres://a%2Fb/db"] {
            assert!(Url::check(wrong, &["postgres"]).is_err(), "{wrong}");
        }
        for good in ["unix:///run/redis.sock", "redis+unix:///run/redis.sock?db=2&pass=p"] {
            assert!(Url::check(good, &["redis+unix", "unix"]).is_ok(), "{good}");
        }
        for wrong in ["unix://", "unix:///", "unix://run/redis.sock", "redis+unix://u:p@/run/r"] {
            assert!(Url::check(wrong, &["redis+unix", "unix"]).is_err(), "{wrong}");
        }
        assert!(Url::check("redis:///0", &["redis"]).is_err());
    }

    #[test]
    fn only_names_of_this_machine_are_loopback() {
        for host in [
            "localhost",
            "LOCALHOST",
            "localhost.",
            "127.0.0.1",
            "127.9.9.9",
            "[::1]",
            "0:0:0:0:0:0:0:1",
            "::ffff:127.0.0.1",
            "[::ffff:7f00:2]",
            "a.localhost",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "localhost.evil.example",
            "example.com",
            "10.0.0.1",
            "",
            "[::]",
            "::ffff:10.0.0.1",
            "notlocalhost",
            "[::1",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn loopback_is_an_address_or_a_name_of_this_machine() {
        for (url, is) in [
            ("http://127.0.0.1:8080", true),
            ("http://127.9.9.9", true),
            ("http://[::1]:1", true),
            ("http://localhost", true),
            ("http://app.localhost", true),
            ("http://0.0.0.0:8080", false),
            ("http://localhost.example.com", false),
        ] {
            assert_eq!(Url::parse(url).unwrap().is_loopback(), is, "{url}");
        }
    }
}
