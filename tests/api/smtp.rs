//! A scripted SMTP server for tests (RFC 5321). It stores every mail and can fail at each step.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::mime::Mail;

/// A step of the SMTP dialogue at which the server can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The greeting of the server.
    Connect,
    /// The reply to EHLO or HELO.
    Hello,
    /// The reply to AUTH.
    Login,
    /// The reply to MAIL FROM.
    Sender,
    /// The reply to RCPT TO.
    Recipient,
    /// The reply to DATA, before the text of the mail.
    Data,
    /// The reply to the final dot. The mail is not stored.
    Body,
    /// The reply to the final dot, after the mail was stored. This is like a crash after the 250.
    Accepted,
}

/// What the server does when it fails.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// It sends a reply with this code (421, 451, 550, …).
    Refuse(u16),
    /// It sends no reply.
    Stall,
    /// It closes the connection.
    Close,
}

/// The SMTP server. When the value is dropped, the listener and all connections are closed.
pub struct SmtpSink {
    port: u16,
    script: Arc<Mutex<Script>>,
    server: Mutex<Option<JoinSet<()>>>,
}

#[derive(Default)]
struct Script {
    fault: Option<(Stage, Fault)>,
    refused: HashMap<String, u16>,
    login: Option<(String, String)>,
    mails: Vec<Mail>,
    connections: usize,
}

impl SmtpSink {
    /// Listens on a free loopback port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let port = listener.local_addr().expect("a bound socket").port();
        let sink = Self { port, script: Arc::default(), server: Mutex::new(None) };
        sink.serve(listener);
        sink
    }

    /// Returns `smtp://127.0.0.1:port`. If a login is required, the URL has name and password.
    pub fn url(&self) -> String {
        match &self.script().login {
            Some((name, password)) => format!("smtp://{name}:{password}@127.0.0.1:{}", self.port),
            None => format!("smtp://127.0.0.1:{}", self.port),
        }
    }

    /// From now on, the server fails at this step of every connection.
    pub fn fail_at(&self, stage: Stage, fault: Fault) {
        self.script().fault = Some((stage, fault));
    }

    /// From now on, the server refuses this recipient and accepts all others.
    pub fn refuse_recipient(&self, address: &str, code: u16) {
        self.script().refused.insert(address.to_owned(), code);
    }

    /// From now on, the server needs AUTH PLAIN or LOGIN with these credentials before a mail.
    pub fn require_login(&self, name: &str, password: &str) {
        self.script().login = Some((name.to_owned(), password.to_owned()));
    }

    /// From now on, the server accepts everything again.
    pub fn heal(&self) {
        let mut script = self.script();
        script.fault = None;
        script.refused.clear();
    }

    /// Closes the listener and every connection, so that new connections are refused.
    pub async fn down(&self) {
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut server) = server {
            server.shutdown().await;
        }
    }

    /// Listens on the same port again.
    pub async fn up(&self) {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).await.expect("our port is free");
        self.serve(listener);
    }

    /// Returns every mail so far in the order of arrival. A mail to two recipients is listed twice.
    pub fn mails(&self) -> Vec<Mail> {
        self.script().mails.clone()
    }

    /// Returns the number of connections so far.
    pub fn connections(&self) -> usize {
        self.script().connections
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        lock(&self.script)
    }

    fn serve(&self, listener: TcpListener) {
        let script = self.script.clone();
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut dialogues = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                lock(&script).connections += 1;
                dialogues.spawn(Dialogue::new(stream, script.clone()).run());
            }
        });
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = Some(server);
    }
}

fn lock(script: &Mutex<Script>) -> MutexGuard<'_, Script> {
    script.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says that a dialogue has ended. The reason does not matter.
struct Over;

impl From<std::io::Error> for Over {
    fn from(_: std::io::Error) -> Self {
        Self
    }
}

/// The SMTP dialogue on one connection.
struct Dialogue {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    script: Arc<Mutex<Script>>,
    logged_in: bool,
    recipients: Vec<String>,
}

impl Dialogue {
    fn new(stream: TcpStream, script: Arc<Mutex<Script>>) -> Self {
        let (reader, writer) = stream.into_split();
        let reader = BufReader::new(reader);
        Self { reader, writer, script, logged_in: false, recipients: Vec::new() }
    }

