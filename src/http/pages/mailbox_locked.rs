//! The page that a browser gets at `/dev/mailbox` without the mailbox's key. The page says where
//! the key is and has a field to enter it.

use askama::Template;

use super::html;

/// Why the mailbox is not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailboxLocked {
    /// The request has no key and no valid cookie.
    NoKey,
    /// The key in the request is not the key of this mailbox.
    WrongKey,
    /// The browser has a valid cookie, but a page of another site caused the request.
    OtherSite,
}

#[derive(Template)]
#[template(path = "mailbox_locked.html")]
struct Page<'a> {
    why: MailboxLocked,
    key_file: &'a str,
}

/// Renders the page. Its form sends `key` to `/dev/mailbox` by GET.
pub fn mailbox_locked(why: MailboxLocked, key_file: &str) -> String {
    html(&Page { why, key_file })
}
