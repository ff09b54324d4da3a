//! `/dev/mailbox`: the mails of a daemon in development, for the person who runs it.
//!
//! A mail's own HTML is shown in a sandboxed frame, from a path of its own: serve [`framed`] under [`FRAME_CSP`].

use askama::Template;

use super::html;

/// The `Content-Security-Policy` of `/dev/mailbox/{id}/html`: a mail may style itself, and nothing else.
///
/// `frame-ancestors` must be ours here: the pages' own policy forbids every frame.
pub const FRAME_CSP: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; \
    form-action 'none'; frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox";

/// A mail as the mailbox shows it. Nothing of it is trusted.
#[derive(Clone, Copy, Debug)]
pub struct Mail<'a> {
    /// Names the mail in paths and in `after=`.
    pub id: &'a str,
    /// Which mail: the template's name.
    pub kind: &'a str,
    /// The sender.
    pub from: &'a str,
    /// The recipient.
    pub to: &'a str,
    /// The subject.
    pub subject: &'a str,
    /// The plain-text part. The list does not show it.
    pub text: &'a str,
    /// The whole message as sent. The list does not show it.
    pub source: &'a str,
    /// The link that the mail is about.
    pub link: Option<&'a str>,
    /// The one-time token in that link.
    pub token: Option<&'a str>,
    /// When, in words.
    pub received: &'a str,
    /// The same as RFC 3339.
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

/// `/dev/mailbox`: every mail, newest first (the order given).
///
/// The script waits at `/dev/mailbox/messages?wait=25s&after={id of the first}` for `{"items": […]}` with what is newer
/// (without `after` while there is no mail), and then loads this page again for the new list.
pub fn mailbox(mails: &[Mail<'_>]) -> String {
    html(&List { mails })
}

/// `/dev/mailbox/{id}`: one mail with its link, token, HTML, text and source.
pub fn message(mail: &Mail<'_>) -> String {
    html(&Message { mail })
}

/// A mail's HTML for `/dev/mailbox/{id}/html`: its links open in a tab of their own, since no page of ours lets itself
/// be framed.
pub fn framed(mail_html: &str) -> String {
    const BASE: &str = "<base target=\"_blank\">";
    match mail_html.find("<head>").map(|at| at + "<head>".len()) {
        Some(at) => format!("{}{BASE}{}", &mail_html[..at], &mail_html[at..]),
        None => format!("{BASE}{mail_html}"),
    }
}
