//! Reads the lines of a file of accounts.

use std::error::Error;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::Path;

use crate::account::transfer::line::LINE_BYTES_MAX;
use crate::account::transfer::{Line, LineError};
use crate::clock::{Clock, UnixMillis};
use crate::password::Setup;

/// The lines of a file or of stdin, with their numbers.
pub(super) struct Lines {
    from: Box<dyn BufRead>,
    number: u64,
    pub bytes_read: u64,
    /// The length of the file. None if it is not known.
    pub bytes: Option<u64>,
    /// The time at which the reading began.
    pub now: UnixMillis,
}

impl Lines {
    pub fn open(path: &Path) -> Result<Self, Box<dyn Error>> {
        let now = Clock::System.now();
        if path == Path::new("-") {
            let from = Box::new(BufReader::new(io::stdin()));
            return Ok(Self { from, number: 0, bytes_read: 0, bytes: None, now });
        }
        let file =
            File::open(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let bytes = file.metadata().ok().filter(std::fs::Metadata::is_file).map(|it| it.len());
        Ok(Self { from: Box::new(BufReader::new(file)), number: 0, bytes_read: 0, bytes, now })
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
