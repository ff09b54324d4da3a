//! The kinds of values that settings accept, and the reading of values from text.
//!
//! Every value starts as the text that an operator writes. [`Kind::read`] converts it to a
//! [`Value`] or returns a [`Refusal`] with a *reason* and a *fix*. Neither of them ever contains
//! the value of a secret.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;

use super::text;
use super::url::{Url, redacted};

/// The most characters of a refused value that a message quotes.
const QUOTED_CHARS_MAX: usize = 80;

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
    /// Directives of the log filter.
    Filter,
    /// Text that is never shown.
    Secret,
    /// 32 bytes in base64, never shown.
    Key,
    /// `version:key` with the key in base64, never shown.
    Pepper,
}

/// The kind of a list's items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// A network such as `10.0.0.0/8`, or one IP address.
    Network,
    /// The origin of a web page, such as `https://app.example.com`.
    Origin,
    /// One of these words.
    Word(&'static [&'static str]),
    /// The domain of an email address.
    Domain,
    /// The host of a web page: a name or an IP address, without a port.
    Host,
    /// `id:secret`, never shown.
    Client,
    /// `version:key`, see [`Kind::Pepper`].
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
    /// What to do.
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

/// Shows the refusal without the value, which may be a secret.
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
            Self::Origin => base_url(given),
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

/// Reads a network. A single IP address is read as the network that contains only this address.
pub fn network(given: &str) -> Option<IpNet> {
    let address = || given.parse::<std::net::IpAddr>().map(IpNet::from);
    given.parse::<IpNet>().or_else(|_| address()).ok().map(|network| network.trunc())
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
