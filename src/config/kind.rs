//! The kinds of values that settings accept, and the reading of values from text.
//!
//! Every value starts as the text that an operator writes. [`Kind::read`] converts it to a
//! [`Value`] or returns a [`Refusal`] with a *reason* and a *fix*. Neither of them ever contains
//! the value of a secret.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;

use super::text;
use super::url::{Url, redacted};

/// The maximum number of characters that a message quotes of a refused value.
const QUOTED_CHARS_MAX: usize = 80;

/// The start of the origin of an Android app. Its signing certificate's SHA-256 follows.
const ANDROID: &str = "android:apk-key-hash:";
/// The length of a SHA-256 in base64url.
const SHA256_CHARS: usize = 43;

/// The kind of a setting's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An IP address and a port, such as `127.0.0.1:8080` or `[::1]:8080`. If the port is 0, the
    /// operating system chooses a port.
    Address,
    /// A URL with one of these schemes.
    Url(&'static [&'static str]),
    /// A URL with one of these schemes that may contain a password. It is redacted when it is
    /// shown.
    SecretUrl(&'static [&'static str]),
    /// `http://host` or `https://host`, with or without a port, without a path. One trailing slash
    /// is removed.
    BaseUrl,
    /// A duration such as `15m`. The limits are milliseconds, and both are included.
    Duration(u64, u64),
    /// `true` or `false`.
    Bool,
    /// An integer. Both limits are included.
    Integer(u64, u64),
    /// A number from 0 to 1, both included, such as `0.5`.
    Fraction,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Several items, separated by commas in an environment variable.
    List(Item),
    /// The path of a file or a folder.
    Path,
    /// One line of text.
    Text,
    /// The sender of mails: `Name <address>` or an email address.
    Mailbox,
    /// The name in EHLO: a domain name, or an IP address, which becomes an address literal.
    HeloName,
    /// A domain name, with or without a dot.
    DomainName,
    /// Directives of the log filter.
    Filter,
    /// Text that is never shown.
    Secret,
    /// A key of 32 bytes in base64. It is never shown.
    Key,
    /// A pepper: `version:key` with the key in base64. It is never shown.
    Pepper,
}

/// The kind of a list's items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// A network such as `10.0.0.0/8`, or one IP address.
    Network,
    /// The origin of a web page, such as `https://app.example.com`. It is converted to the form in
    /// which a browser sends it.
    Origin,
    /// The origin of a web page or an app that may use passkeys.
    PasskeyOrigin,
    /// One of these words.
    Word(&'static [&'static str]),
    /// The domain of an email address.
    Domain,
    /// The host of a web page: a name or an IP address, without a port.
    Host,
    /// A client, written as `id:secret`. It is never shown.
    Client,
    /// A pepper, see [`Kind::Pepper`].
    Pepper,
}

/// A setting's value after it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Address(SocketAddr),
    /// The value of every kind that is stored as text.
    Text(String),
    Word(&'static str),
    Duration(Duration),
    Bool(bool),
    Integer(u64),
    /// Each item is in its normal form.
    List(Vec<String>),
    Key([u8; 32]),
}

/// Why a text is not a valid value, and what to write instead.
#[derive(Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The refused text, or the part of it that is wrong. `None` if a message must not show it.
    value: Option<String>,
    /// What is wrong, as the end of a sentence, such as "is not a duration".
    reason: String,
    /// What the operator can do.
    pub fix: String,
}

impl Refusal {
    /// A refusal that never shows the value.
    pub fn new(reason: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { value: None, reason: reason.into(), fix: fix.into() }
    }

    /// A refusal that may show the value, if the value is not a secret: see [`Refusal::what`].
    pub fn of(value: &str, reason: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { value: Some(value.to_owned()), ..Self::new(reason, fix) }
    }

    /// What is wrong. If `shows_value` is true, the text starts with the value, which is shortened
    /// and contains no secrets of a URL.
    pub fn what(&self, shows_value: bool) -> String {
        match &self.value {
            Some(value) if shows_value => format!("`{}` {}", shown(value), self.reason),
            _ => self.reason.clone(),
        }
    }
}

