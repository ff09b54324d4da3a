//! An SMTP client that keeps a few connections.
//!
//! The pooled transport of lettre reports "no session" and "this mail was refused" as the same
//! errors. The first must stop the whole queue, and the second only this mail. So this module opens
//! and keeps the sessions itself, on connections of lettre.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use lettre::Message;
use lettre::address::Envelope;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
#[expect(deprecated, reason = "see the module `wire`")]
use lettre::transport::smtp::client::AsyncNetworkStream;
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, Certificate, TlsParameters, TlsParametersBuilder,
};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset, Starttls};
use lettre::transport::smtp::extension::{ClientId, Extension};
use lettre::transport::smtp::response::Response;
use lettre::transport::smtp::{Error, SMTP_PORT, SUBMISSION_PORT, SUBMISSIONS_PORT};
use percent_encoding::percent_decode_str;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};

use crate::authorities::Authorities;
use crate::config::is_loopback;
use crate::mail::refusal::{refusal, told};
use crate::mail::transport::Failure;
use crate::mail::wire::{Network, Wire};
use crate::secret::Secret;

/// The time limit of a whole delivery: connect, TLS, login and message. A lease is twice as long.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The maximum number of connections at once. Two workers use two connections. The number is low
/// because all replicas together must stay below the limit of a mail relay.
const CONNECTIONS_MAX: usize = 4;
/// A connection that was idle for longer than this is not used again. Servers close idle
/// connections after some minutes (five, by RFC 5321 §4.5.3.2.7).
const IDLE_MAX: Duration = Duration::from_mins(1);
/// How long a kept connection may take to respond to MAIL FROM.
const KEPT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a server may take to respond to QUIT after it refused a mail.
const QUIT_TIMEOUT: Duration = Duration::from_secs(2);

/// When a connection is encrypted.
enum Security {
    /// The connection is never encrypted.
    Plain,
    /// STARTTLS encrypts the connection (RFC 3207). A connection without STARTTLS is not used.
    StartTls(TlsParameters),
    /// The connection is encrypted from the first byte (RFC 8314).
    Implicit(TlsParameters),
}

pub struct Smtp {
    host: String,
    port: u16,
    security: Security,
    /// `mail.helo`, always as [`ClientId::Domain`], also if it is an IP address in brackets. lettre
    /// sends its text unchanged.
    hello: ClientId,
    credentials: Option<Credentials>,
    permits: Semaphore,
    kept: Mutex<Vec<Kept>>,
    timeout: Duration,
}

/// A connection to the server.
pub(super) struct Session {
    connection: AsyncSmtpConnection,
    network: Network,
}

impl Session {
    /// Names the sender of a mail (MAIL FROM). Addresses and text are ASCII, so no parameter is
    /// needed.
    pub(super) async fn begin(&mut self, envelope: &Envelope) -> Result<(), Error> {
        let mail = Mail::new(envelope.from().cloned(), Vec::new());
        self.connection.command(mail).await.map(drop)
    }

    /// Names the recipients of a mail whose sender was accepted (RCPT TO).
    pub(super) async fn name_recipients(&mut self, envelope: &Envelope) -> Result<(), Error> {
        for recipient in envelope.to() {
            self.connection.command(Rcpt::new(recipient.clone(), Vec::new())).await?;
        }
        Ok(())
    }

    /// Forgets the sender and the recipients (RSET).
    pub(super) async fn reset(&mut self) -> Result<(), Error> {
        self.connection.command(Rset).await.map(drop)
    }

    /// Sends the recipients and the text of a mail whose sender was accepted. `is_text_sent` is
    /// true from the moment at which the server perhaps has the mail.
    pub(super) async fn hand_over(
        &mut self,
        envelope: &Envelope,
        bytes: &[u8],
        is_text_sent: &mut bool,
    ) -> Result<Response, Error> {
        self.name_recipients(envelope).await?;
        self.connection.command(Data).await?;
        *is_text_sent = true;
        self.connection.message(bytes).await
    }

    /// Ends the session (QUIT).
    pub(super) async fn quit(&mut self) -> Result<(), Error> {
        self.connection.quit().await.map(drop)
    }
}

struct Kept {
    session: Session,
    since: Instant,
}

/// What is wrong with `mail.smtp_url`.
#[derive(Debug)]
pub struct BadSmtpUrl(String);

impl BadSmtpUrl {
    /// What is wrong, without the setting's name.
    pub fn reason(&self) -> &str {
        &self.0
    }

    /// What the operator can do.
    pub fn fix(&self) -> &'static str {
        match self.0.as_str() {
            BAD_TLS => "write tls=required, or remove the parameter",
            BAD_PARAMETER => "remove every parameter except tls=required",
            _ => "percent-encode user and password: see docs/mail.md",
        }
    }
}

