//! The gate in front of every route below `/dev/mailbox`: which requests reach the built-in
//! mailbox.
//!
//! The mailbox holds every confirmation and recovery link, so two things are required:
//!
//! 1. **The request comes from this machine.** `public_url`, listener, peer and Host are loopback,
//!    and no header shows that a proxy passed it on. Everything else is a 404, as if there were no
//!    mailbox. This is not certain: a proxy on this machine may send a loopback Host and no such
//!    header.
//! 2. **It carries the key of the data directory**: as `Authorization: Bearer`, once as `?key=…`,
//!    or as the cookie that `?key=…` sets. Everything else is a 401.
//!
//! `http.trusted_proxies` plays no part. With a proxy on this machine the mails stay readable at
//! the daemon's own address. A request through the proxy is refused by its headers or lacks the
//! key.
//!
//! Only the gate hands out the [`Mailbox`], and a route behind it gets nothing else
//! ([`Handler::Mailbox`]).
//!
//! [`Handler::Mailbox`]: super::router::Handler::Mailbox

use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, StatusCode, Uri};
use percent_encoding::percent_decode_str;

use super::answer::{self, Answer, TokenShown};
use super::cx::Transport;
use super::pages::{self, MailboxLocked};
use super::request::Request;
use crate::app::App;
use crate::config::is_loopback;
use crate::mail::{COOKIE_TTL_S, Mailbox, MailboxKey};
use crate::problem::{Code, Problem};

/// The browser sends the cookie to this path and the paths below it only.
const COOKIE_PATH: &str = "/dev/mailbox";

/// Headers that proxies, load balancers and tunnels add. A name that ends with `-` stands for all
/// that begin with it.
const PROXY_HEADERS: &[&str] = &[
    "akamai-",
    "cdn-loop",
    "cf-",
    "client-ip",
    "fastly-",
    "fly-",
    "forwarded",
    "front-end-https",
    "max-forwards",
    "ngrok-",
    "proxy-client-ip",
    "tailscale-",
    "true-client-ip",
    "via",
    "wl-proxy-",
    "x-amz-cf-",
    "x-amzn-",
    "x-appengine-",
    "x-arr-",
    "x-azure-",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-coming-from",
    "x-envoy-",
    "x-forwarded",
    "x-forwarded-",
    "x-ms-proxy",
    "x-nginx-proxy",
    "x-original-",
    "x-proxyuser-ip",
    "x-real-",
    "x-remote-",
    "x-scheme",
    "x-url-scheme",
];

/// What the gate decides about a request.
pub enum Passage<'a> {
    /// It may use the mailbox.
    Open(&'a Mailbox),
    /// It gets this response: the page that asks for the key, or the redirect that sets the cookie.
    Respond(Answer),
}

/// What a request presents.
enum Presented {
    /// It carries the key, or a cookie that was made with it.
    Key,
    /// It carries the key in its URL. The browser gets a cookie instead.
    KeyInUrl,
    /// It carries neither.
    Nothing(MailboxLocked),
}

/// Lets a request through to the mailbox, or returns the response that names what it lacks.
///
/// # Errors
/// [`Code::NotFound`] where the mailbox is not served; [`Code::InvalidToken`] without the key, for
/// a client that does not read HTML.
pub fn enter<'a>(app: &'a App, request: &Request) -> Result<Passage<'a>, Problem> {
    let (Some(mailbox), Some(key), true) =
        (app.mailbox.as_deref(), &app.mailbox_key, is_served(app, request))
    else {
        return Err(Code::NotFound.into());
    };
    let why = match presented(key, request, app.clock.now()) {
        Presented::Key => return Ok(Passage::Open(mailbox)),
        Presented::KeyInUrl => return Ok(Passage::Respond(admitted(app, key, request))),
        Presented::Nothing(why) => why,
    };
    let file = MailboxKey::file_in(&app.config.data_dir).display().to_string();
    if !accepts_html(&request.headers) {
        return Err(Problem::new(Code::InvalidToken).detail(format!(
            "Send the mailbox's key as `Authorization: Bearer KEY`. The key is in the file {file}."
        )));
    }
    let mut answer = answer::page(StatusCode::UNAUTHORIZED, pages::mailbox_locked(why, &file));
    let challenge = answer::challenge(Code::InvalidToken, TokenShown::by(&request.headers));
    answer.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    Ok(Passage::Respond(answer))
}

/// Whether the mailbox is served to this request, with the key or without: the first of the two
/// conditions.
pub fn is_served(app: &App, request: &Request) -> bool {
    app.mailbox.is_some()
        && app.mailbox_key.is_some()
        && app.config.mailbox_barrier().is_none()
        && request.client().is_loopback()
        && !came_through_a_proxy(&request.headers)
        && hosts_are_loopback(request)
}

fn came_through_a_proxy(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| {
        let name = name.as_str();
        PROXY_HEADERS.iter().any(|known| {
            if known.ends_with('-') { name.starts_with(known) } else { name == *known }
        })
    })
}

/// Whether every host that the request names is this machine: `Host`, and the authority of an
/// absolute request target. A page of another site whose name was pointed to the loopback address
/// (DNS rebinding) still sends its own name.
fn hosts_are_loopback(request: &Request) -> bool {
    let named = request.headers.get_all(header::HOST).iter();
    let mut hosts: Vec<Option<String>> = named
        .map(|value| value.to_str().ok()?.parse::<Uri>().ok()?.host().map(str::to_owned))
        .collect();
    hosts.extend(request.uri.host().map(|host| Some(host.to_owned())));
    !hosts.is_empty() && hosts.iter().all(|host| host.as_deref().is_some_and(is_loopback))
}

