//! [`Endpoint`]: a URL from the settings to which latchkey may send requests.

use std::error::Error;
use std::fmt;

use hyper::Uri;

use crate::config::is_loopback;

/// The URL of a destination. Its scheme, host, port and path have been checked.
#[derive(Clone, Debug)]
pub struct Endpoint {
    uri: Uri,
    host: String,
}

/// Why a URL is not allowed as an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointError {
    /// The text is not an absolute http or https URL with a host.
    NotAUrl,
    /// The URL is plain http to another machine.
    Plain,
    /// The URL contains a user name, a query or a fragment.
    Extras,
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAUrl => "is not an http or https URL",
            Self::Plain => "is plain http to another machine",
            Self::Extras => "contains a user name, a query or a fragment",
        })
    }
}

impl Error for EndpointError {}

impl Endpoint {
    pub fn parse(url: &str) -> Result<Self, EndpointError> {
        // This check is needed because http::Uri removes a fragment without an error.
        if url.contains('#') {
            return Err(EndpointError::Extras);
        }
        let uri: Uri = url.parse().map_err(|_| EndpointError::NotAUrl)?;
        let authority = uri.authority().ok_or(EndpointError::NotAUrl)?;
        if authority.as_str().contains('@') || uri.query().is_some() {
            return Err(EndpointError::Extras);
        }
        let host = authority.host().trim_matches(['[', ']']).to_ascii_lowercase();
        match uri.scheme_str() {
            _ if host.is_empty() => Err(EndpointError::NotAUrl),
            Some("https") => Ok(Self { uri, host }),
            Some("http") if is_loopback(&host) => Ok(Self { uri, host }),
            Some("http") => Err(EndpointError::Plain),
            _ => Err(EndpointError::NotAUrl),
        }
    }

    /// Returns the same endpoint with one more path segment. The segment may contain only letters,
    /// digits, `-`, `_` and `~`. These are the unreserved characters of RFC 3986 §2.3 without the
    /// dot. Returns `None` if the segment is empty or contains other characters.
    #[must_use]
    pub fn join(&self, segment: &str) -> Option<Self> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '~');
        if segment.is_empty() || !segment.chars().all(is_plain) {
            return None;
        }
        let mut parts = self.uri.clone().into_parts();
        let path = format!("{}/{segment}", self.uri.path().trim_end_matches('/'));
        parts.path_and_query = Some(path.parse().ok()?);
        Some(Self { uri: Uri::from_parts(parts).ok()?, host: self.host.clone() })
    }

    /// The host in lower case. An IPv6 address has no brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port of the URL, or the default port of the scheme.
    pub fn port(&self) -> u16 {
        let default = if self.uri.scheme_str() == Some("http") { 80 } else { 443 };
        self.uri.port_u16().unwrap_or(default)
    }

    pub(super) fn uri(&self) -> &Uri {
        &self.uri
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_https_or_this_machine_and_carries_nothing_else() {
        for good in
            ["https://a.example", "http://127.0.0.1:1/x", "http://[::1]/", "http://localhost:1"]
        {
            assert!(Endpoint::parse(good).is_ok(), "{good}");
        }
        for (wrong, error) in [
            ("", EndpointError::NotAUrl),
            ("/range", EndpointError::NotAUrl),
            ("a.example:443", EndpointError::NotAUrl),
            ("ftp://a.example/", EndpointError::NotAUrl),
            ("http://a.example/", EndpointError::Plain),
            ("http://localhost.example.com/", EndpointError::Plain),
            ("http://localhost./", EndpointError::Plain),
            ("http://a.localhost/", EndpointError::Plain),
            ("http://0.0.0.0/", EndpointError::Plain),
            ("https://u:p@a.example/", EndpointError::Extras),
            ("https://a.example/?k=v", EndpointError::Extras),
            ("https://a.example/#f", EndpointError::Extras),
        ] {
            assert_eq!(Endpoint::parse(wrong).map(drop), Err(error), "{wrong}");
        }
    }

    #[test]
    fn a_segment_is_joined_once_and_cannot_leave_its_place() {
        for base in ["https://a.example/range", "https://a.example/range/"] {
            let joined = Endpoint::parse(base).unwrap().join("21BD1").unwrap();
            assert_eq!(joined.uri().to_string(), "https://a.example/range/21BD1");
        }
        let base = Endpoint::parse("https://a.example").unwrap();
        assert_eq!(base.join("x").unwrap().uri().to_string(), "https://a.example/x");
        for wrong in ["", "..", "a/b", "a?b", "a%2Fb"] {
            assert!(base.join(wrong).is_none(), "{wrong}");
        }
    }
}
