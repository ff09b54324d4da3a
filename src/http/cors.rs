//! Cross-origin requests (CORS). Only origins on an allowlist, which is empty by default, may read
//! responses. Origins are compared exactly, and credentials are not allowed (ASVS 3.4.2).

use hyper::header::{self, HeaderMap, HeaderValue};

use super::answer::{self, Answer};

const EXPOSED: HeaderValue = HeaderValue::from_static(
    "X-Request-Id, X-Latchkey-Device, RateLimit, RateLimit-Policy, Retry-After, WWW-Authenticate",
);

/// The headers that a page may send: those that the API reads, and those that the tracing SDKs of
/// browsers add to each request (W3C Trace Context, W3C Baggage, Sentry, request ids). If one of
/// the requested headers is not on the list, the browser does not send the request. The tracing
/// headers carry no authority. The list is fixed and does not depend on the request.
const ALLOWED: HeaderValue = HeaderValue::from_static(
    "Authorization, Content-Type, X-Latchkey-Device, X-Request-Id, traceparent, tracestate, \
     baggage, sentry-trace",
);

/// Lets an origin on the list read the response. If the list is not empty, every response has
/// `Vary: Origin`.
pub fn allow(headers: &mut HeaderMap, origin: Option<&HeaderValue>, allowed: &[String]) {
    if allowed.is_empty() {
        return;
    }
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = origin else { return };
    if allowed.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
}

/// The response to OPTIONS. It lists the methods of the path. A browser continues only if [`allow`]
/// adds the header for its origin.
pub fn preflight(methods: &str) -> Answer {
    let mut answer = answer::no_content();
    let headers = answer.headers_mut();
    if let Ok(methods) = HeaderValue::from_str(methods) {
        headers.insert(header::ALLOW, methods.clone());
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    }
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(origin: &str, list: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        let list: Vec<String> = list.iter().map(|entry| (*entry).to_owned()).collect();
        allow(&mut headers, Some(&origin.parse().unwrap()), &list);
        headers.get("access-control-allow-origin").map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn only_a_listed_origin_may_read() {
        let list = ["https://app.example"];
        assert_eq!(allowed("https://app.example", &list).as_deref(), Some("https://app.example"));
        for other in
            ["https://app.example.evil", "http://app.example", "null", "https://APP.example"]
        {
            assert_eq!(allowed(other, &list), None, "{other}");
        }
        assert_eq!(allowed("https://app.example", &[]), None);
    }
}
