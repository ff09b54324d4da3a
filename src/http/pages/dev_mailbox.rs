//! `/dev/mailbox`: the built-in mailbox, for people on this machine alone.
//!
//! It is served only where listener, peer and Host are loopback and nothing was forwarded (contract §6): everywhere else
//! it is a 404, as if it did not exist.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::{self, HeaderValue};
use hyper::{StatusCode, Uri};
use serde_json::json;
use uuid::Uuid;

use super::mailbox::FRAME_CSP;
use super::{Mail, words};
use crate::app::App;
use crate::clock::rfc3339;
use crate::http::answer::{self, Answer};
use crate::http::json::Object;
use crate::http::request::Request;
use crate::mail::{Mailbox, MailboxMessage};
use crate::problem::{Code, Problem, Unavailable};

/// A long-poll waits so long at most.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// What tells that somebody stands between.
const FORWARDED: [&str; 6] =
    ["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"];

/// Whether this request may see the mailbox.
pub fn is_served(app: &App, request: &Request) -> bool {
    app.mailbox.is_some()
        && app.config.http.listen.ip().is_loopback()
        && request.client().is_loopback()
        && !FORWARDED.iter().any(|name| request.headers.contains_key(*name))
        && host(request).is_some_and(|host| is_loopback(&host))
}

/// The host that was asked for, without its port: what a rebound name cannot hide.
fn host(request: &Request) -> Option<String> {
    if let Some(host) = request.uri.host() {
        return Some(host.to_owned());
    }
    let value = request.headers.get(header::HOST)?.to_str().ok()?;
    value.parse::<Uri>().ok()?.host().map(str::to_owned)
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn mailbox<'a>(app: &'a App, request: &Request) -> Result<&'a Mailbox, Problem> {
    app.mailbox.as_deref().filter(|_| is_served(app, request)).ok_or_else(|| Code::NotFound.into())
}

/// `GET /dev/mailbox`
pub async fn list(app: &App, request: &mut Request) -> Result<Answer, Problem> {
    let messages = mailbox(app, request)?.list(None);
    let shown: Vec<Shown> = messages.iter().map(Shown::new).collect();
    let mails: Vec<Mail<'_>> = shown.iter().map(Shown::as_mail).collect();
    Ok(answer::page(StatusCode::OK, super::mailbox(&mails)))
}

/// `GET /dev/mailbox/messages?to=…&after=…&wait=10s`: the mails as JSON, newest first; with `wait`, as soon as there is one.
pub async fn messages(app: &App, request: &mut Request) -> Result<Answer, Problem> {
    let mailbox = mailbox(app, request)?;
    let to = request.query("to")?;
    let mut broken = Object::default();
    let wait = request.query("wait")?.map_or(Some(Duration::ZERO), |wait| seconds(&wait));
    let after = request.query("after")?.map(|after| after.parse::<Uuid>()).transpose();
    if wait.is_none() {
        broken.reject("wait", "format", "`wait` is a number of seconds up to 30, like `10s`.");
    }
    if after.is_err() {
        broken.reject("after", "format", "`after` is the id of a message.");
    }
    broken.finish()?;
    let found =
        mailbox.wait_for(to.as_deref(), after.unwrap_or_default(), wait.unwrap_or_default()).await;
    let items: Vec<_> = found.iter().map(as_json).collect();
    Ok(answer::json(&json!({ "items": items, "next": null })))
}

/// `DELETE /dev/mailbox/messages`
pub async fn clear(app: &App, request: &mut Request) -> Result<Answer, Problem> {
    let cleared = mailbox(app, request)?.clear().await;
    cleared.map_err(|error| Unavailable::because("mailbox", error))?;
    Ok(answer::no_content())
}

/// `GET /dev/mailbox/{id}`
pub async fn show(app: &App, request: &mut Request) -> Result<Answer, Problem> {
    let shown = Shown::new(&find(app, request)?);
    Ok(answer::page(StatusCode::OK, super::message(&shown.as_mail())))
}

/// `GET /dev/mailbox/{id}/html`: the mail's own HTML, for the frame of its page.
pub async fn html(app: &App, request: &mut Request) -> Result<Answer, Problem> {
    let message = find(app, request)?;
    let mut answer = answer::page(StatusCode::OK, super::mailbox::framed(&message.html));
    let policy = HeaderValue::from_static(FRAME_CSP);
    answer.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    Ok(answer)
}

fn find(app: &App, request: &Request) -> Result<Arc<MailboxMessage>, Problem> {
    let mailbox = mailbox(app, request)?;
    let id: Uuid = request.param("id")?.parse().map_err(|_| Code::NotFound)?;
    mailbox.get(id).ok_or_else(|| Code::NotFound.into())
}

/// `10s` or `10`, up to [`WAIT_MAX`].
fn seconds(text: &str) -> Option<Duration> {
    let seconds = text.strip_suffix('s').unwrap_or(text).parse().ok()?;
    Some(Duration::from_secs(seconds)).filter(|wait| *wait <= WAIT_MAX)
}

fn as_json(message: &Arc<MailboxMessage>) -> serde_json::Value {
    json!({
        "id": message.id,
        "kind": message.kind,
        "from": message.from,
        "to": message.to,
        "subject": message.subject,
        "text": message.text,
        "html": message.html,
        "link": message.link,
        "token": message.token,
        "receivedAt": rfc3339(message.received_at),
    })
}

/// A message with its id and times as text, for as long as the page is rendered.
struct Shown {
    message: Arc<MailboxMessage>,
    id: String,
    received: String,
    received_at: String,
}

impl Shown {
    fn new(message: &Arc<MailboxMessage>) -> Self {
        Self {
            message: message.clone(),
            id: message.id.to_string(),
            received: words::moment(message.received_at),
            received_at: rfc3339(message.received_at),
        }
    }

    fn as_mail(&self) -> Mail<'_> {
        let message = &self.message;
        Mail {
            id: &self.id,
            kind: &message.kind,
            from: &message.from,
            to: &message.to,
            subject: &message.subject,
            text: &message.text,
            source: &message.source,
            link: message.link.as_deref(),
            token: message.token.as_deref(),
            received: &self.received,
            received_at: &self.received_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_loopback() {
        for host in ["localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["localhost.evil.example", "example.com", "10.0.0.1", "", "[::]"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
