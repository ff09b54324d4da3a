//! The pages of `/dev/mailbox`. They show the mails of a daemon in development to the developer who
//! runs the daemon.
//!
//! The HTML of a mail has its own path, and the page shows it in a sandboxed frame. Send the result
//! of [`framed`] with the policy [`FRAME_CSP`].

use askama::Template;

use super::html;

/// The `Content-Security-Policy` of `/dev/mailbox/{id}/html`. A mail may contain its own styles and
/// embedded images, but it may not load anything.
///
/// `frame-ancestors` must allow this origin, because this page is shown in a frame. The policy of
/// the other pages forbids frames.
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
    /// The one-time token in the link.
    pub token: Option<&'a str>,
    /// When the mail was received, in words.
    pub received: &'a str,
    /// When the mail was received, in the format of RFC 3339.
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

/// Renders `/dev/mailbox`. It lists every mail in the given order, which is newest first.
///
/// The script of the page requests `/dev/mailbox/messages?wait=25s&after={id of the first mail}`
/// and waits for `{"items": […]}` with newer mails. While the list is empty, the script leaves out
/// `after`. When there are newer mails, it loads this page again to get the new list.
pub fn mailbox(mails: &[Mail<'_>]) -> String {
    html(&List { mails })
}

/// Renders `/dev/mailbox/{id}`. It shows one mail with its link, token, HTML, text and source.
pub fn message(mail: &Mail<'_>) -> String {
    html(&Message { mail })
}

/// Prepares the HTML of a mail for `/dev/mailbox/{id}/html`. The links of the mail open in a new
/// tab, because no other page of latchkey is allowed in a frame.
pub fn framed(mail_html: &str) -> String {
    const BASE: &str = "<base target=\"_blank\">";
    match mail_html.find("<head>").map(|at| at + "<head>".len()) {
        Some(at) => format!("{}{BASE}{}", &mail_html[..at], &mail_html[at..]),
        None => format!("{BASE}{mail_html}"),
    }
}
