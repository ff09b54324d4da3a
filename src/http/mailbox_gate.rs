//! The gate in front of every route below `/dev/mailbox`. It decides which requests reach the
//! built-in mailbox.
//!
//! The mailbox holds every confirmation and recovery link, so a request must fulfill two
//! conditions:
//!
//! 1. **The request comes from this machine.** The addresses of `public_url`, of the listener and
//!    of the peer are loopback addresses, and so is `Host`. No header shows that a proxy forwarded
//!    the request. Every other request gets a 404, as if there were no mailbox. This condition
//!    alone is not enough, because a proxy on this machine perhaps sends a loopback `Host` and no
//!    header that shows the proxy.
//! 2. **It carries the key of the data directory**: as `Authorization: Bearer`, once as `?key=…`,
//!    or as the cookie that `?key=…` sets. Every other request gets a 401.
//!
//! The setting `http.trusted_proxies` has no effect on the gate. If a proxy runs on this machine,
//! the mails can still be read at the daemon's own address. A request through the proxy is refused,
//! because its headers show the proxy or because it does not carry the key.
//!
//! Only the gate gives a handler access to the [`Mailbox`]. A handler behind the gate gets the
//! mailbox and no other part of the application ([`Handler::Mailbox`]).
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
use crate::config::is_loopback_in_browsers;
use crate::mail::{COOKIE_TTL_S, Mailbox, MailboxKey};
use crate::problem::{Code, Problem};

/// The browser sends the cookie only to this path and the paths below it.
const COOKIE_PATH: &str = "/dev/mailbox";

/// Headers that proxies, load balancers and tunnels add. A name that ends with `-` stands for all
/// headers whose names begin with it.
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
    /// The request may use the mailbox.
    Open(&'a Mailbox),
    /// The request gets this response: the page that asks for the key, or the redirect that sets
    /// the cookie.
    Respond(Answer),
}

/// What a request presents to open the mailbox.
enum Presented {
    /// The request carries the key, or a cookie that was created with the key.
    Key,
    /// The request carries the key in its URL. The response replaces the key with a cookie.
    KeyInUrl,
    /// The request carries no valid key and no valid cookie.
    Nothing(MailboxLocked),
}

/// Lets a request through to the mailbox, or returns the response that says what the request lacks.
///
/// # Errors
/// [`Code::NotFound`] if the mailbox is not served to this request. [`Code::InvalidToken`] if the
/// key is missing or wrong and the client does not read HTML.
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

/// Whether the request fulfills the first of the two conditions: it comes from this machine. This
/// function does not check the key.
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

/// Whether every host that the request names is this machine. The request names hosts in `Host` and
/// in the authority of an absolute request target. This check stops DNS rebinding: another site can
/// let its name resolve to the loopback address, but the browser still sends that name for the
/// site's page.
fn hosts_are_loopback(request: &Request) -> bool {
    let named = request.headers.get_all(header::HOST).iter();
    let mut hosts: Vec<Option<String>> = named
        .map(|value| value.to_str().ok()?.parse::<Uri>().ok()?.host().map(str::to_owned))
        .collect();
    hosts.extend(request.uri.host().map(|host| Some(host.to_owned())));
    !hosts.is_empty()
        && hosts.iter().all(|host| host.as_deref().is_some_and(is_loopback_in_browsers))
}

/// Looks for the key in the request. A key that the client sends itself has priority over the
/// cookie. So a wrong key is refused even if the cookie is valid.
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

/// Whether a page of another origin caused the request. The browser's Fetch Metadata headers show
/// this. Browsers do not send the cookie across sites, but another port of `localhost` counts as
/// the same site. A page from another port is allowed to link to the mailbox, but not to load
/// anything from it.
fn is_of_another_site(request: &Request) -> bool {
    let says = |name: &str| request.headers.get(name).map(HeaderValue::as_bytes);
    match says("sec-fetch-site") {
        None | Some(b"none" | b"same-origin") => false,
        Some(b"same-site") => says("sec-fetch-dest") != Some(b"document"),
        Some(_) => true,
    }
}

/// Sets the cookie and redirects to the same URL without the key, so that the browser's history and
/// bookmarks do not contain the key.
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

/// Whether a client reads HTML, according to its `Accept` header. Browsers list HTML there, and
/// programs do not.
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
