//! An SMTP server that accepts every mail and counts the mails.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::Result;

pub struct Sink {
    pub address: SocketAddr,
    mails: Arc<AtomicU64>,
    _server: JoinSet<()>,
}

impl Sink {
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let mails = Arc::new(AtomicU64::new(0));
        let counter = mails.clone();
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut dialogues = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                dialogues.spawn(dialogue(stream, counter.clone()));
            }
        });
        Ok(Self { address, mails, _server: server })
    }

    pub fn mails(&self) -> u64 {
        self.mails.load(Ordering::Relaxed)
    }

    /// Waits until no mail has arrived for the time `quiet`, for a minute at most. A measurement
    /// that begins earlier would include mails of the one before.
    pub async fn is_quiet(&self, quiet: Duration) {
        let began = Instant::now();
        let (mut seen, mut since) = (self.mails(), Instant::now());
        while since.elapsed() < quiet && began.elapsed() < Duration::from_mins(1) {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let now = self.mails();
            if now != seen {
                (seen, since) = (now, Instant::now());
            }
        }
    }
}

/// Talks to one client until it quits. If the client disconnects, the dialogue ends.
async fn dialogue(stream: TcpStream, mails: Arc<AtomicU64>) {
    let _ = stream.set_nodelay(true);
    let (reader, mut writer) = stream.into_split();
    let (mut reader, mut line) = (BufReader::new(reader), Vec::new());
    let mut in_mail = false;
    let mut reply: &[u8] = b"220 sink.test ESMTP\r\n";
    loop {
        if !reply.is_empty() && writer.write_all(reply).await.is_err() {
            return;
        }
        line.clear();
        if reader.read_until(b'\n', &mut line).await.unwrap_or(0) == 0 {
            return;
        }
        reply = match (in_mail, line.as_slice()) {
            (true, b".\r\n") => {
                in_mail = false;
                mails.fetch_add(1, Ordering::Relaxed);
                b"250 stored\r\n"
            }
            (true, _) => b"",
            (false, line) => {
                match line.get(..4).unwrap_or_default().to_ascii_uppercase().as_slice() {
                    b"EHLO" => b"250-sink.test\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n",
                    b"DATA" => {
                        in_mail = true;
                        b"354 end with a dot\r\n"
                    }
                    b"QUIT" => {
                        let _ = writer.write_all(b"221 bye\r\n").await;
                        return;
                    }
                    _ => b"250 ok\r\n",
                }
            }
        };
    }
}