/// Shows the refusal without the value, which is perhaps a secret.
impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Refusal({}: {})", self.reason, self.fix)
    }
}

/// A refused value, in the form in which a message quotes it.
fn shown(value: &str) -> String {
    if value.contains("://") {
        return redacted(value);
    }
    let mut shown: String = value.chars().take(QUOTED_CHARS_MAX).collect();
    if shown.len() < value.len() {
        shown.push('…');
    }
    shown.replace(char::is_control, "\u{fffd}")
}

impl Kind {
    /// Whether the value must never be shown in full.
    pub fn is_secret(self) -> bool {
        matches!(
            self,
            Self::Secret
                | Self::Key
                | Self::Pepper
                | Self::SecretUrl(_)
                | Self::List(Item::Client | Item::Pepper)
        )
    }

    /// Reads a value from text. The text of a list is split at commas and line ends.
    pub fn read(self, given: &str) -> Result<Value, Refusal> {
        if given.is_empty() {
            return Err(Refusal::new("is empty", "remove it, or set a value"));
        }
        if given.contains(char::REPLACEMENT_CHARACTER) {
            return Err(Refusal::new("is not UTF-8", "write it in UTF-8"));
        }
        match self {
            Self::Address => given.parse().map(Value::Address).map_err(|_| {
                Refusal::of(
                    given,
                    "is not an IP address and a port",
                    "write it as 127.0.0.1:8080 or [::1]:8080, not with a host name",
                )
            }),
            Self::Url(schemes) => {
                let url = Url::check(given, schemes).map_err(|refusal| naming(given, refusal))?;
                if url.has_extras() {
                    let fix = "write only scheme, host, port and path";
                    return Err(Refusal::new("contains a user name, a query or a fragment", fix));
                }
                Ok(Value::Text(given.to_owned()))
            }
            Self::SecretUrl(schemes) => {
                Url::check(given, schemes)?;
                Ok(Value::Text(given.to_owned()))
            }
            Self::BaseUrl => base_url(given).map(Value::Text),
            Self::Duration(min, max) => text::duration(given, min, max).map(Value::Duration),
            Self::Bool => match given {
                "true" => Ok(Value::Bool(true)),
                "false" => Ok(Value::Bool(false)),
                _ => Err(Refusal::of(given, "is neither true nor false", "write true or false")),
            },
            Self::Integer(min, max) => text::integer(given, min, max).map(Value::Integer),
            Self::Fraction => text::fraction(given).map(Value::Text),
            Self::Word(words) => text::word(given, words).map(Value::Word),
            Self::List(_) => self.read_list(&split(given)),
            Self::Path | Self::Text => text::line(given).map(Value::Text),
            Self::Mailbox => text::mailbox(given).map(Value::Text),
            Self::HeloName => text::helo_name(given).map(Value::Text),
            Self::DomainName => text::domain_name(given).map(Value::Text),
            Self::Filter => tracing_subscriber::EnvFilter::try_new(given)
                .map(|_| Value::Text(given.to_owned()))
                .map_err(|_| {
                    Refusal::of(
                        given,
                        "is not a valid log filter",
                        "write a level, or directives: info,latchkey=debug",
                    )
                }),
            Self::Secret => Ok(Value::Text(given.to_owned())),
            Self::Key => key(given).map(Value::Key),
            Self::Pepper => text::pepper(given).map(|_| Value::Text(given.to_owned())),
        }
    }

    /// Reads the items of a list. Every other kind refuses a list.
    pub fn read_list(self, given: &[String]) -> Result<Value, Refusal> {
        let Self::List(item) = self else {
            return Err(Refusal::new("is a list", "write one value"));
        };
        given.iter().map(|part| item.read(part)).collect::<Result<_, _>>().map(Value::List)
    }
}

impl Item {
    fn read(self, given: &str) -> Result<String, Refusal> {
        match self {
            Self::Network => network(given).map(|network| network.to_string()).ok_or_else(|| {
                Refusal::of(given, "is not a network", "write it as 10.0.0.0/8 or fd00::/8")
            }),
            Self::Origin => origin(given),
            Self::PasskeyOrigin => passkey_origin(given),
            Self::Word(words) => text::word(given, words).map(str::to_owned),
            Self::Domain => text::domain(given),
            Self::Pepper => text::pepper(given).map(|_| given.to_owned()),
            Self::Host => text::host(given),
            Self::Client => match given.split_once(':') {
                Some((id, secret)) if !id.is_empty() && !secret.is_empty() => Ok(given.to_owned()),
                _ => Err(Refusal::new(
                    "contains an entry that is not a client",
                    "write each client as id:secret",
                )),
            },
        }
    }
}

