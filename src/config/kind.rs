//! What a setting's value may be, and the reading of it from text.
//!
//! Every value starts as the text a person writes; [`Kind::read`] turns it into a [`Value`] or says what is wrong with
//! it. What a kind refuses is told as *reason* and *fix*; neither ever holds a secret's value.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;

use super::text;
use super::url::{Url, redacted};

/// How much of a refused value a message quotes.
const QUOTED_CHARS_MAX: usize = 80;

/// What a setting's value may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An IP address and a port, `127.0.0.1:8080` or `[::1]:8080`; port 0 lets the system choose.
    Address,
    /// A URL with one of these schemes.
    Url(&'static [&'static str]),
    /// A URL with one of these schemes that may carry a password: shown without it.
    SecretUrl(&'static [&'static str]),
    /// `http://host` or `https://host`, with a port perhaps, without a path; one trailing slash is dropped.
    BaseUrl,
    /// `15m`: from the first to the second number of milliseconds, both included.
    Duration(u64, u64),
    /// `true` or `false`.
    Bool,
    /// An integer from the first to the second, both included.
    Integer(u64, u64),
    /// A number from 0 to 1, both included, with a point: `0.5`.
    Fraction,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Several things, separated by commas in a variable.
    List(Item),
    /// A file or a folder.
    Path,
    /// Any text of one line.
    Text,
    /// A sender: `Name <address>` or an address.
    Mailbox,
    /// Directives of the log's filter.
    Filter,
    /// Any text, never shown.
    Secret,
    /// 32 bytes in base64, never shown.
    Key,
    /// `version:key`, the key in base64, never shown.
    Pepper,
}

/// What a list holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// Networks: `10.0.0.0/8`, or one address.
    Network,
    /// Origins of web pages: `https://app.example.com`.
    Origin,
    /// Some of these words.
    Word(&'static [&'static str]),
    /// Domains of mail addresses.
    Domain,
    /// Hosts of web pages: names or addresses, no port.
    Host,
    /// `id:secret`, never shown.
    Client,
    /// As [`Kind::Pepper`].
    Pepper,
}

/// A value that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Of [`Kind::Address`].
    Address(SocketAddr),
    /// Of every kind that stays text.
    Text(String),
    /// Of [`Kind::Word`].
    Word(&'static str),
    /// Of [`Kind::Duration`].
    Duration(Duration),
    /// Of [`Kind::Bool`].
    Bool(bool),
    /// Of [`Kind::Integer`].
    Integer(u64),
    /// Of [`Kind::List`], each in its normal form.
    List(Vec<String>),
    /// Of [`Kind::Key`].
    Key([u8; 32]),
}

/// Why a text is no value of its kind, and what to write instead.
#[derive(Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The text, or the part of it that is wrong.
    value: Option<String>,
    /// What is wrong, as the end of a sentence: "is not a duration".
    reason: String,
    /// What to do.
    pub fix: String,
}

impl Refusal {
    /// A refusal that never shows the value.
    pub fn new(reason: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { value: None, reason: reason.into(), fix: fix.into() }
    }

    /// A refusal that may show the value, where that is no secret: see [`Refusal::what`].
    pub fn of(value: &str, reason: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { value: Some(value.to_owned()), ..Self::new(reason, fix) }
    }

    /// What is wrong; with the value in front where `shows_value`, shortened and without what a URL may hide.
    pub fn what(&self, shows_value: bool) -> String {
        match &self.value {
            Some(value) if shows_value => format!("`{}` {}", shown(value), self.reason),
            _ => self.reason.clone(),
        }
    }
}

/// Without the value, which may be a secret.
impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Refusal({}: {})", self.reason, self.fix)
    }
}

/// A refused value as a message quotes it.
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
    /// Whether the value must never be printed in full.
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

    /// Reads a value that is no list.
    pub fn read(self, given: &str) -> Result<Value, Refusal> {
        if given.is_empty() {
            return Err(Refusal::new("is empty", "remove it or give a value"));
        }
        if given.contains(char::REPLACEMENT_CHARACTER) {
            return Err(Refusal::new("is not UTF-8", "write it in UTF-8"));
        }
        match self {
            Self::Address => given.parse().map(Value::Address).map_err(|_| {
                Refusal::of(
                    given,
                    "is not an IP address and a port",
                    "write it as 127.0.0.1:8080 or [::1]:8080; names are not looked up",
                )
            }),
            Self::Url(schemes) => {
                let url = Url::check(given, schemes).map_err(|refusal| naming(given, refusal))?;
                if url.has_extras() {
                    let fix = "write only scheme, host, port and path";
                    return Err(Refusal::new("holds a user name, a query or a fragment", fix));
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
                _ => Err(Refusal::of(given, "is not a switch", "write true or false")),
            },
            Self::Integer(min, max) => text::integer(given, min, max).map(Value::Integer),
            Self::Fraction => text::fraction(given).map(Value::Text),
            Self::Word(words) => text::word(given, words).map(Value::Word),
            Self::List(_) => self.read_list(&split(given)),
            Self::Path | Self::Text => text::line(given).map(Value::Text),
            Self::Mailbox => text::mailbox(given).map(Value::Text),
            Self::Filter => tracing_subscriber::EnvFilter::try_new(given)
                .map(|_| Value::Text(given.to_owned()))
                .map_err(|_| {
                    Refusal::of(
                        given,
                        "is not a filter",
                        "write a level or directives: info,latchkey=debug",
                    )
                }),
            Self::Secret => Ok(Value::Text(given.to_owned())),
            Self::Key => key(given).map(Value::Key),
            Self::Pepper => text::pepper(given).map(|_| Value::Text(given.to_owned())),
        }
    }

    /// Reads the parts of a list; a kind that is no list takes exactly one.
    pub fn read_list(self, given: &[String]) -> Result<Value, Refusal> {
        let Self::List(item) = self else {
            return Err(Refusal::new("is a list", "give one value"));
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
                _ => Err(Refusal::new("holds what is no client", "write each as id:secret")),
            },
        }
    }
}

/// A network, or the network of one address.
pub fn network(given: &str) -> Option<IpNet> {
    let address = || given.parse::<std::net::IpAddr>().map(IpNet::from);
    given.parse::<IpNet>().or_else(|_| address()).ok().map(|network| network.trunc())
}

/// The parts of a list in a variable or a file: by commas and lines, empty ones left out.
pub fn split(given: &str) -> Vec<String> {
    given
        .split([',', '\n'])
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

/// A URL that others are made from by appending a path.
fn base_url(given: &str) -> Result<String, Refusal> {
    let url = Url::check(given, &["http", "https"]).map_err(|refusal| naming(given, refusal))?;
    let fix = "write only scheme, host and port: https://auth.example.com";
    if url.userinfo.is_some() {
        return Err(Refusal::new("holds a user name", fix));
    }
    if !matches!(url.path, "" | "/") || url.query.is_some() || url.fragment.is_some() {
        return Err(Refusal::of(given, "holds more than a host", fix));
    }
    Ok(given.strip_suffix('/').unwrap_or(given).to_owned())
}

/// The same refusal of a value that is no secret.
fn naming(given: &str, refusal: Refusal) -> Refusal {
    Refusal::of(given, refusal.reason, refusal.fix)
}

/// 32 bytes in base64.
fn key(given: &str) -> Result<[u8; 32], Refusal> {
    text::base64(given.trim()).and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| {
        Refusal::new("is not 32 bytes in base64", "make one: openssl rand -base64 32")
    })
}
