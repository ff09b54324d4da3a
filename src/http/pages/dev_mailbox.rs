//! Handlers of `/dev/mailbox`, the built-in mailbox. The gate
//! ([`mailbox_gate`](crate::http::mailbox_gate)) has already checked the request, and it passes the
//! mailbox to each handler.

use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use hyper::header::{self, HeaderValue};
use serde_json::json;
use uuid::Uuid;

use super::mailbox::FRAME_CSP;
use super::{Mail, words};
use crate::clock::rfc3339;
use crate::http::answer::{self, Answer};
use crate::http::json::Object;
use crate::http::request::Request;
use crate::mail::{Mailbox, MailboxMessage};
use crate::problem::{Code, Problem, Unavailable};

/// The maximum time that a long-poll waits.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// `GET /dev/mailbox`
pub async fn list(mailbox: &Mailbox, _: &mut Request) -> Result<Answer, Problem> {
    let messages = mailbox.list(None);
    let shown: Vec<Shown> = messages.iter().map(Shown::new).collect();
    let mails: Vec<Mail<'_>> = shown.iter().map(Shown::as_mail).collect();
    Ok(answer::page(StatusCode::OK, super::mailbox(&mails)))
}

/// `GET /dev/mailbox/messages?to=…&after=…&wait=10s`: the mails as JSON, newest first. If the
/// request has `wait`, latchkey waits for a mail for at most this time and responds as soon as
/// there is one.
pub async fn messages(mailbox: &Mailbox, request: &mut Request) -> Result<Answer, Problem> {
    let to = request.query("to")?;
    let mut broken = Object::default();
    let wait = request.query("wait")?.map_or(Some(Duration::ZERO), |wait| seconds(&wait));
    let after = request.query("after")?.map(|after| after.parse::<Uuid>()).transpose();
    if wait.is_none() {
        broken.reject("wait", "format", "`wait` must be 0 to 30 seconds, for example `10s`.");
    }
    if after.is_err() {
        broken.reject("after", "format", "`after` must be the id of a mail.");
    }
    broken.finish()?;
    let found =
        mailbox.wait_for(to.as_deref(), after.unwrap_or_default(), wait.unwrap_or_default()).await;
    let items: Vec<_> = found.iter().map(as_json).collect();
    Ok(answer::json(&json!({ "items": items, "next": null })))
}

/// `DELETE /dev/mailbox/messages`
pub async fn clear(mailbox: &Mailbox, _: &mut Request) -> Result<Answer, Problem> {
    let cleared = mailbox.clear().await;
    cleared.map_err(|error| Unavailable::because("mailbox", error))?;
    Ok(answer::no_content())
}

/// `GET /dev/mailbox/{id}`
pub async fn show(mailbox: &Mailbox, request: &mut Request) -> Result<Answer, Problem> {
    let shown = Shown::new(&find(mailbox, request)?);
    Ok(answer::page(StatusCode::OK, super::message(&shown.as_mail())))
}

/// `GET /dev/mailbox/{id}/html`: the mail's own HTML, for the frame on its page.
pub async fn html(mailbox: &Mailbox, request: &mut Request) -> Result<Answer, Problem> {
    let message = find(mailbox, request)?;
    let mut answer = answer::page(StatusCode::OK, super::mailbox::framed(&message.html));
    let policy = HeaderValue::from_static(FRAME_CSP);
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN"));
    Ok(answer)
}

fn find(mailbox: &Mailbox, request: &Request) -> Result<Arc<MailboxMessage>, Problem> {
    let id: Uuid = request.param("id")?.parse().map_err(|_| Code::NotFound)?;
    mailbox.get(id).ok_or_else(|| Code::NotFound.into())
}

/// Parses `10s` or `10`, up to [`WAIT_MAX`].
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

/// A message with its id and its times as text. It is kept while the page is rendered.
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
