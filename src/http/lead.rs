//! [`Lead`] finds out whether an HTTP/1 connection has received bytes of the next request before
//! the current request has ended (read-ahead). The timers in `watch.rs` need this.
//!
//! A client may send its next request before the current request has ended. The time for the next
//! head begins when the current request ends. hyper finds where each request ends. This module only
//! finds out whether more bytes have arrived than the current request has. In one case it cannot
//! find this out: the request has a body, and its head arrived before the previous request had
//! ended. In this case, it assumes that more bytes have arrived. If the assumption is wrong, the
//! idle connection stays open only for the time of a head instead of one minute.

use hyper::Request;
use hyper::header::{CONTENT_LENGTH, TRANSFER_ENCODING};

/// The first bytes of HTTP/2 (RFC 9113 §3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How a request marks the end of its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The body ends after this many bytes. The number is 0 if there is no body.
    Length(u64),
    /// The body ends with the line of the last chunk, followed by an empty line.
    Chunks,
}

impl Sent {
    /// Reads from the head of a request how its body ends. hyper has already refused heads that
    /// contradict themselves.
    pub fn by<B>(request: &Request<B>) -> Self {
        let headers = request.headers();
        if headers.contains_key(TRANSFER_ENCODING) {
            return Self::Chunks;
        }
        let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        Self::Length(length.and_then(|length| length.parse().ok()).unwrap_or(0))
    }
}

/// The HTTP version of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaks {
    /// The version is not known yet. This many bytes have arrived, and they match the HTTP/2
    /// preface.
    Unknown(usize),
    Http1,
    Http2,
}

/// Compares the bytes that a connection has received with the bytes that belong to its requests.
#[derive(Debug)]
pub struct Lead {
    speaks: Speaks,
    /// The last four bytes that arrived, because the end of a head or of a last chunk is four bytes
    /// long. The last byte is the lowest one.
    tail: u32,
    /// The number of bytes that arrived after the end of a head. It is none if no end of a head was
    /// seen since the previous request ended.
    behind_head: Option<u64>,
    /// How the body of the request in progress ends.
    sent: Sent,
}

impl Lead {
    /// The state of a connection on which nothing has arrived.
    pub const fn new() -> Self {
        Self { speaks: Speaks::Unknown(0), tail: 0, behind_head: None, sent: Sent::Length(0) }
    }

    pub const fn speaks(&self) -> Speaks {
        self.speaks
    }

    /// Notes that bytes have arrived. The bytes of an HTTP/2 connection are not examined further,
    /// because each HTTP/2 frame says where it ends.
    pub fn saw(&mut self, bytes: &[u8]) {
        if let Speaks::Unknown(seen) = self.speaks {
            let rest = &PREFACE[seen..];
            let length = rest.len().min(bytes.len());
            self.speaks = match (rest[..length] == bytes[..length], rest.len() - length) {
                (false, _) => Speaks::Http1,
                (true, 0) => Speaks::Http2,
                (true, _) => Speaks::Unknown(seen + length),
            };
        }
        if self.speaks == Speaks::Http2 {
            return;
        }
        match &mut self.behind_head {
            Some(behind) => *behind += length(bytes),
            None => self.behind_head = self.end_of_head(bytes).map(|at| length(&bytes[at..])),
        }
        for byte in &bytes[bytes.len().saturating_sub(4)..] {
            self.tail = next(self.tail, *byte);
        }
    }

    /// Notes that the head of a request is complete.
    pub fn begins(&mut self, sent: Sent) {
        self.sent = sent;
    }

    /// Notes that the request has ended. Returns whether a part of the next request has already
    /// arrived.
    pub fn ends(&mut self) -> bool {
        let behind = self.behind_head.take();
        match (self.sent, behind) {
            (Sent::Length(length), Some(behind)) => behind > length,
            (Sent::Length(0) | Sent::Chunks, _) => !is_end(self.tail),
            // The head arrived before the previous request had ended, so this module did not look
            // for the end of the head.
            (Sent::Length(_), None) => true,
        }
    }

