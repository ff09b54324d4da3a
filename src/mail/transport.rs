//! Sending a mail: by SMTP, or into the built-in mailbox.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::mail::letter::Letter;
use crate::mail::mailbox::Mailbox;
use crate::mail::smtp::{BadSmtpUrl, Smtp};
use crate::secret::Secret;

/// How mails are sent.
#[derive(Clone, Debug)]
pub enum Transport {
    /// An SMTP server. [`Transport::replace`] can replace it or its login.
    Smtp(Arc<ArcSwap<Smtp>>),
    /// Files in `data_dir`, for development.
    Mailbox(Mailbox),
}

/// Why a mail was not sent, and whether this concerns all mails. The texts are codes. They never
/// contain an address or the text of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// No mail can be sent: there is no connection, no TLS or no login.
    NoSession(String),
    /// The connection broke, or took too long, during this mail.
    Broken(String),
    /// This mail was refused for now.
    Transient(String),
    /// This mail was refused for good.
    Permanent(String),
}

impl Transport {
    /// An SMTP server, given by its URL. User and password are percent-encoded before the host.
    /// `helo` is the name in EHLO, as `mail.helo`. `ca_file` is `mail.ca_file`. Nothing is
    /// connected yet.
    ///
    /// - `smtp://host`: no encryption, port 25 by default.
    /// - `smtp://host?tls=required`: STARTTLS, port 587 by default. Without STARTTLS, nothing is
    ///   sent.
    /// - `smtps://host`: TLS from the first byte, port 465 by default.
    pub fn smtp(
        url: &Secret<String>,
        helo: &str,
        ca_file: Option<&Path>,
    ) -> Result<Self, BadSmtpUrl> {
        Ok(Self::over(Smtp::from_url(url, helo, ca_file)?))
    }

    pub(super) fn over(smtp: Smtp) -> Self {
        Self::Smtp(Arc::new(ArcSwap::from_pointee(smtp)))
    }

    /// Replaces the SMTP server, or its login. Mails that are being sent still use the old one. The
    /// built-in mailbox is never replaced.
    pub fn replace(
        &self,
        url: &Secret<String>,
        helo: &str,
        ca_file: Option<&Path>,
    ) -> Result<(), BadSmtpUrl> {
        if let Self::Smtp(current) = self {
            current.store(Arc::new(Smtp::from_url(url, helo, ca_file)?));
        }
        Ok(())
    }

    /// Whether mails and the password leave this machine without encryption.
    pub fn is_exposed(&self) -> bool {
        matches!(self, Self::Smtp(smtp) if smtp.load().is_exposed())
    }

    pub fn mailbox(mailbox: Mailbox) -> Self {
        Self::Mailbox(mailbox)
    }

    /// Sends a mail. The call returns after the SMTP timeout at the latest. If the connection
    /// broke, it is unknown whether the mail was sent.
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
