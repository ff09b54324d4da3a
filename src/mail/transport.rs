//! How a mail leaves: by SMTP, or into the built-in mailbox.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::mail::letter::Letter;
use crate::mail::mailbox::Mailbox;
use crate::mail::smtp::{BadSmtpUrl, Smtp};
use crate::secret::Secret;

/// A way out.
#[derive(Clone, Debug)]
pub enum Transport {
    /// An SMTP server; another one, or another login, may take its place.
    Smtp(Arc<ArcSwap<Smtp>>),
    /// Files in `data_dir`, for development.
    Mailbox(Mailbox),
}

/// Why a mail did not leave, and whose matter that is. Words in here are codes: never an address, never a server's prose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Nothing can leave: no connection, no TLS, no login.
    NoSession(String),
    /// The connection broke, or took too long, in the midst of this mail.
    Broken(String),
    /// This mail was refused for now.
    Transient(String),
    /// This mail was refused for good.
    Permanent(String),
}

impl Transport {
    /// An SMTP server by its URL: `smtp://host` (plain), `smtp://host?tls=required` (STARTTLS, or nothing is sent),
    /// `smtps://host` (TLS from the first byte); user and password percent-encoded before the host. Ports default to
    /// 25, 587 and 465. Nothing is connected yet.
    pub fn smtp(url: &Secret<String>) -> Result<Self, BadSmtpUrl> {
        Ok(Self::over(Smtp::from_url(url)?))
    }

    /// This server.
    pub(super) fn over(smtp: Smtp) -> Self {
        Self::Smtp(Arc::new(ArcSwap::from_pointee(smtp)))
    }

    /// Puts another server, or another login, in the place of the SMTP server: mails that are being sent end over the old
    /// one. The built-in mailbox stays what it is.
    pub fn replace(&self, url: &Secret<String>) -> Result<(), BadSmtpUrl> {
        if let Self::Smtp(current) = self {
            current.store(Arc::new(Smtp::from_url(url)?));
        }
        Ok(())
    }

    /// The built-in mailbox.
    pub fn mailbox(mailbox: Mailbox) -> Self {
        Self::Mailbox(mailbox)
    }

    /// Hands a mail over. Within the SMTP timeout it has left or not; a broken connection may mean either.
    pub(super) async fn deliver(&self, letter: &Letter) -> Result<(), Failure> {
        match self {
            Self::Smtp(smtp) => smtp.load_full().deliver(&letter.message).await,
            Self::Mailbox(mailbox) => mailbox
                .put(letter)
                .await
                .map_err(|error| Failure::NoSession(format!("mailbox: {}", error.kind()))),
        }
    }
}