const BAD_TLS: &str = "has a parameter tls that is not `required`";
const BAD_PARAMETER: &str = "has a parameter other than tls";

impl fmt::Display for BadSmtpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mail.smtp_url: {}", self.0)
    }
}

impl std::error::Error for BadSmtpUrl {}

impl fmt::Debug for Smtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Smtp({}:{})", self.host, self.port)
    }
}

impl Smtp {
    /// Reads the URL, as [`Transport::smtp`](crate::mail::Transport::smtp) describes it.
    pub(super) fn from_url(
        url: &Secret<String>,
        helo: &str,
        ca_file: Option<&Path>,
    ) -> Result<Self, BadSmtpUrl> {
        let bad = |why: &str| BadSmtpUrl(why.to_owned());
        let url = url::Url::parse(url.expose()).map_err(|error| BadSmtpUrl(error.to_string()))?;
        let host =
            url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| bad("has no host"))?;
        // In a URL an IPv6 address has brackets. Everywhere else it has none.
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let mut asked = None;
        for (name, value) in url.query_pairs() {
            match (&*name, &*value) {
                ("tls", "required") => asked = Some(()),
                ("tls", _) => return Err(bad(BAD_TLS)),
                _ => return Err(bad(BAD_PARAMETER)),
            }
        }
        let tls = || {
            let authorities = Authorities::with(ca_file)
                .map_err(|file| BadSmtpUrl(format!("is used with `mail.ca_file`, which {file}")))?;
            let trusted = authorities.der().map(|it| Certificate::from_der(it.to_vec()));
            let builder = trusted.flatten().fold(
                TlsParameters::builder(host.clone()),
                TlsParametersBuilder::add_root_certificate,
            );
            builder.build().map_err(|_| bad("has a host for which TLS is not possible"))
        };
        let (security, port) = match (url.scheme(), asked) {
            ("smtp", None) => (Security::Plain, SMTP_PORT),
            ("smtp", Some(())) => (Security::StartTls(tls()?), SUBMISSION_PORT),
            ("smtps", _) => (Security::Implicit(tls()?), SUBMISSIONS_PORT),
            _ => return Err(bad("has a scheme other than smtp and smtps")),
        };
        let decode = |text: &str| {
            let decoded = percent_decode_str(text).decode_utf8();
            decoded.map(String::from).map_err(|_| bad("has a user or password that is not UTF-8"))
        };
        let credentials = match (url.username(), url.password()) {
            ("", None) => None,
            (_, None) => return Err(bad("has a user without a password")),
            (user, Some(password)) => Some(Credentials::new(decode(user)?, decode(password)?)),
        };
        Ok(Self {
            port: url.port().unwrap_or(port),
            host,
            security,
            hello: ClientId::Domain(helo.to_owned()),
            credentials,
            permits: Semaphore::new(CONNECTIONS_MAX),
            kept: Mutex::default(),
            timeout: TIMEOUT,
        })
    }

    /// The same server with another time limit, for tests.
    #[cfg(test)]
    pub(super) fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Hands a message over. The whole delivery takes at most the time limit.
    pub(super) async fn deliver(&self, message: &Message) -> Result<(), Failure> {
        // Boxed, because the future is large.
        catching_panics(Box::pin(self.deliver_within(message))).await
    }

    async fn deliver_within(&self, message: &Message) -> Result<(), Failure> {
        let deadline = Instant::now() + self.timeout;
        let envelope = message.envelope();
        let session = async {
            // The semaphore is never closed, so there is always a permit.
            let permit = self.permits.acquire().await.ok();
            self.session(envelope).await.map(|session| (permit, session))
        };
        let (_permit, mut session) = match timeout_at(deadline, session).await {
            Ok(Ok(session)) => session,
            Ok(Err(error)) => return Err(Failure::NoSession(told(&error))),
            Err(_) => return Err(Failure::NoSession("timeout".to_owned())),
        };
        let bytes = with_crlf(message.formatted());
        let mut is_text_sent = false;
        let failure = match timeout_at(
            deadline,
            session.hand_over(envelope, &bytes, &mut is_text_sent),
        )
        .await
        {
            Ok(Ok(_)) => {
                self.keep(session);
                return Ok(());
            }
            Ok(Err(error)) => {
                // The reply is known. It does not matter whether the server responds to QUIT.
                let _ = timeout(QUIT_TIMEOUT, session.connection.abort()).await;
                refusal(&error)
            }
            Err(_) => Failure::Broken("timeout".to_owned()),
        };
        Err(match failure {
            // The server perhaps has the mail. Each further attempt perhaps delivers it once more,
            // so it counts and the pauses between attempts grow.
            Failure::Broken(told) if is_text_sent => Failure::Transient(told),
            failure => failure,
        })
    }

    /// A session whose server has accepted the sender: a kept one, or a new one.
    ///
    /// Up to this point all mails are the same to the server. So an error here concerns all mails,
    /// and no attempt of this mail.
    async fn session(&self, envelope: &Envelope) -> Result<Session, Error> {
        while let Some(mut kept) = self.take() {
            // A server may end a session, or refuse another mail in it. Then a new session helps.
            if let Ok(Ok(())) = timeout(KEPT_TIMEOUT, kept.begin(envelope)).await {
                return Ok(kept);
            }
        }
        let session = self.connect().await?;
        let mut session = self.secure(session).await?;
        self.login(&mut session).await?;
        session.begin(envelope).await?;
        Ok(session)
    }

    /// A session after the greeting and EHLO, over TLS if the URL says `smtps`.
    pub(super) async fn connect(&self) -> Result<Session, Error> {
        let implicit = match &self.security {
            Security::Implicit(tls) => Some(tls.clone()),
            Security::Plain | Security::StartTls(_) => None,
        };
        let server = (self.host.as_str(), self.port);
        #[expect(deprecated, reason = "see the module `wire`")]
        let network =
            AsyncNetworkStream::connect_tokio1(server, Some(self.timeout), implicit, None).await?;
        let network = Arc::new(tokio::sync::Mutex::new(network));
        self.greet(Wire::new(network.clone()), network).await
    }

    /// Starts TLS, if the URL asks for it. Fails if the server does not offer it, so that no mail
    /// is sent without the encryption that the operator requires.
    pub(super) async fn secure(&self, mut session: Session) -> Result<Session, Error> {
        let Security::StartTls(tls) = &self.security else { return Ok(session) };
        if !session.connection.server_info().supports_feature(Extension::StartTls) {
            // lettre sends nothing in this case, and returns the error that says why.
            session.connection.starttls(tls.clone(), &self.hello).await?;
        }
        session.connection.command(Starttls).await?;
        session.network.lock().await.upgrade_tls(tls.clone()).await?;
        let network = session.network;
        self.greet(Wire::after_starttls(network.clone()), network).await
    }

    async fn greet(&self, wire: Wire, network: Network) -> Result<Session, Error> {
        let wire = Box::new(wire);
        let connection = AsyncSmtpConnection::connect_with_transport(wire, &self.hello).await?;
        Ok(Session { connection, network })
    }

    /// Logs in with AUTH, if the URL names a user.
    pub(super) async fn login(&self, session: &mut Session) -> Result<(), Error> {
        let Some(credentials) = &self.credentials else { return Ok(()) };
        session.connection.auth(DEFAULT_MECHANISMS, credentials).await.map(drop)
    }

    pub(super) fn authority(&self) -> (&str, u16) {
        (&self.host, self.port)
    }

    /// Whether [`Smtp::secure`] does something.
    pub(super) fn starts_tls(&self) -> bool {
        matches!(self.security, Security::StartTls(_))
    }

    /// Whether [`Smtp::login`] does something.
    pub(super) fn logs_in(&self) -> bool {
        self.credentials.is_some()
    }

    /// Whether mails and the password leave this machine without encryption.
    pub(super) fn is_exposed(&self) -> bool {
        matches!(self.security, Security::Plain) && !is_loopback(&self.host)
    }

    /// How the connection is encrypted, in words.
    pub(super) fn security(&self) -> &'static str {
        match self.security {
            Security::Plain => "without encryption",
            Security::StartTls(_) => "encryption follows with STARTTLS",
            Security::Implicit(_) => "over TLS",
        }
    }

    fn take(&self) -> Option<Session> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|kept| kept.since.elapsed() < IDLE_MAX);
        kept.pop().map(|kept| kept.session)
    }

    fn keep(&self, session: Session) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < CONNECTIONS_MAX && !session.connection.has_broken() {
            kept.push(Kept { session, since: Instant::now() });
        }
    }
}

/// Runs a delivery. A panic in lettre costs this mail one attempt, and does not end the worker.
async fn catching_panics(
    delivery: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    let done = AssertUnwindSafe(delivery).catch_unwind().await;
    done.unwrap_or_else(|_| Err(Failure::Transient("panic in the SMTP client".to_owned())))
}

/// The message with CRLF in place of each bare CR and each bare LF. lettre doubles a leading dot
/// only after CRLF, and some servers end a line at a bare CR or LF. With such a line end, the text
/// of a mail could end the mail and begin another one ("SMTP smuggling").
pub(super) fn with_crlf(message: Vec<u8>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(message.len());
    let mut last = 0;
    for byte in message {
        match byte {
            b'\n' if last == b'\r' => {}
            b'\n' | b'\r' => bytes.extend(b"\r\n"),
            _ => bytes.push(byte),
        }
        last = byte;
    }
    bytes
}

#[cfg(test)]
#[path = "smtp_tests.rs"]
mod tests;
