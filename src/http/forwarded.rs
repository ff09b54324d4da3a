//! The IP address of a client behind trusted proxies. It is read from `X-Forwarded-For`. If the
//! request does not have this header, it is read from `Forwarded` (RFC 7239).
//!
//! The entries are read from right to left. The first address that does not belong to a trusted
//! proxy belongs to the client. If an entry is unreadable, the peer counts as the client. Otherwise
//! a client could evade a limit with an invalid entry (ASVS 4.1.3).

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use hyper::header::{HeaderMap, HeaderName};
use ipnet::IpNet;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED: HeaderName = hyper::header::FORWARDED;
/// The maximum number of entries that are read from the headers. No legitimate chain of proxies is
/// longer.
const ENTRIES_MAX: usize = 32;

/// The client that the forwarded headers of a request name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardedClient {
    /// The forwarded headers are missing or name no client.
    None,
    Address(IpAddr),
    /// An entry of the forwarded headers cannot be read.
    Unreadable,
}

/// Whether a request carries a forwarded header.
pub fn is_forwarded(headers: &HeaderMap) -> bool {
    headers.contains_key(X_FORWARDED_FOR) || headers.contains_key(FORWARDED)
}

/// Reads the client of a request whose peer is a trusted proxy.
pub fn client(headers: &HeaderMap, trusted: &[IpNet]) -> ForwardedClient {
    if headers.contains_key(X_FORWARDED_FOR) {
        let lines = headers.get_all(X_FORWARDED_FOR).iter().rev();
        let entries = lines.flat_map(|line| match line.to_str() {
            Ok(line) => line.rsplit(',').map(Some).collect(),
            Err(_) => vec![None],
        });
        // Empty entries are skipped, because a proxy that appends to an empty header leaves an
        // empty entry.
        return walk(entries.filter(|it| it.is_none_or(|it| !it.trim().is_empty())), trusted);
    }
    let lines = headers.get_all(FORWARDED).iter().rev();
    let entries = lines.flat_map(|line| match line.to_str() {
        Ok(line) => elements(line).into_iter().rev().map(for_of).collect(),
        Err(_) => vec![None],
    });
    walk(entries, trusted)
}

fn walk<'a>(entries: impl Iterator<Item = Option<&'a str>>, trusted: &[IpNet]) -> ForwardedClient {
    let mut client = ForwardedClient::None;
    for entry in entries.take(ENTRIES_MAX) {
        let Some(address) = entry.and_then(address) else { return ForwardedClient::Unreadable };
        client = ForwardedClient::Address(address);
        if !trusts(trusted, address) {
            break;
        }
    }
    client
}

/// Whether the IP address is in one of the networks of trusted proxies. An IPv4-mapped IPv6 address
/// counts as the IPv4 address.
pub(super) fn trusts(trusted: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    trusted.iter().any(|network| network.contains(&address))
}

/// Parses an IP address as proxies write it: with or without a port (Azure Application Gateway),
/// brackets and a zone.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let ip = if let Ok(ip) = text.parse::<IpAddr>() {
        ip
    } else if let Ok(socket) = text.parse::<SocketAddr>() {
        socket.ip()
    } else {
        v6(text)?.into()
    };
    Some(ip.to_canonical())
}

/// Parses `[v6]`, `[v6%zone]`, `[v6%zone]:port` and `v6%zone`.
fn v6(text: &str) -> Option<Ipv6Addr> {
    let inner = match text.strip_prefix('[') {
        Some(rest) => {
            let (inner, port) = rest.split_once(']')?;
            let is_port =
                |port: &str| port.strip_prefix(':').is_some_and(|it| it.parse::<u16>().is_ok());
            if !port.is_empty() && !is_port(port) {
                return None;
            }
            inner
        }
        None => text,
    };
    let (address, zone) =
        inner.split_once('%').map_or((inner, None), |(it, zone)| (it, Some(zone)));
    if zone.is_some_and(str::is_empty) {
        return None;
    }
    address.parse().ok()
}

/// The elements of a `Forwarded` header, which are separated by commas outside quoted strings.
fn elements(line: &str) -> Vec<&str> {
    split(line, ',')
}

/// The value of `for` in an element of `Forwarded`. It is none if the element has no `for`.
fn for_of(element: &str) -> Option<&str> {
    split(element, ';').into_iter().find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        if !name.trim().eq_ignore_ascii_case("for") {
            return None;
        }
        let value = value.trim();
        Some(value.strip_prefix('"').and_then(|it| it.strip_suffix('"')).unwrap_or(value))
    })
}

