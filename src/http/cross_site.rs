//! Refuses the form of a page if another website sent it (ASVS 3.5.2).
//!
//! A browser sends a form to another website without asking that website, so a hostile page could
//! otherwise request mails from the IP address of its visitor. The API needs no such check: it
//! accepts only JSON, or credentials that a browser does not add by itself.

use hyper::header::{self, HeaderMap, HeaderValue};

use super::answer::{self, Answer};
use super::pages;
use super::request::Request;
use super::router::{Route, RouteMethod};
use crate::config::Config;
use crate::problem::Problem;

/// Returns the page that refuses the request, if the request is the form of another website.
pub(super) fn guard(
    config: &Config,
    route: &Route,
    request: &Request,
) -> Result<Option<Answer>, Problem> {
    let is_form = route.method == RouteMethod::Post && route.operation.is_none();
    let host = request.uri.authority().map(hyper::http::uri::Authority::as_str);
    if !is_form || !is_of_another_site(&request.headers, host, config) {
        return Ok(None);
    }
    answer::view(403, pages::other_site(&config.public_url), None).map(Some)
}

/// Whether a page of another origin sent the request. `Sec-Fetch-Site` decides, because every
/// current browser sends it over https and to loopback addresses, and no page can change it.
/// Without it, `Origin` must name latchkey. A page that `http.cors_origins` lists is not another
/// site, because it may use the API too.
///
/// With `https` in `public_url`, `Origin` must be the origin of `public_url`: its scheme, host and
/// port. Otherwise a page that someone else sends over http, or from another port of the host,
/// could use the forms. With `http` the host and port of the request are enough, because on the
/// machine of a developer the daemon has several names.
///
/// `Origin: null` alone does not refuse a request. Browsers send it with the forms of our own
/// pages, because the pages have `Referrer-Policy: no-referrer` (Fetch, "append a request `Origin`
/// header"). A request without either header comes from a program.
fn is_of_another_site(headers: &HeaderMap, authority: Option<&str>, config: &Config) -> bool {
    let origins: Vec<&str> = texts(headers, header::ORIGIN.as_str()).collect();
    if let [origin] = *origins
        && config.http.cors_origins.iter().any(|listed| listed == origin)
    {
        return false;
    }
    let mut sites = texts(headers, "sec-fetch-site").peekable();
    if sites.peek().is_some() {
        return !sites.all(|site| matches!(site, "same-origin" | "none"));
    }
    let own = config.public_origin();
    let is_https = own.as_deref().is_some_and(|own| own.starts_with("https://"));
    let hosts: Vec<&str> = authority.into_iter().chain(texts(headers, "host")).collect();
    let is_own = |origin: &str| {
        let host = origin.split_once("://").map_or("", |(_, host)| host);
        own.as_deref() == Some(origin)
            || !is_https && hosts.iter().any(|known| known.eq_ignore_ascii_case(host))
    };
    origins.iter().any(|origin| *origin != "null" && !is_own(origin))
}

/// The values of a header. A value that is not ASCII is empty, so it equals no expected value.
fn texts<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).iter().map(|value: &HeaderValue| value.to_str().unwrap_or_default())
}
