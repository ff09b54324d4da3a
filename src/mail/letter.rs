//! A rendered mail as an RFC 5322 message.

use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use lettre::address::Envelope;
use lettre::message::header::{ContentTransferEncoding, HeaderName, HeaderValue};
use lettre::message::{Body, Mailbox, Message, MultiPart, SinglePart};
use lettre::{Address, message};
use uuid::Uuid;

use crate::clock::UnixMillis;
use crate::mail::Kind;
use crate::mail::render::{Rendered, Unrenderable};
use crate::secret::Secret;

/// A mail that is ready to be sent.
#[derive(Debug)]
pub(super) struct Letter {
    /// The id of the mail's outbox row.
    pub id: Uuid,
    pub kind: Kind,
    /// The address of the recipient, as stored.
    pub recipient: String,
    pub rendered: Rendered,
    pub link: Option<Secret<String>>,
    /// The token in the link.
    pub token: Option<Secret<String>>,
    /// When the mail was composed.
    pub at: UnixMillis,
    /// The complete message, with headers and envelope.
    pub message: Message,
}

/// The sender, as in `mail.from`.
#[derive(Clone, Debug)]
pub(super) struct Sender(Mailbox);

/// `mail.from` is neither an address nor `Name <address>`.
#[derive(Debug)]
pub struct BadSender;

impl fmt::Display for BadSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("mail.from is not an email address, or its domain cannot be used")
    }
}

impl std::error::Error for BadSender {}

impl Sender {
    /// Reads `mail.from`. The domain becomes A-labels.
    pub(super) fn parse(from: &str) -> Result<Self, BadSender> {
        let read: Mailbox = from.parse().map_err(|_| BadSender)?;
        let email = address(read.email.as_ref()).map_err(|_| BadSender)?;
        Ok(Self(Mailbox::new(read.name, email)))
    }

    /// The email address, as SMTP gets it.
    pub(super) fn address(&self) -> &Address {
        &self.0.email
    }

    /// An envelope with this sender, for a check without a mail. It names the sender as its
    /// recipient too, because an envelope needs one.
    pub(super) fn envelope(&self) -> Envelope {
        let (from, to) = (self.0.email.clone(), vec![self.0.email.clone()]);
        Envelope::new(Some(from), to).expect("there is a recipient")
    }

    /// The display name, if there is one.
    pub(super) fn name(&self) -> Option<&str> {
        self.0.name.as_deref().filter(|name| !name.is_empty())
    }

    /// Composes the message of a row. Everything except the date follows from the row and its id.
    /// So a mail program recognises a second copy of the same mail.
    pub(super) fn compose(
        &self,
        (id, kind): (Uuid, Kind),
        (recipient, host): (&str, &str),
        rendered: Rendered,
        (link, token): (Option<Secret<String>>, Option<Secret<String>>),
        at: UnixMillis,
    ) -> Result<Letter, Unrenderable> {
        let to = address(recipient)?;
        let since = Duration::from_millis(u64::try_from(at).unwrap_or(0));
        let message = Message::builder()
            .from(self.0.clone())
            .to(message::Mailbox::new(None, to))
            .subject(rendered.subject.clone())
            .date(UNIX_EPOCH + since)
            .message_id(Some(format!("<{id}@{host}>")))
            // With this header, other systems send no automatic response (RFC 3834 §5).
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ))
            .multipart(
                MultiPart::builder()
                    .kind(message::MultiPartKind::Alternative)
                    .boundary(id.simple().to_string())
                    .singlepart(SinglePart::plain(plain(&rendered.text)))
                    .singlepart(SinglePart::html(rendered.html.clone())),
            )
            .map_err(|_| Unrenderable("the message cannot be composed"))?;
        Ok(Letter { id, kind, recipient: recipient.to_owned(), rendered, link, token, at, message })
    }
}

/// A test mail for an operator.
pub(super) fn test(
    sender: &Sender,
    to: &str,
    public_url: &str,
    at: UnixMillis,
) -> Result<Message, String> {
    let to = address(to).map_err(|_| format!("{to} is not an email address"))?;
    let (public_url, host) = base_of_links(public_url);
    let since = Duration::from_millis(u64::try_from(at).unwrap_or(0));
    let text = format!(
        "This is a test mail of latchkey at {public_url}.\n\nMails of latchkey arrive here. You do not have to do anything.\n"
    );
    Message::builder()
        .from(sender.0.clone())
        .to(message::Mailbox::new(None, to))
        .subject("Test mail of latchkey")
        .date(UNIX_EPOCH + since)
        .message_id(Some(format!("<{}@{host}>", crate::secret::uuid_v7(at))))
        .raw_header(HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            "auto-generated".to_owned(),
        ))
        .singlepart(SinglePart::plain(plain(&text)))
        .map_err(|error| error.to_string())
}

/// The base of links, with its host as A-labels, and this host. A link is ASCII text then, which a
/// transfer encoding does not break into several lines.
pub(super) fn base_of_links(public_url: &str) -> (String, String) {
    let url = url::Url::parse(public_url).ok();
    let base = url.as_ref().map(|url| url.origin().ascii_serialization());
    let host = url.as_ref().and_then(|url| url.host_str().map(str::to_owned));
    (base.unwrap_or_else(|| public_url.to_owned()), host.unwrap_or_else(|| "localhost".to_owned()))
}

/// The text without a transfer encoding, if possible. In the source of the mail, quoted-printable
/// would break the link into several lines.
fn plain(text: &str) -> Body {
    // RFC 5322 §2.1.1: at most 998 characters in a line, without the line end. §2.3: CR and LF only
    // together. `lines` ends a line at LF and at CRLF, but not at a bare CR.
    let fits = |line: &str| line.len() <= 998 && !line.contains('\r');
    if text.is_ascii() && text.lines().all(fits) {
        let lines: Vec<_> = text.lines().collect();
        let bytes = format!("{}\r\n", lines.join("\r\n")).into_bytes();
        Body::dangerous_pre_encoded(bytes, ContentTransferEncoding::SevenBit)
    } else {
        Body::new(text.to_owned())
    }
}

/// A stored email address with its domain as A-labels, because SMTP without SMTPUTF8 accepts no
/// other domains. Text that could break a header or a command is refused.
fn address(recipient: &str) -> Result<Address, Unrenderable> {
    let bad = Unrenderable("the recipient is not an email address");
    let (local, domain) = recipient.rsplit_once('@').ok_or(bad)?;
    if !local.is_ascii() {
        return Err(bad);
    }
    let domain = idna::domain_to_ascii(domain).map_err(|_| bad)?;
    Address::new(local, domain).map_err(|_| bad)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::user::EmailAddress;

    proptest! {
        /// ASVS 1.3.11: no CR, LF or NUL of a client reaches SMTP, and every accepted address can
        /// be mailed.
        #[test]
        fn a_recipient_is_one_word_on_the_wire(
            local in "[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]{1,20}",
            domain in "[a-zäßжあＡ\u{212a}。.-]{1,20}",
            evil in "[\r\n\0 <>\"]{0,2}",
        ) {
            let text = format!("{local}{evil}@{domain}.example");
            let sent = address(&text).map(|address| address.to_string());
            if let Ok(taken) = EmailAddress::parse(&text) {
                let sent = sent.clone().expect("what is taken can be mailed");
                prop_assert_eq!(sent.to_ascii_lowercase(), taken.normal());
            }
            if let Ok(sent) = sent {
                prop_assert!(sent.bytes().all(|byte| byte.is_ascii_graphic()), "{:?}", sent);
                prop_assert!(!sent.contains(['<', '>']), "{:?}", sent);
            }
        }
    }
}
