//! Reads the lines of a file of accounts. The file is UTF-8. A byte order mark at the start is
//! ignored (RFC 8259 §8.1), also at the start of a later line, where `cat` has joined two files.

use std::error::Error;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::Path;

use crate::account::transfer::line::LINE_BYTES_MAX;
use crate::account::transfer::{Line, LineError};
use crate::clock::{Clock, UnixMillis};
use crate::password::Setup;

/// U+FEFF in UTF-8. Programs of Windows write it at the start of a file.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Whether a file that begins with these bytes is UTF-16 or UTF-32: it begins with the byte order
/// mark, or one of the first two characters is ASCII and has a NUL beside it.
fn is_utf16(start: &[u8]) -> bool {
    let marks = [b"\xff\xfe", b"\xfe\xff"];
    marks.iter().any(|mark| start.starts_with(*mark)) || start.iter().take(4).any(|it| *it == 0)
}

/// The lines of a file or of stdin, with their numbers.
pub(super) struct Lines {
    from: Box<dyn BufRead>,
    number: u64,
    pub bytes_read: u64,
    /// The length of the file. None if it is not known.
    pub bytes: Option<u64>,
    /// The time at which the reading began.
    now: UnixMillis,
}

impl Lines {
    pub fn open(path: &Path) -> Result<Self, Box<dyn Error>> {
        let now = Clock::System.now();
        let cannot = |error| format!("cannot read {}: {error}", path.display());
        let (mut from, bytes): (Box<dyn BufRead>, _) = if path == Path::new("-") {
            (Box::new(BufReader::new(io::stdin())), None)
        } else {
            let file = File::open(path).map_err(cannot)?;
            let bytes = file.metadata().ok().filter(std::fs::Metadata::is_file).map(|it| it.len());
            (Box::new(BufReader::new(file)), bytes)
        };
        if is_utf16(from.fill_buf().map_err(cannot)?) {
            let (found, fix) = ("is UTF-16", "convert it to UTF-8 (iconv -f UTF-16 -t UTF-8)");
            return Err(format!("{} {found} and not UTF-8: {fix}", path.display()).into());
        }
        Ok(Self { from, number: 0, bytes_read: 0, bytes, now })
    }

    /// Returns the next line that is not blank, or `None` at the end. Skips the rest of a line that
    /// is too long.
    pub fn next(&mut self, hashing: &Setup) -> io::Result<Option<Result<Line, LineError>>> {
        let mut line = Vec::new();
        loop {
            line.clear();
            let most = LINE_BYTES_MAX as u64 + 2;
            let mut read = self.from.by_ref().take(most).read_until(b'\n', &mut line)? as u64;
            if read == 0 {
                return Ok(None);
            }
            self.number += 1;
            if read == most && line.last() != Some(&b'\n') {
                read += self.skip_line()?;
            }
            self.bytes_read += read;
            let text = line.trim_ascii();
            let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text).trim_ascii();
            if !text.is_empty() {
                return Ok(Some(Line::read(self.number, text, hashing, self.now)));
            }
        }
    }

    fn skip_line(&mut self) -> io::Result<u64> {
        let mut skipped = 0;
        loop {
            let buffer = self.from.fill_buf()?;
            if buffer.is_empty() {
                return Ok(skipped);
            }
            let (used, ended) = match buffer.iter().position(|byte| *byte == b'\n') {
                Some(at) => (at + 1, true),
                None => (buffer.len(), false),
            };
            self.from.consume(used);
            skipped += used as u64;
            if ended {
                return Ok(skipped);
            }
        }
    }
}
