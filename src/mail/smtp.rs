//! An SMTP client that keeps a few connections.
//!
//! The pooled transport of lettre reports "no session" (connect, TLS, EHLO, AUTH) and "this mail
//! was refused" as the same errors. But the first error must stop the whole queue, and the second
//! error must stop only this mail. So this module opens and keeps the sessions itself, on
//! connections of lettre.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lettre::Message;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::{Error, SMTP_PORT, SUBMISSION_PORT, SUBMISSIONS_PORT};
use percent_encoding::percent_decode_str;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};

use crate::mail::transport::Failure;
use crate::secret::Secret;

/// The time limit for the whole delivery of a mail: connect, TLS, login and message. A worker's
/// lease is twice as long.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The maximum number of connections at once. Two workers use two connections. The number is low
/// because all replicas together must stay below the limit of a mail relay.
const CONNECTIONS_MAX: usize = 4;
/// A connection that was idle for longer than this is not used again. Servers close idle
/// connections after some minutes (five, by RFC 5321 §4.5.3.2.7).
const IDLE_MAX: Duration = Duration::from_mins(1);
/// How long a kept connection may take to respond to NOOP.
const NOOP_TIMEOUT: Duration = Duration::from_secs(5);

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
    hello: ClientId,
    credentials: Option<Credentials>,
    permits: Semaphore,
    kept: Mutex<Vec<Kept>>,
    timeout: Duration,
}

struct Kept {
    connection: AsyncSmtpConnection,
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
    pub(super) fn from_url(url: &Secret<String>) -> Result<Self, BadSmtpUrl> {
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
            TlsParameters::new(host.clone())
                .map_err(|_| bad("has a host for which TLS is not possible"))
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
            hello: ClientId::default(),
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
        let deadline = Instant::now() + self.timeout;
        let session = async {
            // The semaphore is never closed, so there is always a permit.
            let permit = self.permits.acquire().await.ok();
            self.session().await.map(|connection| (permit, connection))
        };
        let (_permit, mut connection) = match timeout_at(deadline, session).await {
            Ok(Ok(session)) => session,
            Ok(Err(error)) => return Err(Failure::NoSession(told(&error))),
            Err(_) => return Err(Failure::NoSession("timeout".to_owned())),
        };
        let bytes = message.formatted();
        match timeout_at(deadline, connection.send(message.envelope(), &bytes)).await {
            Ok(Ok(_)) => {
                self.keep(connection);
                Ok(())
            }
            Ok(Err(error)) => Err(refusal(&error)),
            Err(_) => Err(Failure::Broken("timeout".to_owned())),
        }
    }

    /// A connection that is ready for a mail: a kept one that still responds, or a new one.
    async fn session(&self) -> Result<AsyncSmtpConnection, Error> {
        while let Some(mut kept) = self.take() {
            if timeout(NOOP_TIMEOUT, kept.test_connected()).await.unwrap_or(false) {
                return Ok(kept);
            }
        }
        let mut connection = self.connect().await?;
        self.secure(&mut connection).await?;
        self.login(&mut connection).await?;
        Ok(connection)
    }

    /// A connection after the greeting and EHLO, over TLS if the URL says `smtps`.
    pub(super) async fn connect(&self) -> Result<AsyncSmtpConnection, Error> {
        let implicit = match &self.security {
            Security::Implicit(tls) => Some(tls.clone()),
            Security::Plain | Security::StartTls(_) => None,
        };
        let server = (self.host.as_str(), self.port);
        let (timeout, hello) = (Some(self.timeout), &self.hello);
        AsyncSmtpConnection::connect_tokio1(server, timeout, hello, implicit, None).await
    }

    /// Starts TLS, if the URL asks for it. Fails if the server does not offer it, so that no mail
    /// is sent without the encryption that the operator requires.
    pub(super) async fn secure(&self, connection: &mut AsyncSmtpConnection) -> Result<(), Error> {
        match &self.security {
            Security::StartTls(tls) => connection.starttls(tls.clone(), &self.hello).await,
            Security::Plain | Security::Implicit(_) => Ok(()),
        }
    }

    /// Logs in with AUTH, if the URL names a user.
    pub(super) async fn login(&self, connection: &mut AsyncSmtpConnection) -> Result<(), Error> {
        let Some(credentials) = &self.credentials else { return Ok(()) };
        connection.auth(DEFAULT_MECHANISMS, credentials).await.map(drop)
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

    /// How the connection is encrypted, in words.
    pub(super) fn security(&self) -> &'static str {
        match self.security {
            Security::Plain => "without encryption",
            Security::StartTls(_) => "encryption follows with STARTTLS",
            Security::Implicit(_) => "over TLS",
        }
    }

    fn take(&self) -> Option<AsyncSmtpConnection> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|kept| kept.since.elapsed() < IDLE_MAX);
        kept.pop().map(|kept| kept.connection)
    }

    fn keep(&self, connection: AsyncSmtpConnection) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < CONNECTIONS_MAX && !connection.has_broken() {
            kept.push(Kept { connection, since: Instant::now() });
        }
    }
}

/// What an error after the start of a session means: whether it concerns one mail or all mails.
fn refusal(error: &Error) -> Failure {
    let told = told(error);
    match error.status().map(u16::from) {
        // RFC 4954 §6: the server requires a login, or a stronger one. It would accept no mail at
        // all.
        Some(530 | 534 | 535 | 538) => Failure::NoSession(told),
        Some(_) if error.is_permanent() => Failure::Permanent(told),
        Some(_) => Failure::Transient(told),
        None if error.is_client() => Failure::Transient(told),
        None => Failure::Broken(told),
    }
}

/// An error as its codes: the reply code, and the enhanced code (RFC 3463) if there is one. The
/// text of a server is left out, because some servers repeat the address.
fn told(error: &Error) -> String {
    let Some(code) = error.status() else {
        let kind = match error {
            it if it.is_tls() => "tls",
            it if it.is_timeout() => "timeout",
            it if it.is_response() => "unreadable reply",
            it if it.is_client() => "not offered by the server",
            _ => "connection",
        };
        return kind.to_owned();
    };
    let prose = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    let enhanced = prose.split_ascii_whitespace().next().filter(|word| {
        let parts: Vec<_> = word.split('.').collect();
        let number = |part: &&str| part.len() <= 3 && part.parse::<u16>().is_ok();
        parts.len() == 3 && parts.iter().all(number)
    });
    enhanced.map_or_else(|| code.to_string(), |enhanced| format!("{code} {enhanced}"))
}
