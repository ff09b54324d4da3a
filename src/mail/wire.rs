//! The connection below lettre. It rewrites the replies of a server into the form that lettre
//! reads.
//!
//! RFC 5321 allows, or servers send, replies that lettre 0.11.23 misreads:
//!
//! - EHLO keywords in lower case (§2.4: a client must accept them). lettre ignores them.
//! - Replies without text, such as `250` (§4.2: the text is optional). lettre refuses them.
//! - Lines of an EHLO reply that contain only spaces. lettre panics.
//! - Text that is not UTF-8, and lines that end with a bare LF. lettre refuses the first, and waits
//!   until the time limit at the second.
//!
//! The rewriting works on the plain text of the replies, so this connection is above TLS. With
//! STARTTLS, [`Wire::after_starttls`] starts with an empty buffer. So replies that someone injected
//! before the encryption are dropped (CVE-2011-0411 is about this error).
#![expect(
    deprecated,
    reason = "AsyncNetworkStream is the only way to use lettre's TLS below a stream of our own"
)]

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::io::{AsyncRead as _, AsyncWrite as _};
use lettre::transport::smtp::client::{AsyncNetworkStream, AsyncTokioStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Mutex;

/// The longest line of a reply. The limit of RFC 5321 §4.5.3.1.5 is 512 bytes, and lettre's is
/// 1000.
const LINE_MAX: usize = 1_000;
/// How much is read at once.
const READ_MAX: usize = 1_024;
/// The EHLO keywords that lettre knows, and the login mechanisms.
const KEYWORDS: [&str; 7] =
    ["8BITMIME", "SMTPUTF8", "STARTTLS", "AUTH", "PLAIN", "LOGIN", "XOAUTH2"];

/// The network connection. It is shared, because STARTTLS encrypts it below a new [`Wire`].
pub(super) type Network = Arc<Mutex<AsyncNetworkStream>>;

/// One connection, as lettre uses it.
#[derive(Debug)]
pub(super) struct Wire {
    network: Network,
    replies: Replies,
}

impl Wire {
    /// A connection whose server sends its greeting next.
    pub(super) fn new(network: Network) -> Self {
        Self { network, replies: Replies::default() }
    }

    /// The same connection after STARTTLS. Then a server sends no greeting. But lettre needs one,
    /// so lettre gets one from here.
    pub(super) fn after_starttls(network: Network) -> Self {
        let mut wire = Self::new(network);
        wire.replies.read.extend(b"220 encrypted\r\n");
        wire
    }
}

/// The replies of a server while they arrive.
#[derive(Debug, Default)]
struct Replies {
    /// The beginning of a line whose end has not arrived yet.
    partial: Vec<u8>,
    /// What lettre can read.
    read: VecDeque<u8>,
    /// The next line of the reply to EHLO. `None` outside of such a reply.
    ehlo_line: Option<usize>,
}

impl Replies {
    /// Takes bytes of the server.
    fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        for &byte in bytes {
            self.partial.push(byte);
            if byte == b'\n' {
                let line = std::mem::take(&mut self.partial);
                let rewritten = self.rewrite(&String::from_utf8_lossy(&line));
                self.read.extend(rewritten.as_bytes());
            } else if self.partial.len() > LINE_MAX {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a reply is too long"));
            }
        }
        Ok(())
    }

    /// Notes a command, because the reply to EHLO is rewritten in another way.
    fn note_command(&mut self, bytes: &[u8]) {
        if bytes.starts_with(b"EHLO ") {
            self.ehlo_line = Some(0);
        }
    }

    /// Rewrites one line, which ends with a line end.
    fn rewrite(&mut self, line: &str) -> String {
        let line = line.trim_end();
        let (code, rest) = line.split_at_checked(3).unwrap_or(("", line));
        let (mark, text) = match rest.split_at_checked(1) {
            None => (" ", ""),
            Some((mark, text)) => (mark, text),
        };
        if code.is_empty() || !code.bytes().all(|it| it.is_ascii_digit()) || !" -".contains(mark) {
            // This is not a reply. lettre reports it.
            return format!("{line}\r\n");
        }
        let text = match self.ehlo_line {
            // The first line has the name of the server, which lettre requires.
            Some(0) if text.trim().is_empty() => "server".to_owned(),
            None | Some(0) => text.to_owned(),
            Some(_) => keywords(text),
        };
        let is_last = mark == " ";
        self.ehlo_line = self.ehlo_line.filter(|_| !is_last).map(|number| number + 1);
        format!("{code}{mark}{text}\r\n")
    }
}

