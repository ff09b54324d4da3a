//! The fuzz harness for the headers that a proxy sends (`X-Forwarded-For`, `X-Forwarded-Proto`,
//! `traceparent`) and for the data that latchkey stores about a client. Each line of the input is a
//! header in the form `name: value`.

use std::net::{IpAddr, Ipv4Addr};

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;
use latchkey::http::cx::{Cx, Forwarded, Peer, Transport};
use latchkey::http::router::ANSWER_WITHIN;
use latchkey::mail::Locale;

const PROXY: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

/// Checks that a client that is not a trusted proxy cannot change its IP address with headers. If
/// latchkey cannot read the headers of a trusted proxy, the IP address of the client must be that
/// of the proxy.
pub fn run(data: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n').take(64) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
        {
            headers.append(name, value);
        }
    }
    let trusted: Vec<IpNet> =
        vec!["10.0.0.0/8".parse().expect("a net"), "fd00::/8".parse().expect("a net")];
    let peer = |address| Peer { address, transport: Transport::Plain };
    let (alone, told) = Cx::new(super::STRANGER, &headers, &trusted, ANSWER_WITHIN);
    assert_eq!(alone.client, super::STRANGER.address);
    assert_eq!(alone.transport, Transport::Plain);
    let is_forwarded =
        ["x-forwarded-for", "forwarded"].iter().any(|name| headers.contains_key(*name));
    assert_eq!(told == Forwarded::Untrusted, is_forwarded);
    if let Some(parent) = headers.get("traceparent") {
        assert!(!parent.as_bytes().windows(32).any(|id| id == alone.trace_id.as_bytes()));
    }
    kept(&alone, &headers);

    let (cx, told) = Cx::new(peer(PROXY), &headers, &trusted, ANSWER_WITHIN);
    assert_ne!(told, Forwarded::Untrusted);
    if told == Forwarded::Unreadable {
        assert_eq!(cx.client, PROXY, "what cannot be read is the proxy itself");
    }
    kept(&cx, &headers);
    let https = headers.get("x-forwarded-proto").is_some_and(|value| value.as_bytes() == b"https");
    assert_eq!(cx.transport == Transport::Tls, https);
    let lines: Vec<&[u8]> =
        headers.get_all("x-forwarded-for").iter().map(HeaderValue::as_bytes).collect();
    let text = String::from_utf8_lossy(&lines.join(&b","[..])).into_owned();
    let entries: Vec<Option<IpAddr>> = text
        .split(',')
        .map(|entry| entry.trim().parse().ok().map(|it: IpAddr| it.to_canonical()))
        .collect();
    // The check below works only if the header is a list of plain IP addresses, without ports,
    // brackets, zones and empty entries. latchkey reads this list from the right.
    if lines.is_empty() || entries.iter().any(Option::is_none) {
        return;
    }
    let is_trusted = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
    if cx.client != PROXY {
        let at = entries.iter().rposition(|entry| *entry == Some(cx.client)).expect("named");
        let behind = entries[at + 1..].iter().flatten();
        assert!(behind.clone().all(is_trusted), "an address nearer than the client is no proxy");
        assert_eq!(behind.count(), entries.len() - at - 1, "something nearer cannot be read");
    }
}

fn kept(cx: &Cx, headers: &HeaderMap) {
    let plain =
        |text: &str| text.len() <= 200 && !text.contains(|c: char| c != '\t' && c.is_control());
    let request = super::request_of(hyper::Uri::from_static("/"), headers.clone(), b"");
    let (user_agent, language) = (request.origin().user_agent, request.accept_language());
    assert!(plain(&user_agent) && plain(&language));
    let hexadecimal = |text: &str| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    assert!(cx.trace_id.len() == 32 && hexadecimal(&cx.trace_id));
    assert!(cx.trace_id.bytes().any(|digit| digit != b'0'));
    let traceparent = cx.traceparent();
    let parts: Vec<&str> = traceparent.split('-').collect();
    assert_eq!((parts.len(), parts[0], parts[1]), (4, "00", &*cx.trace_id));
    assert!(matches!(parts[3], "00" | "01"), "sampled or not: {}", parts[3]);
    assert!(parts[2].len() == 16 && hexadecimal(parts[2]));
    let Ok(locale) = language.parse::<Locale>();
    assert!(Locale::ALL.contains(&locale));
    let says = language.to_ascii_lowercase();
    assert!(locale == Locale::En || says.contains(locale.tag()), "nobody asked for {locale:?}");
}