    async fn run(mut self) {
        // If a client disconnects, only its own dialogue ends.
        let _over = self.talk().await;
    }

    async fn talk(&mut self) -> Result<(), Over> {
        self.answer(Stage::Connect, "220 sink.test ESMTP").await?;
        loop {
            let line = self.line().await?;
            let (verb, rest) = line.split_once([' ', ':']).unwrap_or((line.as_str(), ""));
            match verb.to_ascii_uppercase().as_str() {
                "EHLO" | "HELO" => {
                    let auth = lock(&self.script).login.is_some();
                    let auth = if auth { "250-AUTH PLAIN LOGIN\r\n" } else { "" };
                    let reply = format!("250-sink.test\r\n{auth}250-8BITMIME\r\n250 SMTPUTF8");
                    self.answer(Stage::Hello, &reply).await?;
                }
                "AUTH" => self.login(rest).await?,
                "MAIL" if self.must_log_in() => self.say("530 log in first").await?,
                "MAIL" => {
                    self.recipients.clear();
                    self.answer(Stage::Sender, "250 sender ok").await?;
                }
                "RCPT" => self.recipient(rest).await?,
                "DATA" => self.data().await?,
                "RSET" => {
                    self.recipients.clear();
                    self.say("250 forgotten").await?;
                }
                "NOOP" => self.say("250 still here").await?,
                "QUIT" => return self.say("221 bye").await,
                _ => self.say("502 not known here").await?,
            }
        }
    }

    fn must_log_in(&self) -> bool {
        lock(&self.script).login.is_some() && !self.logged_in
    }

    async fn login(&mut self, rest: &str) -> Result<(), Over> {
        let (mechanism, initial) = rest.split_once(' ').unwrap_or((rest, ""));
        let given = if mechanism.eq_ignore_ascii_case("PLAIN") {
            let packed = if initial.is_empty() { self.ask("").await? } else { decode(initial) };
            let mut fields = packed.split('\0').skip(1).map(str::to_owned);
            (fields.next().unwrap_or_default(), fields.next().unwrap_or_default())
        } else {
            let name =
                if initial.is_empty() { self.ask("Username:").await? } else { decode(initial) };
            (name, self.ask("Password:").await?)
        };
        self.logged_in = lock(&self.script).login.as_ref() == Some(&given);
        // Some servers repeat the credentials that they refuse.
        let refused = format!("535 wrong name or password: AUTH {rest}");
        let reply = if self.logged_in { "235 welcome" } else { &refused };
        self.answer(Stage::Login, reply).await
    }

    /// Sends a 334 with a question, and returns the decoded reply.
    async fn ask(&mut self, question: &str) -> Result<String, Over> {
        self.say(&format!("334 {}", STANDARD.encode(question))).await?;
        Ok(decode(&self.line().await?))
    }

    async fn recipient(&mut self, rest: &str) -> Result<(), Over> {
        let address = rest.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
        let refused = lock(&self.script).refused.get(&address).copied();
        if let Some(code) = refused {
            return self.say(&format!("{code} not this one")).await;
        }
        self.recipients.push(address);
        self.answer(Stage::Recipient, "250 recipient ok").await
    }

    async fn data(&mut self) -> Result<(), Over> {
        if self.recipients.is_empty() {
            return self.say("503 no recipient").await;
        }
        if !self.passes(Stage::Data).await? {
            return Ok(());
        }
        self.say("354 go on").await?;
        let mut data = String::new();
        loop {
            let line = self.line().await?;
            if line == "." {
                break;
            }
            data.push_str(line.strip_prefix('.').unwrap_or(&line));
            data.push_str("\r\n");
        }
        if !self.passes(Stage::Body).await? {
            return Ok(());
        }
        {
            let mut script = lock(&self.script);
            for recipient in self.recipients.drain(..) {
                let number = script.mails.len();
                script.mails.push(Mail::from_wire(number, &recipient, &data));
            }
        }
        self.answer(Stage::Accepted, "250 kept").await
    }

    /// Says whether this step succeeds. If not, the server has already failed as the script says.
    async fn passes(&mut self, stage: Stage) -> Result<bool, Over> {
        let fault = lock(&self.script).fault;
        match fault {
            Some((at, Fault::Refuse(code))) if at == stage => {
                self.say(&format!("{code} as the script says")).await?;
                if matches!(stage, Stage::Connect) || code == 421 { Err(Over) } else { Ok(false) }
            }
            Some((at, Fault::Stall)) if at == stage => std::future::pending().await,
            Some((at, Fault::Close)) if at == stage => Err(Over),
            _ => Ok(true),
        }
    }

