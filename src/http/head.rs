//! What is told from a request's head alone, before a handler is chosen or a body awaited.

use hyper::Version;
use hyper::header::{self, HeaderName};
use hyper::http::request::Parts;

use super::answer::{self, Answer};
use super::router::{Route, RouteKind};
use crate::problem::{Code, Problem};

/// Headers of a request: no honest client or proxy sends half as many. hyper counts those of HTTP/1 as it
/// reads them; HTTP/2's are bounded by their bytes there, and counted here.
pub const HEADERS_MAX: usize = 64;
/// Path and query together.
const URI_BYTES_MAX: usize = 4 * 1024;
/// One `Authorization` header.
const AUTHORIZATION_BYTES_MAX: usize = 8 * 1024;

/// What can be told from the head alone.
pub(super) fn check(parts: &Parts) -> Result<(), Problem> {
    let uri = parts.uri.path_and_query().map_or(0, |part| part.as_str().len());
    if uri > URI_BYTES_MAX {
        return Err(Code::UriTooLong.into());
    }
    if headers(parts) > HEADERS_MAX {
        return Err(Code::HeadersTooLarge.into());
    }
    let mut authorizations = parts.headers.get_all(header::AUTHORIZATION).iter();
    if authorizations.next().is_some_and(|value| value.len() > AUTHORIZATION_BYTES_MAX) {
        return Err(Code::HeadersTooLarge.into());
    }
    if authorizations.next().is_some() {
        return Err(
            Problem::new(Code::MalformedRequest).detail("There are two `Authorization` headers.")
        );
    }
    if host_is_in_doubt(parts) {
        return Err(
            Problem::new(Code::MalformedRequest).detail("There has to be one `Host` header.")
        );
    }
    Ok(())
}

/// Header lines. HTTP/2 lets a client cut its cookies into lines of their own, which are one (RFC 9113 §8.2.3): browsers send
/// us those of a whole domain.
fn headers(parts: &Parts) -> usize {
    let lines = parts.headers.len();
    if lines <= HEADERS_MAX || parts.version < Version::HTTP_2 {
        return lines;
    }
    let cookies = parts.headers.get_all(header::COOKIE).iter().count();
    lines - cookies.saturating_sub(1)
}

/// HTTP/1.1 asks for one `Host`, and none of 1.x has two (RFC 9112 §3.2): proxies that choose differently would see two
/// requests in one.
fn host_is_in_doubt(parts: &Parts) -> bool {
    match (parts.version, parts.headers.get_all(header::HOST).iter().count()) {
        (Version::HTTP_11, hosts) => hosts != 1,
        (_, hosts) => hosts > 1,
    }
}

/// Requests after which the connection is not trusted to be framed as we read it (RFC 9112 §6.1).
pub(super) fn framing_is_in_doubt(parts: &Parts) -> bool {
    let headers = &parts.headers;
    let both = headers.contains_key(header::TRANSFER_ENCODING)
        && headers.contains_key(header::CONTENT_LENGTH);
    let twice = headers.get_all(header::AUTHORIZATION).iter().count() > 1;
    both || twice || host_is_in_doubt(parts)
}

/// The rules of the GETs that change state.
pub(super) fn guard(route: &Route, parts: &Parts) -> Result<Option<Answer>, Problem> {
    if !matches!(route.kind, RouteKind::ChangesState | RouteKind::MailedLink | RouteKind::Refresh) {
        return Ok(None);
    }
    let says = |name: &'static str, word: &str| {
        let values = parts.headers.get_all(HeaderName::from_static(name));
        values.iter().filter_map(|value| value.to_str().ok()).any(|value| {
            value.split([',', ';']).any(|token| token.trim().eq_ignore_ascii_case(word))
        })
    };
    let prefetch =
        says("sec-purpose", "prefetch") || says("purpose", "prefetch") || says("x-moz", "prefetch");
    if prefetch {
        return Err(Problem::new(Code::Forbidden)
            .detail("A prefetch of a link that changes something is refused."));
    }
    if route.kind == RouteKind::MailedLink && says("sec-fetch-mode", "navigate") {
        let token = parts.uri.path().rsplit('/').next().unwrap_or_default();
        return Ok(Some(answer::see_other(&format!("/verify-email?token={token}"))));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(version: Version, name: &'static str, lines: usize) -> Option<Code> {
        let request = hyper::Request::get("/").version(version).body(());
        let mut parts = request.unwrap().into_parts().0;
        for _ in 0..lines {
            parts.headers.append(name, "a".parse().unwrap());
        }
        check(&parts).err().map(|problem| problem.code)
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
