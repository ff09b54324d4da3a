//! A check of SMTP that reports each step, for `mail test` and `doctor`.
//!
//! The report contains the server's own text, because an operator asked for the report. Logs and
//! rows never contain this text.

use std::error::Error;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::clock::UnixMillis;
use crate::config;
use crate::mail::letter::{self, Sender};
use crate::mail::refusal::{is_relay_denied, refusal};
use crate::mail::smtp::{BadSmtpUrl, Smtp, with_crlf};
use crate::mail::transport::Failure;
use crate::secret::{Redactor, Secret};

/// How long each step may take.
const STEP_WITHIN: Duration = Duration::from_secs(10);
/// The maximum length of an explanation, in characters.
const WHY_MAX: usize = 300;

/// A step of the check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Resolves the host name to IP addresses.
    Resolve,
    /// Connects: TCP, TLS for `smtps://`, the greeting and EHLO.
    Connect,
    /// Encrypts the connection with STARTTLS, if the URL asks for it.
    StartTls,
    /// Logs in with AUTH, if the URL names a user.
    Login,
    /// Checks the sender: MAIL FROM and RCPT TO with `mail.from`, and RSET.
    Sender,
    /// Sends a mail with MAIL, RCPT and DATA.
    Send,
}

impl Step {
    /// The name of the step in the report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::StartTls => "starttls",
            Self::Login => "login",
            Self::Sender => "sender",
            Self::Send => "send",
        }
    }

    /// Whether a failure of this step means that no server can be reached. If another step fails, a
    /// server was reached but refused.
    pub fn is_reaching(self) -> bool {
        matches!(self, Self::Resolve | Self::Connect)
    }
}

/// The result of a step.
#[derive(Clone, Debug)]
pub struct Tried {
    pub step: Step,
    pub took: Duration,
    /// Details of the step, or why it failed.
    pub outcome: Result<String, String>,
}

#[derive(Debug)]
pub struct TestMail(lettre::Message);

impl TestMail {
    /// A mail from `mail.from` to an address.
    ///
    /// # Errors
    /// The error says whether `from` or `to` is not an email address.
    pub fn new(from: &str, to: &str, public_url: &str, at: UnixMillis) -> Result<Self, String> {
        let sender = Sender::parse(from).map_err(|error| error.to_string())?;
        letter::test(&sender, to, public_url, at).map(Self)
    }
}

/// An SMTP server that is checked.
#[derive(Debug)]
pub struct Probe {
    smtp: Smtp,
    /// `mail.from`.
    from: String,
    redactor: Redactor,
    escape_hint: Option<&'static str>,
}

impl Probe {
    /// The server at `url`, which is `mail.smtp_url`, with the other settings of `mail`. Nothing is
    /// connected yet.
    ///
    /// # Errors
    /// If the URL cannot be read.
    pub fn new(url: &Secret<String>, mail: &config::Mail) -> Result<Self, BadSmtpUrl> {
        let smtp = Smtp::from_url(url, &mail.helo, mail.ca_file.as_deref())?;
        let (redactor, escape_hint) =
            (Redactor::of_url(url.expose()), config::escape_hint(url.expose()));
        Ok(Self { smtp, from: mail.from.clone(), redactor, escape_hint })
    }

