//! HTTP/2 frames as bytes, for requests that no client library sends.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::app::TestApp;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PUSH_PROMISE: u8 = 5;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// The maximum time that a test waits for something that a server must do at once.
const WITHIN: Duration = Duration::from_secs(20);

/// A frame that the test received.
#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    /// Returns the error code of a GOAWAY or a RST_STREAM.
    pub fn error(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        let bytes = self.payload[at..at + 4].try_into().expect("four bytes");
        u32::from_be_bytes(bytes)
    }
}

impl Frame {
    /// Returns the status at the start of a header block. The field `:status` is either an indexed
    /// field of the static table, or it uses only the name from this table (RFC 7541 §6, appendix
    /// A).
    pub fn status(&self) -> Option<u16> {
        let [first, rest @ ..] = self.payload.as_slice() else { return None };
        if let Some(at) = first.checked_sub(0x88) {
            return [200, 204, 206, 304, 400, 404, 500].get(usize::from(at)).copied();
        }
        let [length, text @ ..] = rest else { return None };
        let text = text.get(..usize::from(length & 0x7f))?;
        if first & 0xf != 8 {
            return None;
        }
        if length & 0x80 == 0 {
            return std::str::from_utf8(text).ok()?.parse().ok();
        }
        // In the Huffman code, the digits 0 to 2 have five bits each, and the digits 3 to 9 have
        // six bits each (appendix B).
        let mut bits = text.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        bits <<= 32 - 8 * text.len();
        let mut status = 0;
        for _ in 0..3 {
            let (digit, length) = match bits >> 27 {
                five @ 0..=2 => (five, 5),
                _ => ((bits >> 26).checked_sub(0x19)? + 3, 6),
            };
            bits <<= length;
            status = 10 * status + u16::try_from(digit).ok()?;
        }
        Some(status)
    }
}

/// Returns the bytes of a frame. For an invalid frame, `length` differs from the real length of the
/// payload.
pub fn frame_of(length: usize, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(length).expect("24 bits").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    frame_of(payload.len(), kind, flags, stream, payload)
}

/// Encodes header fields. Each field is a literal without indexing (RFC 7541 §6.2.2).
pub fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            integer(&mut block, text.len());
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// Encodes a length with a prefix of seven bits (RFC 7541 §5.1).
fn integer(block: &mut Vec<u8>, mut value: usize) {
    if value < 127 {
        block.push(u8::try_from(value).expect("small"));
        return;
    }
    block.push(127);
    value -= 127;
    while value >= 128 {
        block.push(u8::try_from(value % 128 + 128).expect("a byte"));
        value /= 128;
    }
    block.push(u8::try_from(value).expect("a byte"));
}

/// Returns the pseudo-header fields of a valid request.
pub fn request(method: &'static str, path: &'static str) -> Vec<(&'static str, &'static str)> {
    vec![(":method", method), (":scheme", "http"), (":authority", "127.0.0.1"), (":path", path)]
}

/// An HTTP/2 connection with prior knowledge, on which both sides have sent their settings.
pub struct Connection {
    stream: TcpStream,
}

impl Connection {
    /// Connects to the public listener and sends these settings.
    pub async fn open(app: &TestApp, settings: &[(u16, u32)]) -> Self {
        Self::to(app.public_addr(), settings).await
    }

    /// Connects to a listener at this address.
    pub async fn to(address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        Self::over(TcpStream::connect(address).await.expect("connected"), settings).await
    }

    /// Starts HTTP/2 on a connection that is already open.
    pub async fn over(mut stream: TcpStream, settings: &[(u16, u32)]) -> Self {
        let mut payload = Vec::new();
        for (name, value) in settings {
            payload.extend_from_slice(&name.to_be_bytes());
            payload.extend_from_slice(&value.to_be_bytes());
        }
        let hello = [
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(),
            &frame(SETTINGS, 0, 0, &payload),
            &frame(SETTINGS, ACK, 0, &[]),
        ];
        stream.write_all(&hello.concat()).await.expect("written");
        let mut connection = Self { stream };
        // The server has sent its settings and has acknowledged the settings of the test. From now
        // on both settings apply.
        while !matches!(connection.next().await, Some(Frame { kind: SETTINGS, flags: ACK, .. })) {}
        connection
    }

    /// Writes these bytes. Returns whether the other side still accepts bytes.
    pub async fn send(&mut self, bytes: &[u8]) -> bool {
        let written = timeout(WITHIN, self.stream.write_all(bytes)).await;
        matches!(written, Ok(Ok(())))
    }

    /// Returns the next frame, or `None` after the connection is closed.
    pub async fn next(&mut self) -> Option<Frame> {
        let read = async {
            let mut head = [0; 9];
            self.stream.read_exact(&mut head).await.ok()?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; usize::try_from(length).expect("24 bits")];
            self.stream.read_exact(&mut payload).await.ok()?;
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            Some(Frame { kind: head[3], flags: head[4], stream, payload })
        };
        timeout(WITHIN, read).await.expect("a frame, or the end")
    }

    /// Reads frames until one of them matches. Returns `None` if the connection is closed before
    /// that.
    pub async fn until(&mut self, wanted: impl Fn(&Frame) -> bool) -> Option<Frame> {
        loop {
            let frame = self.next().await?;
            if wanted(&frame) {
                return Some(frame);
            }
        }
    }

    /// Sends a ping, and says whether the server still replies to it.
    pub async fn lives(&mut self) -> bool {
        let word = *b"are you?";
        self.send(&frame(PING, 0, 0, &word)).await
            && self
                .until(|it| it.kind == PING && it.flags == ACK && it.payload == word)
                .await
                .is_some()
    }
}