/// A line of an EHLO reply with the known keywords in upper case.
fn keywords(text: &str) -> String {
    let upper = |word: &str| {
        let known = KEYWORDS.iter().find(|keyword| keyword.eq_ignore_ascii_case(word));
        known.map_or_else(|| word.to_owned(), |keyword| (*keyword).to_owned())
    };
    text.split_ascii_whitespace().map(upper).collect::<Vec<_>>().join(" ")
}

impl AsyncTokioStream for Wire {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.network.try_lock().map_err(io::Error::other)?.peer_addr()
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { network, replies } = self.get_mut();
        while replies.read.is_empty() {
            let mut bytes = [0; READ_MAX];
            let mut network = network.try_lock().map_err(io::Error::other)?;
            let count = ready!(Pin::new(&mut *network).poll_read(cx, &mut bytes))?;
            if count == 0 {
                return Poll::Ready(Ok(()));
            }
            replies.take(&bytes[..count])?;
        }
        let count = replies.read.len().min(buf.remaining());
        for byte in replies.read.drain(..count) {
            buf.put_slice(&[byte]);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Self { network, replies } = self.get_mut();
        replies.note_command(bytes);
        Pin::new(&mut *network.try_lock().map_err(io::Error::other)?).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let network = &self.get_mut().network;
        Pin::new(&mut *network.try_lock().map_err(io::Error::other)?).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let network = &self.get_mut().network;
        Pin::new(&mut *network.try_lock().map_err(io::Error::other)?).poll_close(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(ehlo: bool, given: &[u8]) -> String {
        let mut replies = Replies::default();
        if ehlo {
            replies.note_command(b"EHLO auth.example.com\r\n");
        }
        // Replies may arrive in pieces of any length.
        for byte in given {
            replies.take(&[*byte]).unwrap();
        }
        String::from_utf8(replies.read.into_iter().collect()).unwrap()
    }

    #[test]
    fn keywords_of_an_ehlo_reply_become_upper_case_and_nothing_else_does() {
        let given =
            b"250-auth plain.example\r\n250-8bitmime\r\n250-Auth login Plain x\r\n250 ok\r\n";
        let read = "250-auth plain.example\r\n250-8BITMIME\r\n250-AUTH LOGIN PLAIN x\r\n250 ok\r\n";
        assert_eq!(rewritten(true, given), read);
        assert_eq!(rewritten(false, given).as_bytes(), given);
        assert_eq!(rewritten(false, b"334 YXV0aA==\r\n"), "334 YXV0aA==\r\n");
    }

    #[test]
    fn a_reply_without_text_and_a_blank_line_can_be_read() {
        assert_eq!(rewritten(false, b"250\r\n"), "250 \r\n");
        assert_eq!(rewritten(false, b"550-\r\n550\n"), "550-\r\n550 \r\n");
        assert_eq!(
            rewritten(true, b"250-   \r\n250-  \r\n250\r\n"),
            "250-server\r\n250-\r\n250 \r\n"
        );
        assert_eq!(rewritten(false, b"550 caf\xe9\r\n"), "550 caf\u{fffd}\r\n");
    }

    #[test]
    fn what_is_no_reply_stays_as_it_is_and_has_a_limit() {
        for wrong in ["", "25", "2a0 ok", "250_ok", "äöü", "hello"] {
            assert_eq!(rewritten(false, format!("{wrong}\r\n").as_bytes()), format!("{wrong}\r\n"));
        }
        assert!(Replies::default().take(&[b'2'; LINE_MAX + 1]).is_err());
    }
}