    async fn answer(&mut self, stage: Stage, reply: &str) -> Result<(), Over> {
        if self.passes(stage).await? { self.say(reply).await } else { Ok(()) }
    }

    async fn say(&mut self, reply: &str) -> Result<(), Over> {
        Ok(self.writer.write_all(format!("{reply}\r\n").as_bytes()).await?)
    }

    async fn line(&mut self) -> Result<String, Over> {
        let mut line = String::new();
        if self.reader.read_line(&mut line).await? == 0 {
            return Err(Over);
        }
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }
}

fn decode(text: &str) -> String {
    let bytes = STANDARD.decode(text).unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_default()
}

mod tests {
    use std::time::Duration;

    use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
    use tokio::time::timeout;

    use super::*;

    fn transport(url: &str) -> AsyncSmtpTransport<Tokio1Executor> {
        AsyncSmtpTransport::<Tokio1Executor>::from_url(url).expect("a URL").build()
    }

    async fn send(sink: &SmtpSink, to: &str) -> Result<(), u16> {
        let message = Message::builder()
            .from("Latchkey <auth@latchkey.test>".parse().expect("an address"))
            .to(to.parse().expect("an address"))
            .subject("Grüße")
            .body(format!(
                "Hello,\n\nhttps://latchkey.test/verify-email?token={}\n.\n",
                "a".repeat(80)
            ))
            .expect("a message");
        transport(&sink.url())
            .send(message)
            .await
            .map(drop)
            .map_err(|error| error.status().map_or(0, u16::from))
    }

    #[tokio::test]
    async fn a_mail_arrives_as_it_was_sent() {
        let sink = SmtpSink::start().await;
        send(&sink, "ada@example.com").await.expect("taken");
        let mail = sink.mails().pop().expect("kept");
        assert_eq!(mail.to, "ada@example.com");
        assert_eq!(mail.subject, "Grüße");
        assert_eq!(mail.token(), "a".repeat(80));
        assert!(mail.text.contains("\n.\n"), "dots are unstuffed: {:?}", mail.text);
    }

    #[tokio::test]
    async fn a_stage_is_refused_until_it_is_healed() {
        let sink = SmtpSink::start().await;
        for stage in [Stage::Connect, Stage::Sender, Stage::Recipient, Stage::Data, Stage::Body] {
            sink.fail_at(stage, Fault::Refuse(451));
            assert_eq!(send(&sink, "ada@example.com").await, Err(451), "{stage:?}");
        }
        sink.fail_at(Stage::Data, Fault::Close);
        assert_eq!(send(&sink, "ada@example.com").await, Err(0));
        sink.fail_at(Stage::Hello, Fault::Stall);
        let silence = timeout(Duration::from_millis(50), send(&sink, "ada@example.com")).await;
        assert!(silence.is_err(), "nobody answers");
        assert!(sink.mails().is_empty());
        sink.heal();
        send(&sink, "ada@example.com").await.expect("taken");
    }

    #[tokio::test]
    async fn one_recipient_is_refused_and_another_is_not() {
        let sink = SmtpSink::start().await;
        sink.refuse_recipient("nobody@example.com", 550);
        assert_eq!(send(&sink, "nobody@example.com").await, Err(550));
        send(&sink, "ada@example.com").await.expect("taken");
    }

    #[tokio::test]
    async fn a_login_is_asked_for() {
        let sink = SmtpSink::start().await;
        sink.require_login("mailer", "hunter2");
        send(&sink, "ada@example.com").await.expect("taken");
        let url = sink.url();
        sink.require_login("mailer", "changed");
        let refused = transport(&url).test_connection().await;
        assert!(refused.is_err(), "the old password is refused");
    }

    #[tokio::test]
    async fn it_goes_down_and_comes_back_on_the_same_port() {
        let sink = SmtpSink::start().await;
        sink.down().await;
        assert_eq!(send(&sink, "ada@example.com").await, Err(0));
        sink.up().await;
        send(&sink, "ada@example.com").await.expect("taken");
        assert_eq!(sink.connections(), 1);
    }
}
