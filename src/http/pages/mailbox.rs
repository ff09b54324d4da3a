//! The pages of `/dev/mailbox`: the mails of a daemon in development, for the user who runs it.
//!
//! A mail's own HTML is shown in a sandboxed frame, from its own path. Serve [`framed`] under
//! [`FRAME_CSP`].

use askama::Template;

use super::html;

/// The `Content-Security-Policy` of `/dev/mailbox/{id}/html`. A mail may contain its own styles and
/// embedded images, but it loads nothing.
///
/// `frame-ancestors` must allow this origin, because the policy of the pages forbids every frame.
pub const FRAME_CSP: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; \
    form-action 'none'; frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox";

/// A mail as the mailbox shows it. None of its content is trusted.
#[derive(Clone, Copy, Debug)]
pub struct Mail<'a> {
    /// The id of the mail, in paths and in `after=`.
    pub id: &'a str,
    /// The name of the mail's template.
    pub kind: &'a str,
    pub from: &'a str,
    pub to: &'a str,
    pub subject: &'a str,
    /// The plain-text part. The list does not show it.
    pub text: &'a str,
    /// The whole message as sent. The list does not show it.
    pub source: &'a str,
    /// The link that the mail is about.
    pub link: Option<&'a str>,
    /// The one-time token in that link.
    pub token: Option<&'a str>,
    /// When the mail was received, in words.
    pub received: &'a str,
    /// The same time as RFC 3339.
    pub received_at: &'a str,
}

#[derive(Template)]
#[template(path = "mailbox.html")]
struct List<'a> {
    mails: &'a [Mail<'a>],
}

#[derive(Template)]
#[template(path = "mailbox_message.html")]
struct Message<'a> {
    mail: &'a Mail<'a>,
}

/// `/dev/mailbox`: every mail in the given order, which is newest first.
///
/// The script waits at `/dev/mailbox/messages?wait=25s&after={id of the first}` for
/// `{"items": […]}` with newer mails. While there is no mail, it leaves out `after`. Then it
/// loads this page again for the new list.
pub fn mailbox(mails: &[Mail<'_>]) -> String {
    html(&List { mails })
}

/// `/dev/mailbox/{id}`: one mail with its link, token, HTML, text and source.
pub fn message(mail: &Mail<'_>) -> String {
    html(&Message { mail })
}

/// A mail's HTML for `/dev/mailbox/{id}/html`. Its links open in a new tab, because no page of
/// latchkey may be framed.
pub fn framed(mail_html: &str) -> String {
    const BASE: &str = "<base target=\"_blank\">";
    match mail_html.find("<head>").map(|at| at + "<head>".len()) {
        Some(at) => format!("{}{BASE}{}", &mail_html[..at], &mail_html[at..]),
        None => format!("{BASE}{mail_html}"),
    }
}
