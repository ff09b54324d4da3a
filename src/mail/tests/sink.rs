//! A scripted SMTP server on loopback.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A scripted reply that closes the connection.
pub(super) const DROP: &str = "drop";
/// A scripted reply that never comes.
pub(super) const HANG: &str = "hang";

/// What a client sent up to the final dot.
#[derive(Clone, Debug)]
pub(super) struct Received {
    pub to: String,
    pub data: String,
}

impl Received {
    pub fn header(&self, name: &str) -> &str {
        let line = self.data.lines().find(|line| line.starts_with(&format!("{name}: ")));
        line.map(|line| &line[name.len() + 2..]).unwrap_or_default()
    }

    /// The link, which is on a line of its own.
    pub fn link(&self) -> &str {
        self.data.lines().find(|line| line.starts_with("https://")).unwrap_or_default()
    }
}

struct Rule {
    line: String,
    reply: String,
    times: usize,
}

#[derive(Default)]
struct State {
    rules: Mutex<Vec<Rule>>,
    lines: Mutex<Vec<String>>,
    mails: watch::Sender<Vec<Received>>,
}

/// The server. It ends when it is dropped.
pub(super) struct Sink {
    pub address: SocketAddr,
    state: Arc<State>,
    _tasks: JoinSet<()>,
}

impl Sink {
    pub async fn start() -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    pub async fn start_at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::<State>::default();
        let mut tasks = JoinSet::new();
        let shared = state.clone();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(converse(stream, shared.clone()));
            }
        });
        Self { address, state, _tasks: tasks }
    }

    pub fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    /// Responds with `reply` to the next `times` lines that begin with `line`: `BANNER`, a command,
    /// or `END` after a message.
    pub fn answer(&self, line: &str, reply: &str, times: usize) -> &Self {
        let rule = Rule { line: line.to_owned(), reply: reply.to_owned(), times };
        self.state.rules.lock().unwrap().push(rule);
        self
    }

    /// Every mail whose final dot was received, accepted or not.
    pub fn mails(&self) -> Vec<Received> {
        self.state.mails.borrow().clone()
    }

    /// Waits until `count` mails were received.
    pub async fn received(&self, count: usize) {
        let mut mails = self.state.mails.subscribe();
        mails.wait_for(|mails| mails.len() >= count).await.unwrap();
    }

    /// How many received lines began with `line`.
    pub fn heard(&self, line: &str) -> usize {
        self.state.lines.lock().unwrap().iter().filter(|it| it.starts_with(line)).count()
    }
}

impl State {
    fn reply(&self, line: &str, usual: &str) -> String {
        self.lines.lock().unwrap().push(line.to_owned());
        let mut rules = self.rules.lock().unwrap();
        let rule = rules.iter_mut().find(|rule| rule.times > 0 && line.starts_with(&rule.line));
        rule.map_or(usual.to_owned(), |rule| {
            rule.times -= 1;
            rule.reply.clone()
        })
    }
}

async fn converse(stream: TcpStream, state: Arc<State>) {
    let mut stream = BufReader::new(stream);
    let mut line = "BANNER".to_owned();
    let mut to = String::new();
    loop {
        let usual = match line.get(..4).unwrap_or_default() {
            "BANN" => "220 sink",
            "EHLO" => "250-sink\r\n250-8BITMIME\r\n250 AUTH PLAIN",
            "AUTH" => "235 2.7.0 welcome",
            "DATA" => "354 go on",
            "QUIT" => "221 bye",
            _ => "250 2.0.0 fine",
        };
        if line.starts_with("RCPT") {
            to = line["RCPT TO:<".len()..].trim_end_matches('>').to_owned();
        }
        let reply = state.reply(&line, usual);
        match reply.as_str() {
            DROP => return,
            HANG => std::future::pending::<()>().await,
            _ => {}
        }
        if stream.write_all(format!("{reply}\r\n").as_bytes()).await.is_err() {
            return;
        }
        if line == "DATA" && reply.starts_with("354") {
            let mut data = String::new();
            while !data.ends_with("\r\n.\r\n") {
                if stream.read_line(&mut data).await.unwrap_or(0) == 0 {
                    return;
                }
            }
            let mail = Received { to: to.clone(), data };
            state.mails.send_modify(|mails| mails.push(mail));
            line = "END".to_owned();
            continue;
        }
        line.clear();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return;
        }
        line.truncate(line.trim_end().len());
    }
}
