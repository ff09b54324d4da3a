//! Walks through SMTP step by step and says how each went: for `mail test` and `doctor`.
//!
//! Here the server's own words are told, since a person asked for them; logs and rows never hold them.

use std::error::Error;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::clock::UnixMillis;
use crate::mail::letter::{self, Sender};
use crate::mail::smtp::{BadSmtpUrl, Smtp};
use crate::secret::{Redactor, Secret};

/// How long each step may take.
const STEP_WITHIN: Duration = Duration::from_secs(10);
/// The longest explanation, in characters.
const WHY_MAX: usize = 300;

/// A step of the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The host's name has an address.
    Resolve,
    /// TCP, with `smtps://` TLS, the greeting and EHLO.
    Connect,
    /// STARTTLS, where the URL asks for it.
    StartTls,
    /// AUTH, where the URL names a user.
    Login,
    /// MAIL, RCPT and DATA.
    Send,
}

impl Step {
    /// As it is told.
    pub fn name(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::StartTls => "starttls",
            Self::Login => "login",
            Self::Send => "send",
        }
    }

    /// Whether failing here says that there is no server to talk to; else it is there and refuses.
    pub fn is_reaching(self) -> bool {
        matches!(self, Self::Resolve | Self::Connect)
    }
}

/// How a step went.
#[derive(Clone, Debug)]
pub struct Tried {
    /// Which.
    pub step: Step,
    /// How long it took.
    pub took: Duration,
    /// What there is to say of it, or why it failed.
    pub outcome: Result<String, String>,
}

/// A mail that says nothing but that mail arrives.
#[derive(Debug)]
pub struct TestMail(lettre::Message);

impl TestMail {
    /// From `mail.from` to an address.
    ///
    /// # Errors
    /// Says which of the two is none.
    pub fn new(from: &str, to: &str, public_url: &str, at: UnixMillis) -> Result<Self, String> {
        let sender = Sender::parse(from).map_err(|error| error.to_string())?;
        letter::test(&sender, to, public_url, at).map(Self)
    }
}

/// An SMTP server to be walked through.
#[derive(Debug)]
pub struct Probe {
    smtp: Smtp,
    redactor: Redactor,
}

impl Probe {
    /// The server of `mail.smtp_url`; nothing is connected yet.
    ///
    /// # Errors
    /// When the URL cannot be read.
    pub fn new(url: &Secret<String>) -> Result<Self, BadSmtpUrl> {
        Ok(Self { smtp: Smtp::from_url(url)?, redactor: Redactor::of_url(url.expose()) })
    }

    /// Takes the steps one after another until one fails, and tells of each as it ends; sends `mail` at last, where
    /// there is one. The step that failed is the error.
    pub async fn walk(
        &self,
        mail: Option<&TestMail>,
        tell: &mut (dyn FnMut(Tried) + Send),
    ) -> Result<(), Step> {
        let smtp = &self.smtp;
        // A server may repeat what it does not understand, the login among it.
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
        let mut connection = run(Step::Connect, tell, async {
            let connection = smtp.connect().await.map_err(|it| whole(&it))?;
            Ok((format!("{host}:{port}, {}", smtp.security()), connection))
        })
        .await?;
        if smtp.starts_tls() {
            let secured = run(Step::StartTls, tell, async {
                smtp.secure(&mut connection).await.map_err(|it| whole(&it))?;
                Ok(("the certificate holds".to_owned(), ()))
            });
            secured.await?;
        }
        if smtp.logs_in() {
            let login = run(Step::Login, tell, async {
                smtp.login(&mut connection).await.map_err(|it| whole(&it))?;
                Ok(("accepted".to_owned(), ()))
            });
            login.await?;
        }
        if let Some(TestMail(message)) = mail {
            let bytes = message.formatted();
            let sent = run(Step::Send, tell, async {
                let taken = connection.send(message.envelope(), &bytes).await;
                let taken = taken.map_err(|it| whole(&it))?;
                Ok((one_line(taken.first_line().unwrap_or("taken")), ()))
            });
            sent.await?;
        }
        // It is all done: a server that does not answer to QUIT changes nothing.
        let _ = timeout(STEP_WITHIN, connection.quit()).await;
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
        done.unwrap_or_else(|_| Err(format!("no answer within {} s", STEP_WITHIN.as_secs())));
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

/// An error with its causes: the outer one alone says no more than "connection error".
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

/// A stranger's words, harmless on a terminal.
fn one_line(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.take(WHY_MAX).collect::<String>().trim().to_owned()
}
