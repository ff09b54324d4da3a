//! Checks of a request's head, before a handler runs or the body is read.

use hyper::Version;
use hyper::header::{self, HeaderName};

use super::answer::{self, Answer};
use super::request::Request;
use super::router::{Route, RouteKind};
use crate::problem::{Code, Problem};

/// The maximum number of headers of a request. No legitimate client or proxy sends half as many.
/// hyper counts the headers of HTTP/1 while it reads them. For HTTP/2, hyper limits only the bytes
/// of the headers, so this module counts them.
pub const HEADERS_MAX: usize = 64;
/// The maximum number of bytes of the path and the query together.
const URI_BYTES_MAX: usize = 4 * 1024;
/// The maximum number of bytes of an `Authorization` header.
const AUTHORIZATION_BYTES_MAX: usize = 8 * 1024;

/// Checks the length of the URI, and the number, size and uniqueness of headers.
pub(super) fn check(request: &Request) -> Result<(), Problem> {
    let uri = request.uri.path_and_query().map_or(0, |part| part.as_str().len());
    if uri > URI_BYTES_MAX {
        return Err(Code::UriTooLong.into());
    }
    if headers(request) > HEADERS_MAX {
        return Err(Code::HeadersTooLarge.into());
    }
    let mut authorizations = request.headers.get_all(header::AUTHORIZATION).iter();
    if authorizations.next().is_some_and(|value| value.len() > AUTHORIZATION_BYTES_MAX) {
        return Err(Code::HeadersTooLarge.into());
    }
    if authorizations.next().is_some() {
        return Err(Problem::new(Code::MalformedRequest)
            .detail("The request has more than one `Authorization` header."));
    }
    if host_is_in_doubt(request) {
        return Err(Problem::new(Code::MalformedRequest)
            .detail("The request must have exactly one `Host` header."));
    }
    Ok(())
}

/// The number of headers. In HTTP/2, a client may split its cookies into several lines (RFC 9113
/// §8.2.3). These lines count as one header, because a browser sends all cookies of a domain,
/// however many they are.
fn headers(request: &Request) -> usize {
    let lines = request.headers.len();
    if lines <= HEADERS_MAX || request.version < Version::HTTP_2 {
        return lines;
    }
    let cookies = request.headers.get_all(header::COOKIE).iter().count();
    lines - cookies.saturating_sub(1)
}

/// Whether it is unclear which host the request is for. HTTP/1.1 requires one `Host` header, and no
/// version of HTTP/1 allows two (RFC 9112 §3.2). If there were two, a proxy and latchkey could use
/// different hosts.
fn host_is_in_doubt(request: &Request) -> bool {
    match (request.version, request.headers.get_all(header::HOST).iter().count()) {
        (Version::HTTP_11, hosts) => hosts != 1,
        (_, hosts) => hosts > 1,
    }
}

/// Whether a proxy could see the end of this request at another byte than latchkey. After such a
/// request, latchkey closes the connection (RFC 9112 §6.1).
pub(super) fn framing_is_in_doubt(request: &Request) -> bool {
    let headers = &request.headers;
    let both = headers.contains_key(header::TRANSFER_ENCODING)
        && headers.contains_key(header::CONTENT_LENGTH);
    let twice = headers.get_all(header::AUTHORIZATION).iter().count() > 1;
    both || twice || host_is_in_doubt(request)
}

/// Applies the rules for GET requests that change state. A prefetch is refused. A browser that
/// opens a mailed link is redirected to the page of the link.
pub(super) fn guard(route: &Route, request: &Request) -> Result<Option<Answer>, Problem> {
    if !matches!(route.kind, RouteKind::ChangesState | RouteKind::MailedLink | RouteKind::Refresh) {
        return Ok(None);
    }
    let says = |name: &'static str, word: &str| {
        let values = request.headers.get_all(HeaderName::from_static(name));
        values.iter().filter_map(|value| value.to_str().ok()).any(|value| {
            value.split([',', ';']).any(|token| token.trim().eq_ignore_ascii_case(word))
        })
    };
    let prefetch =
        says("sec-purpose", "prefetch") || says("purpose", "prefetch") || says("x-moz", "prefetch");
    if prefetch {
        return Err(Problem::new(Code::Forbidden)
            .detail("A link that changes something cannot be prefetched."));
    }
    if route.kind == RouteKind::MailedLink && says("sec-fetch-mode", "navigate") {
        let token = request.uri.path().rsplit('/').next().unwrap_or_default();
        return Ok(Some(answer::see_other(&format!("/verify-email?token={token}"))));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::http::cx::{Cx, Peer, Transport};
    use crate::http::router::ANSWER_WITHIN;

    fn judged(version: Version, name: &'static str, lines: usize) -> Option<Code> {
        let request = hyper::Request::get("/").version(version).body(());
        let mut parts = request.unwrap().into_parts().0;
        for _ in 0..lines {
            parts.headers.append(name, "a".parse().unwrap());
        }
        let peer = Peer { address: IpAddr::from([192, 0, 2, 1]), transport: Transport::Plain };
        let (cx, _) = Cx::new(peer, &parts.headers, &[], ANSWER_WITHIN);
        check(&Request::new(cx, parts)).err().map(|problem| problem.code)
    }

    #[test]
    fn headers_are_counted_and_a_cut_cookie_is_one() {
        let too_many = Some(Code::HeadersTooLarge);
        assert_eq!(judged(Version::HTTP_2, "x-a", 64), None);
        assert_eq!(judged(Version::HTTP_2, "x-a", 65), too_many);
        assert_eq!(judged(Version::HTTP_2, "cookie", 200), None);
        assert_eq!(judged(Version::HTTP_10, "cookie", 65), too_many);
    }
}