/// Splits a text at each separator that is not in a quoted string.
fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut parts, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if c == separator && !quoted => {
                parts.push(&text[start..at]);
                start = at + c.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts.retain(|part| !part.trim().is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(name: &'static str, lines: &[&str]) -> ForwardedClient {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(name, line.parse().unwrap());
        }
        client(&headers, &["10.0.0.0/8".parse().unwrap()])
    }

    fn is(text: &str) -> ForwardedClient {
        ForwardedClient::Address(text.parse().unwrap())
    }

    #[test]
    fn every_documented_form_of_an_address_is_read() {
        for (entry, address) in [
            ("203.0.113.10", "203.0.113.10"),
            ("203.0.113.10:51234", "203.0.113.10"),
            ("2001:db8::2", "2001:db8::2"),
            ("[2001:db8::2]", "2001:db8::2"),
            ("[2001:db8::2]:443", "2001:db8::2"),
            ("fe80::1%eth0", "fe80::1"),
            ("[fe80::1%25eth0]:443", "fe80::1"),
            ("::ffff:203.0.113.10", "203.0.113.10"),
            ("[::ffff:203.0.113.10]:80", "203.0.113.10"),
        ] {
            assert_eq!(of("x-forwarded-for", &[entry]), is(address), "{entry}");
            let quoted = format!("proto=https;For=\"{entry}\";host=\"a,b;c\"");
            assert_eq!(of("forwarded", &[&quoted]), is(address), "{quoted}");
        }
    }

    #[test]
    fn empty_members_are_skipped_and_chains_are_walked_from_the_right() {
        let client = is("203.0.113.14");
        assert_eq!(of("x-forwarded-for", &["203.0.113.14,"]), client);
        assert_eq!(of("x-forwarded-for", &["6.6.6.6, ,203.0.113.14, 10.0.0.2:80"]), client);
        assert_eq!(of("x-forwarded-for", &["6.6.6.6", "203.0.113.14", ""]), client);
        assert_eq!(of("forwarded", &["for=6.6.6.6, for=203.0.113.14", "for=10.0.0.2"]), client);
        assert_eq!(
            of("x-forwarded-for", &["10.0.0.9"]),
            is("10.0.0.9"),
            "the chain contains only proxies"
        );
        assert_eq!(of("x-forwarded-for", &["", " , "]), ForwardedClient::None);
    }

    #[test]
    fn what_is_no_address_is_unreadable() {
        for entry in [
            "unknown",
            "_hidden",
            "203.0.113",
            "203.0.113.10:",
            "203.0.113.10:65536",
            "[2001:db8::2",
            "[2001:db8::2]443",
            "2001:db8::2%",
            "host.example",
            "[203.0.113.10]",
            "\u{e9}",
        ] {
            let value = hyper::header::HeaderValue::from_bytes(entry.as_bytes()).unwrap();
            let mut headers = HeaderMap::new();
            headers.insert("x-forwarded-for", value);
            assert_eq!(client(&headers, &[]), ForwardedClient::Unreadable, "{entry}");
        }
        assert_eq!(of("forwarded", &["for=unknown"]), ForwardedClient::Unreadable);
        assert_eq!(of("forwarded", &["proto=https"]), ForwardedClient::Unreadable);
    }

    #[test]
    fn x_forwarded_for_counts_where_both_are_sent() {
        let mut headers = HeaderMap::new();
        headers.insert("forwarded", "for=6.6.6.6".parse().unwrap());
        headers.insert("x-forwarded-for", "203.0.113.14".parse().unwrap());
        assert_eq!(client(&headers, &[]), is("203.0.113.14"));
    }

    proptest! {
        #[test]
        fn an_address_is_read_back_in_every_form(ip in any::<IpAddr>(), port in any::<u16>()) {
            let plain = ip.to_string();
            let with_port = SocketAddr::new(ip, port).to_string();
            prop_assert_eq!(address(&plain), Some(ip.to_canonical()));
            prop_assert_eq!(address(&with_port), Some(ip.to_canonical()));
        }

        #[test]
        fn whatever_is_sent_nothing_panics(text in any::<String>()) {
            let _ = (address(&text), elements(&text).into_iter().map(for_of).count());
        }
    }
}