/// Reads a network. A single IP address is read as the network that contains only this address. A
/// network of IPv4 addresses that are mapped to IPv6 (`::ffff:10.0.0.0/104`) becomes the network of
/// the IPv4 addresses, because latchkey compares it with IPv4 addresses only.
pub fn network(given: &str) -> Option<IpNet> {
    let address = || given.parse::<IpAddr>().map(IpNet::from);
    let network = given.parse::<IpNet>().or_else(|_| address()).ok()?.trunc();
    match (network.network().to_canonical(), network.prefix_len()) {
        (IpAddr::V4(mapped), length @ 96..) if matches!(network, IpNet::V6(_)) => {
            IpNet::new(mapped.into(), length - 96).ok()
        }
        _ => Some(network),
    }
}

/// The items of a list in text: split at commas and line ends, without empty items.
pub fn split(given: &str) -> Vec<String> {
    given
        .split([',', '\n'])
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Reads a URL to which latchkey appends paths.
fn base_url(given: &str) -> Result<String, Refusal> {
    let url = Url::check(given, &["http", "https"]).map_err(|refusal| naming(given, refusal))?;
    let fix = "write only scheme, host and port: https://auth.example.com";
    if url.userinfo.is_some() {
        return Err(Refusal::new("contains a user name", fix));
    }
    if !matches!(url.path, "" | "/") || url.query.is_some() || url.fragment.is_some() {
        return Err(Refusal::of(given, "contains more than scheme, host and port", fix));
    }
    Ok(given.strip_suffix('/').unwrap_or(given).to_owned())
}

/// Reads the origin of a web page. Returns it in the form that a browser sends in `Origin`: in
/// lower case, with A-labels, and without the default port of its scheme (RFC 6454 §6.2, WHATWG
/// HTML §7.1.1).
pub(super) fn origin(given: &str) -> Result<String, Refusal> {
    let refuse = |reason| {
        Err(Refusal::of(given, reason, "list the origin of each page: https://app.example.com"))
    };
    if given == "null" || given.contains('*') {
        return refuse("is not the origin of one web page");
    }
    if given.contains(',') {
        return refuse("contains a comma");
    }
    let lower = match given.split_once("://") {
        Some((scheme, rest)) => format!("{}://{rest}", scheme.to_ascii_lowercase()),
        None => given.to_owned(),
    };
    let host = Url::parse(&lower).map_or("", |url| url.host);
    let ascii = match idna::domain_to_ascii(host) {
        Ok(ascii) if !host.is_ascii() => lower.replacen(host, &ascii, 1),
        _ => lower,
    };
    match ::url::Url::parse(&base_url(&ascii)?) {
        Ok(url) if url.port() == Some(0) => refuse("has the port 0, which no web page has"),
        Ok(url) => Ok(url.origin().ascii_serialization()),
        Err(_) => refuse("has a host that no browser accepts"),
    }
}

/// Reads the origin of a web page or of an Android app. Browsers offer passkeys only to pages that
/// come over TLS or from this machine.
fn passkey_origin(given: &str) -> Result<String, Refusal> {
    if let Some(hash) = given.strip_prefix(ANDROID) {
        let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if hash.len() == SHA256_CHARS && hash.bytes().all(is_base64url) {
            return Ok(given.to_owned());
        }
        let fix = "write android:apk-key-hash: and the SHA-256 of the certificate in base64url";
        return Err(Refusal::of(given, "is not the origin of an Android app", fix));
    }
    let origin = origin(given)?;
    let is_secure = origin.starts_with("https://")
        || Url::parse(&origin).is_some_and(|url| url.is_loopback_in_browsers());
    if is_secure {
        return Ok(origin);
    }
    let fix = "write it with https, as browsers offer no passkeys to other pages";
    Err(Refusal::of(given, "is the origin of a page without TLS", fix))
}

/// Returns the same refusal with the value, because this value is not a secret.
fn naming(given: &str, refusal: Refusal) -> Refusal {
    Refusal::of(given, refusal.reason, refusal.fix)
}

/// Reads 32 bytes in base64.
fn key(given: &str) -> Result<[u8; 32], Refusal> {
    text::base64(given.trim()).and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| {
        Refusal::new("is not 32 bytes in base64", "create one: openssl rand -base64 32")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_read_as_browsers_send_it() {
        for (given, sent) in [
            ("https://app.example.com", "https://app.example.com"),
            ("https://App.Example.com/", "https://app.example.com"),
            ("HTTPS://app.example.com", "https://app.example.com"),
            ("https://app.example.com:443", "https://app.example.com"),
            ("https://app.example.com:80", "https://app.example.com:80"),
            ("http://app.example.com:80", "http://app.example.com"),
            ("http://localhost:03000", "http://localhost:3000"),
            ("https://b\u{fc}cher.example", "https://xn--bcher-kva.example"),
            ("https://B\u{dc}CHER.example:8443", "https://xn--bcher-kva.example:8443"),
            (
                "https://\u{939}\u{93f}\u{928}\u{94d}\u{926}\u{940}.example",
                "https://xn--j2bd4cyah0f.example",
            ),
            ("https://fa\u{df}.example", "https://xn--fa-hia.example"),
            ("https://my_app.example", "https://my_app.example"),
            ("https://app.example.com.", "https://app.example.com."),
            ("http://127.1:3000", "http://127.0.0.1:3000"),
            ("http://[0:0:0:0:0:0:0:1]:3000", "http://[::1]:3000"),
            ("http://[::FFFF:192.0.2.1]", "http://[::ffff:c000:201]"),
        ] {
            assert_eq!(origin(given).as_deref(), Ok(sent), "{given}");
            assert_eq!(origin(sent).as_deref(), Ok(sent), "{sent}");
        }
    }

    #[test]
    fn what_no_browser_sends_as_an_origin_is_refused_with_a_fix() {
        for (given, reason) in [
            ("*", "is not the origin of one web page"),
            ("null", "is not the origin of one web page"),
            ("https://*.example.com", "is not the origin of one web page"),
            ("https://a.example,https://b.example", "contains a comma"),
            ("app.example.com", "is not a URL"),
            ("", "is not a URL"),
            ("file:///index.html", "has a scheme that is not allowed here"),
            ("https://app.example.com/login", "contains more than scheme, host and port"),
            ("https://app.example.com?a", "contains more than scheme, host and port"),
            ("https://ada@app.example.com", "contains a user name"),
            ("https://app.example.com:0", "has the port 0"),
            ("https://app.example.com:99999", "has an invalid port"),
            ("https://", "contains no host"),
            ("https://xn--a.example", "has a host that no browser accepts"),
            ("https://1.2.3.4.5", "has a host that no browser accepts"),
            ("https://\u{fffe}.example", "contains no host"),
        ] {
            let refusal = origin(given).expect_err(given);
            assert!(refusal.what(true).contains(reason), "{given}: {}", refusal.what(true));
            assert!(!refusal.fix.is_empty() && !refusal.fix.contains("redis"), "{given}");
        }
    }

    #[test]
    fn a_mapped_network_is_the_network_of_its_ipv4_addresses() {
        let read = |given| network(given).map(|network| network.to_string());
        assert_eq!(read("::ffff:10.0.0.0/104").as_deref(), Some("10.0.0.0/8"));
        assert_eq!(read("::ffff:192.0.2.1").as_deref(), Some("192.0.2.1/32"));
        assert_eq!(read("::ffff:0:0/96").as_deref(), Some("0.0.0.0/0"));
        assert_eq!(read("fd00::/8").as_deref(), Some("fd00::/8"));
        assert_eq!(read("10.1.2.3/8").as_deref(), Some("10.0.0.0/8"));
        assert_eq!(read("::/0").as_deref(), Some("::/0"));
        assert_eq!(read("10.0.0.0/33"), None);
    }
}