    /// What the operator can do about a failed step. `None` if only the reply of the server says
    /// it.
    pub fn remedy(&self, tried: &Tried) -> Option<&'static str> {
        let why = tried.outcome.as_ref().err()?;
        match tried.step {
            _ if is_certificate(why) && why.contains("UnknownIssuer") => Some(
                "if the certificate is from your own authority, set `mail.ca_file` to a file with \
                 the certificate of this authority",
            ),
            _ if is_certificate(why) => Some(
                "the server needs a certificate that is valid now, for the host in `mail.smtp_url`",
            ),
            Step::Login if self.escape_hint.is_some() => self.escape_hint,
            Step::Resolve | Step::Connect | Step::StartTls | Step::Login => Some(
                "check the host, port, tls, user and password of `mail.smtp_url`; many networks \
                 block port 25",
            ),
            Step::Sender => Some(
                "set `mail.from` to a sender that the server accepts for this user, and \
                 `mail.helo` to a domain name of this machine",
            ),
            Step::Send if is_relay_denied(why) => Some(
                "give `mail.smtp_url` a user and a password, or allow this machine to relay in the \
                 settings of the server",
            ),
            Step::Send => None,
        }
    }

    /// Takes the steps one after another until one fails, and reports each when it ends. The last
    /// step sends `mail`, if it is given. The error is the step that failed.
    pub async fn walk(
        &self,
        mail: Option<&TestMail>,
        tell: &mut (dyn FnMut(Tried) + Send),
    ) -> Result<(), Step> {
        let smtp = &self.smtp;
        // Some servers repeat text that they do not understand, including the login.
        let tell = &mut |tried: Tried| {
            let redact = |text: String| self.redactor.redact(&text);
            tell(Tried { outcome: tried.outcome.map(redact).map_err(redact), ..tried });
        };
        let (host, port) = smtp.authority();
        let found = run(Step::Resolve, tell, async {
            let found = tokio::net::lookup_host((host, port)).await.map_err(|it| whole(&it))?;
            let found: Vec<String> = found.map(|address| address.ip().to_string()).collect();
            Ok((found.join(", "), ()))
        });
        found.await?;
        let mut session = run(Step::Connect, tell, async {
            let session = smtp.connect().await.map_err(|it| whole(&it))?;
            Ok((format!("{host}:{port}, {}", smtp.security()), session))
        })
        .await?;
        if smtp.starts_tls() {
            session = run(Step::StartTls, tell, async {
                let session = smtp.secure(session).await.map_err(|it| whole(&it))?;
                Ok(("the certificate is valid".to_owned(), session))
            })
            .await?;
        }
        if smtp.logs_in() {
            let login = run(Step::Login, tell, async {
                smtp.login(&mut session).await.map_err(|it| whole(&it))?;
                Ok(("accepted".to_owned(), ()))
            });
            login.await?;
        }
        let sender = run(Step::Sender, tell, async {
            let sender = Sender::parse(&self.from).map_err(|it| it.to_string())?;
            let envelope = sender.envelope();
            session.begin(&envelope).await.map_err(|it| whole(&it))?;
            // Postfix refuses a sender or a name in EHLO only at RCPT TO. A refusal of this
            // recipient itself does not matter, because many senders receive no mails.
            if let Err(error) = session.name_recipients(&envelope).await
                && matches!(refusal(&error), Failure::Broken(_))
            {
                return Err(whole(&error));
            }
            session.reset().await.map_err(|it| whole(&it))?;
            Ok((format!("{} is accepted", sender.address()), ()))
        });
        sender.await?;
        if let Some(TestMail(message)) = mail {
            let bytes = with_crlf(message.formatted());
            let sent = run(Step::Send, tell, async {
                session.begin(message.envelope()).await.map_err(|it| whole(&it))?;
                let taken = session.hand_over(message.envelope(), &bytes, &mut false).await;
                let taken = taken.map_err(|it| whole(&it))?;
                Ok((one_line(taken.first_line().unwrap_or("taken")), ()))
            });
            sent.await?;
        }
        // The check is complete. It does not matter if the server does not respond to QUIT.
        let _ = timeout(STEP_WITHIN, session.quit()).await;
        Ok(())
    }
}

async fn run<T>(
    step: Step,
    tell: &mut (dyn FnMut(Tried) + Send),
    work: impl Future<Output = Result<(String, T), String>>,
) -> Result<T, Step> {
    let started = Instant::now();
    let done = timeout(STEP_WITHIN, work).await;
    let done =
        done.unwrap_or_else(|_| Err(format!("no response within {} s", STEP_WITHIN.as_secs())));
    let took = started.elapsed();
    match done {
        Ok((said, made)) => {
            tell(Tried { step, took, outcome: Ok(said) });
            Ok(made)
        }
        Err(why) => {
            tell(Tried { step, took, outcome: Err(why) });
            Err(step)
        }
    }
}

/// Whether this text of an error says that a certificate was refused. The text is rustls' own.
fn is_certificate(text: &str) -> bool {
    text.contains("invalid peer certificate")
}

/// An error with its causes. The outermost error alone only says "connection error".
fn whole(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    one_line(&text)
}

/// Text of a server on one line, safe for a terminal.
fn one_line(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.take(WHY_MAX).collect::<String>().trim().to_owned()
}