    /// The position in `bytes` after the empty line that ends a head. The first bytes of the empty
    /// line perhaps arrived before `bytes`. As in hyper, a line ends with LF, or with CR and LF.
    fn end_of_head(&self, bytes: &[u8]) -> Option<usize> {
        let mut tail = self.tail;
        let end = bytes.iter().position(|byte| {
            tail = next(tail, *byte);
            is_end(tail)
        });
        end.map(|at| at + 1)
    }
}

/// The last four bytes after one more byte has arrived.
fn next(tail: u32, byte: u8) -> u32 {
    (tail << 8) | u32::from(byte)
}

/// Whether the bytes end with an empty line: LF CR LF, or LF LF.
fn is_end(tail: u32) -> bool {
    tail & 0xff_ffff == 0x0a_0d_0a || tail & 0xffff == 0x0a_0a
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

    /// Whether bytes are left over when one request ends. All `parts` arrive before the handler
    /// runs.
    fn left(sent: Sent, parts: &[&[u8]]) -> bool {
        let mut lead = Lead::new();
        for part in parts {
            lead.saw(part);
        }
        lead.begins(sent);
        lead.ends()
    }

    #[test]
    fn what_comes_behind_a_request_is_the_next_ones() {
        let (none, five) = (Sent::Length(0), Sent::Length(5));
        assert!(!left(none, &[GET]));
        assert!(!left(none, &[&GET[..10], &GET[10..]]));
        assert!(!left(none, &[&GET[..GET.len() - 2], b"\r", b"\n"]));
        assert!(left(none, &[GET, b"G"]));
        assert!(left(none, &[&[GET, b"GET / HT"].concat()]));
        assert!(!left(five, &[GET, b"12345"]));
        assert!(
            !left(five, &[&[GET, b"123"].concat()]),
            "an incomplete body leaves no bytes for a next request"
        );
        assert!(left(five, &[&[GET, b"12345G"].concat()]));
        assert!(left(five, &[&[GET, b"1\n\r\n5"].concat(), b"\r\n\r\n"]));
        let last = b"5\r\n12345\r\n0\r\n\r\n".as_slice();
        assert!(!left(Sent::Chunks, &[GET, last]));
        assert!(left(Sent::Chunks, &[GET, last, b"GET / HTTP/1.1\r\n"]));
        assert!(
            !left(none, &[b"GET / HTTP/1.1\nHost: x\n\n"]),
            "a line may end with LF and without CR"
        );
    }

    #[test]
    fn requests_ahead_of_their_turn_are_told_from_a_part_of_one() {
        let mut lead = Lead::new();
        lead.saw(&[GET, GET, GET].concat());
        lead.begins(Sent::Length(0));
        assert!(lead.ends(), "two requests are waiting");
        lead.begins(Sent::Length(0));
        assert!(!lead.ends(), "the waiting request is complete");
        lead.begins(Sent::Length(0));
        assert!(!lead.ends());
        lead.saw(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{");
        lead.begins(Sent::Length(2));
        lead.saw(b"}");
        assert!(!lead.ends(), "a request that arrives in its turn is counted again");
    }

    #[test]
    fn http_2_is_its_whole_preface_and_nothing_less() {
        let speaks = |parts: &[&[u8]]| {
            let mut lead = Lead::new();
            for part in parts {
                lead.saw(part);
            }
            lead.speaks()
        };
        assert_eq!(speaks(&[PREFACE]), Speaks::Http2);
        assert_eq!(speaks(&[&PREFACE[..1], &PREFACE[1..7], &PREFACE[7..], b"\0\0"]), Speaks::Http2);
        assert_eq!(speaks(&[&PREFACE[..23]]), Speaks::Unknown(23));
        for other in ["PRI", "PRI * HTTP/2.0\r\n\r\nSM"] {
            assert!(matches!(speaks(&[other.as_bytes()]), Speaks::Unknown(_)), "{other}");
        }
        for other in ["PRIX / HTTP/1.1", "PRI / HTTP/1.1", "PRI * HTTP/2.0\r\nHost", "GET /"] {
            assert_eq!(speaks(&[other.as_bytes()]), Speaks::Http1, "{other}");
        }
    }
}
