//! Responses: JSON, pages, problems, and the headers that every response carries.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{HeaderMap, Response, StatusCode};
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use super::cx::{Cx, Transport};
use super::request::Request;
use crate::app::Text;
use crate::problem::{Code, OauthError, Problem};

/// The response that a handler returns.
pub type Answer = Response<Full<Bytes>>;

const API_POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
/// A page is allowed to load files only from latchkey, and to send forms only to latchkey.
const PAGE_POLICY: HeaderValue = HeaderValue::from_static(super::pages::CSP);

/// The number of headers of a usual response. A problem with the headers of a limit has eleven.
const HEADERS_USUAL: usize = 12;

/// The challenge for clients that authenticate with HTTP Basic (RFC 6749 §5.2, RFC 7617).
const BASIC_CHALLENGE: HeaderValue =
    HeaderValue::from_static("Basic realm=\"latchkey\", charset=\"UTF-8\"");

/// A 200 response with JSON.
pub fn json(value: &impl Serialize) -> Answer {
    status_json(StatusCode::OK, value)
}

/// A 200 response with a body that is JSON already.
pub fn json_text(body: Bytes) -> Answer {
    with_type(StatusCode::OK, HeaderValue::from_static("application/json"), body)
}

pub fn status_json(status: StatusCode, value: &impl Serialize) -> Answer {
    let body = serde_json::to_vec(value).unwrap_or_default();
    with_type(status, HeaderValue::from_static("application/json"), body)
}

/// A 200 response without a body.
pub fn empty() -> Answer {
    bare(StatusCode::OK, Bytes::new())
}

pub fn no_content() -> Answer {
    bare(StatusCode::NO_CONTENT, Bytes::new())
}

/// An HTML page. It keeps the default `no-store` of [`add_security_headers`], because the URL of a
/// page may contain a token.
pub fn page(status: StatusCode, html: String) -> Answer {
    let mut answer =
        with_type(status, HeaderValue::from_static("text/html; charset=utf-8"), html.into_bytes());
    as_page(&mut answer);
    answer
}

/// Adds the Content-Security-Policy of the pages.
pub fn as_page(answer: &mut Answer) {
    answer.headers_mut().insert(header::CONTENT_SECURITY_POLICY, PAGE_POLICY);
}

/// A 200 response with a text that does not change while the daemon runs, or a 304 if the client
/// already has the text (RFC 9110 §13.1.2).
pub fn kept(request: &Request, text: &Text, content_type: HeaderValue) -> Answer {
    let shown = request.headers.get_all(header::IF_NONE_MATCH).iter();
    let mut tags = shown.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    // Entity tags are compared weakly, because a proxy that compresses the response turns the
    // strong tag into a weak one.
    let is_known = tags.any(|tag| {
        let tag = tag.trim();
        tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == text.etag
    });
    let mut answer = if is_known {
        bare(StatusCode::NOT_MODIFIED, Bytes::new())
    } else {
        with_type(StatusCode::OK, content_type, text.body.clone())
    };
    if let Ok(etag) = HeaderValue::from_str(&text.etag) {
        answer.headers_mut().insert(header::ETAG, etag);
    }
    answer
}

/// A page with the given status. If `retry_after_s` is given, the response has the `Retry-After`
/// header.
pub fn view(status: u16, html: String, retry_after_s: Option<u32>) -> Result<Answer, Problem> {
    let status = StatusCode::from_u16(status).map_err(|_| Code::InternalError)?;
    let mut answer = page(status, html);
    if let Some(seconds) = retry_after_s {
        answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    Ok(answer)
}

pub fn with_type(status: StatusCode, content_type: HeaderValue, body: impl Into<Bytes>) -> Answer {
    let mut answer = bare(status, body.into());
    answer.headers_mut().insert(header::CONTENT_TYPE, content_type);
    answer
}

/// A response without headers. It has space for the usual number of headers, so that the map need
/// not grow.
fn bare(status: StatusCode, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    answer.headers_mut().reserve(HEADERS_USUAL);
    answer
}

/// A 303 redirect to a path of latchkey.
pub fn see_other(location: &str) -> Answer {
    let mut answer = bare(StatusCode::SEE_OTHER, Bytes::new());
    if let Ok(location) = HeaderValue::from_str(location) {
        answer.headers_mut().insert(header::LOCATION, location);
    }
    answer
}

/// Lets caches store a response that is public and rarely changes.
pub fn cacheable(mut answer: Answer, seconds: u32) -> Answer {
    if let Ok(value) = HeaderValue::from_str(&format!("public, max-age={seconds}")) {
        answer.headers_mut().insert(header::CACHE_CONTROL, value);
    }
    answer
}

/// A problem as `application/problem+json` (RFC 9457).
pub fn problem(
    problem: &Problem,
    trace_id: &str,
    public_url: &str,
    token_shown: TokenShown,
) -> Answer {
    let code = problem.code;
    let body = serde_json::to_vec(&ProblemJson { problem, trace_id, public_url });
    let body = body.unwrap_or_default();
    let kind = HeaderValue::from_static("application/problem+json");
    let mut answer = with_type(code.status(), kind, body);
    let headers = answer.headers_mut();
    if let Some(seconds) = problem.retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if code.status() == StatusCode::UNAUTHORIZED {
        // RFC 6749 §5.2 requires a challenge of the scheme that the client used, which is Basic.
        // The Bearer challenge, which every 401 has, comes after the Basic challenge.
        if problem.oauth == Some(OauthError::InvalidClient) {
            headers.append(header::WWW_AUTHENTICATE, BASIC_CHALLENGE);
        }
        let stated = problem.challenge.as_deref().map(HeaderValue::from_str);
        let bearer = match stated {
            Some(Ok(stated)) => stated,
            _ => challenge(code, token_shown),
        };
        headers.append(header::WWW_AUTHENTICATE, bearer);
    }
    answer
}

/// The JSON of a problem.
struct ProblemJson<'a> {
    problem: &'a Problem,
    trace_id: &'a str,
    public_url: &'a str,
}

