//! [`Request`] is the request that a handler gets.

use std::net::IpAddr;

use bytes::Bytes;
use hyper::header::{self, HeaderMap, HeaderName};
use hyper::http::request::Parts;
use hyper::{Method, Uri, Version};
use percent_encoding::percent_decode_str;
use uuid::Uuid;

use super::cx::Cx;
use super::json::Object;
use crate::admission::Client;
use crate::audit::RequestOrigin;
use crate::problem::{Code, Problem};
use tokio::time::Instant;

/// The header that carries the token of a known device, in requests and responses.
pub const DEVICE: &str = "x-latchkey-device";

/// The maximum number of bytes that are kept of a header which latchkey stores and shows to the
/// user, such as `User-Agent`. One line is enough.
const TEXT_BYTES_MAX: usize = 200;

/// A request. When a handler gets it, its body has arrived.
#[derive(Debug)]
pub struct Request {
    pub cx: Cx,
    pub method: Method,
    pub uri: Uri,
    pub version: Version,
    pub headers: HeaderMap,
    /// The body, which has at most 16 KiB.
    pub body: Bytes,
    /// The path parameters. They are not decoded yet.
    pub params: Vec<(String, String)>,
}

impl Request {
    /// Creates a request from its head. It has neither a body nor path parameters yet.
    pub fn new(cx: Cx, head: Parts) -> Self {
        let Parts { method, uri, version, headers, .. } = head;
        Self { cx, method, uri, version, headers, body: Bytes::new(), params: Vec::new() }
    }

    /// The `Accept-Language` header, which determines the language of pages and mails.
    pub fn accept_language(&self) -> String {
        self.text(&header::ACCEPT_LANGUAGE)
    }

    /// The printable text of a header, cut to a maximum length. The text is empty if the header is
    /// missing.
    fn text(&self, name: &HeaderName) -> String {
        let Some(Ok(value)) = self.headers.get(name).map(|value| value.to_str()) else {
            return String::new();
        };
        value.chars().take(TEXT_BYTES_MAX).collect()
    }

    /// A path parameter, percent-decoded once.
    ///
    /// # Errors
    /// [`Code::MalformedRequest`] if the decoded parameter is not UTF-8.
    pub fn param(&self, name: &str) -> Result<String, Problem> {
        let raw = self.params.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value);
        decode(raw)
    }

    /// An id in the path. Only the spelling that latchkey itself writes is accepted.
    ///
    /// # Errors
    /// [`Code::NotFound`] if the value is not an id, because no object can have such an id.
    pub fn id(&self, name: &str) -> Result<Uuid, Problem> {
        let text = self.param(name).unwrap_or_default();
        let id = Uuid::try_parse(&text).ok().filter(|id| id.to_string() == text);
        id.ok_or_else(|| Code::NotFound.into())
    }

    /// The first query parameter with this name, decoded like a form.
    pub fn query(&self, name: &str) -> Result<Option<String>, Problem> {
        Ok(self.query_pairs()?.into_iter().find(|(key, _)| key == name).map(|(_, value)| value))
    }

    /// All query parameters in their order, decoded like a form.
    pub fn query_pairs(&self) -> Result<Vec<(String, String)>, Problem> {
        pairs(self.uri.query().unwrap_or_default())
    }

    /// The body as JSON.
    pub fn json(&self) -> Result<Object, Problem> {
        media_type(&self.headers, "application/json", Charset::Any)?;
        Object::parse(&self.body)
    }

    /// The body as the parameters of a form.
    pub fn form(&self) -> Result<Vec<(String, String)>, Problem> {
        let form = "application/x-www-form-urlencoded";
        media_type(&self.headers, form, Charset::Utf8).map_err(|problem| {
            problem.detail("Send the body as `Content-Type: application/x-www-form-urlencoded`.")
        })?;
        let text = std::str::from_utf8(&self.body)
            .map_err(|_| Problem::new(Code::MalformedRequest).detail("The body is not UTF-8."))?;
        pairs(text)
    }

    /// The IP address of the client.
    pub fn client(&self) -> IpAddr {
        self.cx.client
    }

    /// The data about the client that the account service needs.
    pub fn as_client(&mut self) -> Client<'_> {
        let mut tokens = self.headers.get_all(DEVICE).iter();
        let (token, another) = (tokens.next(), tokens.next());
        Client {
            ip: self.cx.client,
            key: self.cx.queue_key(),
            deadline: self.cx.deadline,
            origin: self.origin(),
            device_token: token.filter(|_| another.is_none()).map(|it| it.as_bytes().to_vec()),
            session: None,
            rate: &mut self.cx.rate,
        }
    }

    /// The deadline and the client, for a call to a service.
    pub fn call(&self) -> (Instant, RequestOrigin) {
        (self.cx.deadline, self.origin())
    }

    /// The data about the client that audit events and mails contain.
    pub fn origin(&self) -> RequestOrigin {
        RequestOrigin {
            ip: self.cx.client.to_string(),
            user_agent: self.text(&header::USER_AGENT),
            accept_language: self.accept_language(),
            traceparent: self.cx.traceparent(),
        }
    }

    /// The Bearer token (RFC 6750 §2.1). It is none if there is no `Authorization` header.
    ///
    /// # Errors
    /// [`Code::InvalidToken`] if the header has another scheme or an empty token.
    pub fn bearer(&self) -> Result<Option<&str>, Problem> {
        let Some(value) = self.headers.get(header::AUTHORIZATION) else { return Ok(None) };
        let token = value
            .to_str()
            .ok()
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim_matches(' '))
            .filter(|token| !token.is_empty());
        token.map(Some).ok_or_else(|| Code::InvalidToken.into())
    }
}