/// Looks for the key. A key that the client sends on purpose comes before the cookie: a wrong key
/// is refused beside a good cookie.
fn presented(key: &MailboxKey, request: &Request, now: crate::clock::UnixMillis) -> Presented {
    let right =
        |is: bool, found| if is { found } else { Presented::Nothing(MailboxLocked::WrongKey) };
    if request.headers.contains_key(header::AUTHORIZATION) {
        let presented = request.bearer().ok().flatten();
        return right(presented.is_some_and(|presented| key.is(presented)), Presented::Key);
    }
    let reads = matches!(request.method, Method::GET | Method::HEAD);
    if reads && let Some(presented) = request.query("key").ok().flatten() {
        return right(key.is(presented.trim()), Presented::KeyInUrl);
    }
    let name = key.cookie_name();
    if !cookies(&request.headers, &name).any(|value| key.admits(value, now)) {
        return Presented::Nothing(MailboxLocked::NoKey);
    }
    if is_of_another_site(request) {
        return Presented::Nothing(MailboxLocked::OtherSite);
    }
    Presented::Key
}

/// The values of all cookies of this name.
fn cookies<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    lines
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter_map(move |(known, value)| (known == name).then_some(value))
}

/// Whether a page of another origin caused the request, by the browser's Fetch Metadata. Browsers
/// do not send the cookie across sites, but another port of `localhost` is the same site: from
/// there a link may lead here, and nothing else.
fn is_of_another_site(request: &Request) -> bool {
    let says = |name: &str| request.headers.get(name).map(HeaderValue::as_bytes);
    match says("sec-fetch-site") {
        None | Some(b"none" | b"same-origin") => false,
        Some(b"same-site") => says("sec-fetch-dest") != Some(b"document"),
        Some(_) => true,
    }
}

/// Sets the cookie and redirects to the same address without the key, so that the key stays in no
/// history and no bookmark.
fn admitted(app: &App, key: &MailboxKey, request: &Request) -> Answer {
    let mut answer = answer::see_other(&without_key(&request.uri));
    let secure = if request.cx.transport == Transport::Tls { "; Secure" } else { "" };
    let cookie = format!(
        "{}={}; Path={COOKIE_PATH}; Max-Age={COOKIE_TTL_S}; HttpOnly; SameSite=Strict{secure}",
        key.cookie_name(),
        key.cookie_value(app.clock.now()),
    );
    if let Ok(mut cookie) = HeaderValue::from_str(&cookie) {
        cookie.set_sensitive(true);
        answer.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    answer
}

/// The path and query of a URL without the parameter `key`. Other parameters stay as they are.
fn without_key(uri: &Uri) -> String {
    let pairs = uri.query().unwrap_or_default().split('&').filter(|pair| {
        let name = pair.split('=').next().unwrap_or_default();
        !pair.is_empty() && percent_decode_str(name).decode_utf8_lossy() != "key"
    });
    let query = pairs.collect::<Vec<_>>().join("&");
    let path = uri.path();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

/// Whether a client reads HTML, by its `Accept` header: browsers name it, programs do not.
fn accepts_html(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(header::ACCEPT).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|range| {
        range.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("text/html")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_proxies_are_known_by_name_or_by_prefix() {
        let with = |name: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static("x"));
            came_through_a_proxy(&headers)
        };
        for name in ["via", "forwarded", "x-forwarded-anything", "cf-connecting-ip", "x-real-ip"] {
            assert!(with(name), "{name}");
        }
        for name in
            ["accept", "viacom", "x-request-id", "traceparent", "cookie", "x-latchkey-device"]
        {
            assert!(!with(name), "{name}");
        }
    }

    #[test]
    fn every_other_parameter_survives_the_redirect_as_it_was_sent() {
        let stripped = |uri: &str| without_key(&uri.parse().unwrap());
        assert_eq!(stripped("/dev/mailbox?key=a"), "/dev/mailbox");
        assert_eq!(stripped("/dev/mailbox?key=a&key=b&k%65y=c&&key"), "/dev/mailbox");
        assert_eq!(
            stripped("/dev/mailbox/messages?to=a%40b.example&key=a&wait=10s&keys=1"),
            "/dev/mailbox/messages?to=a%40b.example&wait=10s&keys=1"
        );
        assert_eq!(stripped("http://localhost/dev/mailbox?key=a"), "/dev/mailbox");
    }

    #[test]
    fn a_browser_is_known_by_its_accept_header() {
        let with =
            |value| HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(value))]);
        assert!(accepts_html(&with("text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")));
        assert!(accepts_html(&with("application/json, Text/HTML;q=0.5")));
        for other in ["*/*", "application/json", "text/htmlx", ""] {
            assert!(!accepts_html(&with(other)), "{other}");
        }
        assert!(!accepts_html(&HeaderMap::new()));
    }

    #[test]
    fn cookies_are_found_among_others_and_on_several_lines() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("a=1; name=x=y; aname=3"));
        headers.append(header::COOKIE, HeaderValue::from_static("name=2"));
        assert_eq!(cookies(&headers, "name").collect::<Vec<_>>(), ["x=y", "2"]);
    }
}
