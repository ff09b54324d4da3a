//! The rule that decides whether the settings allow the built-in mailbox to be opened.
//!
//! The mailbox shows every confirmation and recovery link, so it is for users of this machine
//! alone. If `public_url` or the listener is not on a loopback address, users of other machines use
//! this daemon.

use std::net::SocketAddr;

use super::{Config, Url};

/// A setting that keeps the built-in mailbox closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailboxBarrier {
    /// `public_url` is not a loopback address or a name of this machine.
    PublicUrl,
    /// `http.listen` is not a loopback address.
    Listen,
}

impl MailboxBarrier {
    /// The barrier that these settings form. `None` if the mailbox can be served.
    pub(super) fn of(public_url: &str, listen: SocketAddr) -> Option<Self> {
        if !Url::parse(public_url).is_some_and(|url| url.is_loopback_in_browsers()) {
            return Some(Self::PublicUrl);
        }
        (!listen.ip().is_loopback()).then_some(Self::Listen)
    }

    /// The reason, as the second half of a sentence.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::PublicUrl => "`public_url` does not name this machine",
            Self::Listen => "`http.listen` is not a loopback address",
        }
    }
}

impl Config {
    /// The setting that keeps the built-in mailbox closed. `None` if the mailbox can be served, or
    /// if mail is sent by SMTP.
    pub fn mailbox_barrier(&self) -> Option<MailboxBarrier> {
        if self.mail.smtp_url.is_some() {
            return None;
        }
        MailboxBarrier::of(&self.public_url, self.http.listen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mailbox_needs_a_public_url_and_a_listener_of_this_machine() {
        let of = |url, listen: &str| MailboxBarrier::of(url, listen.parse().unwrap());
        for url in [
            "http://127.0.0.1:8080",
            "https://localhost",
            "http://app.localhost:1",
            "http://[::1]:8080",
            "http://127.9.9.9",
        ] {
            assert_eq!(of(url, "127.0.0.1:8080"), None, "{url}");
            assert_eq!(of(url, "[::1]:8080"), None, "{url}");
            assert_eq!(of(url, "0.0.0.0:8080"), Some(MailboxBarrier::Listen), "{url}");
        }
        for url in [
            "https://auth.example",
            "http://localhost.evil.example",
            "http://0.0.0.0:8080",
            "http://10.0.0.1",
            "localhost",
        ] {
            assert_eq!(of(url, "127.0.0.1:8080"), Some(MailboxBarrier::PublicUrl), "{url}");
        }
    }
}