impl Serialize for ProblemJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { problem, trace_id, public_url } = self;
        let code = problem.code;
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("type", &format_args!("{public_url}/problems/{}", code.name()))?;
        object.serialize_entry("title", code.title())?;
        object.serialize_entry("status", &code.status().as_u16())?;
        object.serialize_entry("detail", problem.detail.as_deref().unwrap_or(code.advice()))?;
        object.serialize_entry("code", code.name())?;
        object.serialize_entry("traceId", trace_id)?;
        if let Some(error) = problem.oauth {
            object.serialize_entry("error", error.name())?;
        }
        for (name, value) in &problem.members {
            object.serialize_entry(name, value)?;
        }
        if code == Code::ValidationFailed {
            object.serialize_entry("errors", &problem.errors)?;
        }
        object.end()
    }
}

/// Whether the request carried a Bearer token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenShown {
    Yes,
    /// The request carried no token. In this case, RFC 6750 §3.1 requires a challenge without
    /// `error`.
    No,
}

impl TokenShown {
    /// Finds out whether the headers of a request contain a Bearer token. Credentials of another
    /// scheme do not count as a token.
    pub fn by(headers: &HeaderMap) -> Self {
        let scheme = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
        match scheme.and_then(|value| value.get(..7)) {
            Some(scheme) if scheme.eq_ignore_ascii_case(b"bearer ") => Self::Yes,
            _ => Self::No,
        }
    }
}

/// The `WWW-Authenticate` header of a 401.
pub(super) fn challenge(code: Code, token_shown: TokenShown) -> HeaderValue {
    let about_token = matches!(code, Code::InvalidToken | Code::RefreshReused);
    if about_token && token_shown == TokenShown::Yes {
        HeaderValue::from_static("Bearer realm=\"latchkey\", error=\"invalid_token\"")
    } else {
        HeaderValue::from_static("Bearer realm=\"latchkey\"")
    }
}

/// Adds the headers that every response of every listener carries. A header that the handler has
/// already set stays as it is.
pub fn add_security_headers(headers: &mut HeaderMap, transport: Transport) {
    let mut default = |name: HeaderName, value: HeaderValue| {
        headers.entry(name).or_insert(value);
    };
    default(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    default(header::CONTENT_SECURITY_POLICY, API_POLICY);
    // Browsers that know `frame-ancestors` of the policy ignore this header.
    default(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    default(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    default(
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    );
    default(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if transport == Transport::Tls {
        default(
            header::STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static("max-age=63072000; includeSubDomains"),
        );
    }
}

/// Adds the header with the request's id, and the headers that say how many requests a limit still
/// allows.
pub fn add_request_headers(headers: &mut HeaderMap, cx: &Cx) {
    let mut default = |name: &'static str, value: HeaderValue| {
        headers.entry(name).or_insert(value);
    };
    if let Ok(id) = HeaderValue::from_str(&cx.request_id) {
        default("x-request-id", id);
    }
    if let Some(rate) = &cx.rate {
        for (name, value) in
            [("ratelimit", rate.rate_limit()), ("ratelimit-policy", rate.rate_limit_policy())]
        {
            if let Ok(value) = HeaderValue::from_str(&value) {
                default(name, value);
            }
        }
    }
}

/// Adds the header with the token that makes the client a known device.
pub fn known_device(answer: &mut Answer, token: &str) {
    if let Ok(token) = HeaderValue::from_str(token) {
        answer.headers_mut().insert(super::request::DEVICE, token);
    }
}