fn decode(raw: &str) -> Result<String, Problem> {
    percent_decode_str(raw).decode_utf8().map(std::borrow::Cow::into_owned).map_err(|_| {
        Problem::new(Code::MalformedRequest).detail("The path, the query or the form is not UTF-8.")
    })
}

/// Parses `application/x-www-form-urlencoded` (WHATWG URL §5.1) and accepts only UTF-8.
fn pairs(text: &str) -> Result<Vec<(String, String)>, Problem> {
    let part = |raw: &str| decode(&raw.replace('+', " "));
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((part(key)?, part(value)?))
        })
        .collect()
}

/// The values of `charset` that a media type allows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Charset {
    /// The parameter has no meaning, because JSON is always UTF-8 (RFC 8259 §8.1 and §11).
    Any,
    Utf8,
}

/// Refuses a body with another media type, another charset, or a content coding.
fn media_type(headers: &HeaderMap, wanted: &str, allowed: Charset) -> Result<(), Problem> {
    let unsupported = || Problem::from(Code::UnsupportedMediaType);
    if headers.contains_key(header::CONTENT_ENCODING) {
        return Err(unsupported());
    }
    let value = headers.get(header::CONTENT_TYPE).ok_or_else(unsupported)?;
    let value = value.to_str().map_err(|_| unsupported())?;
    let mut parts = value.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default();
    let charset = parts
        .filter_map(|part| part.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
    let is_utf8 = charset
        .is_none_or(|(_, charset)| charset.trim().trim_matches('"').eq_ignore_ascii_case("utf-8"));
    let is_read = allowed == Charset::Any || is_utf8;
    if media_type.eq_ignore_ascii_case(wanted) && is_read { Ok(()) } else { Err(unsupported()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(value: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, value.parse().unwrap());
        media_type(&headers, "application/json", Charset::Any).is_ok()
    }

    #[test]
    fn json_is_read_whatever_its_charset_says() {
        for good in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/json;charset=\"UTF-8\"",
            "application/json; charset=utf8",
            "application/json; charset=ISO-8859-1",
            "application/json; charset=",
        ] {
            assert!(accepts(good), "{good}");
        }
        for bad in ["text/plain", "application/json-seq", "", "application/x-www-form-urlencoded"] {
            assert!(!accepts(bad), "{bad}");
        }
        assert!(media_type(&HeaderMap::new(), "application/json", Charset::Any).is_err());
    }

    #[test]
    fn a_form_is_utf8() {
        let form = "application/x-www-form-urlencoded";
        for (charset, is_read) in
            [("", true), ("; charset=UTF-8", true), ("; charset=latin1", false)]
        {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, format!("{form}{charset}").parse().unwrap());
            assert_eq!(media_type(&headers, form, Charset::Utf8).is_ok(), is_read, "{charset}");
        }
    }

    #[test]
    fn forms_are_decoded_once() {
        assert_eq!(
            pairs("a=b+c%2B&d&=e").unwrap(),
            [
                ("a".to_owned(), "b c+".to_owned()),
                ("d".to_owned(), String::new()),
                (String::new(), "e".to_owned()),
            ]
        );
        assert!(pairs("a=%ff").is_err());
    }
}
