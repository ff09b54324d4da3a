//! Finds lines of one file that describe the same account.

use std::collections::HashMap;

use uuid::Uuid;

use super::{Line, LineError};
use crate::secret::sha256_of;

/// The accounts of the earlier lines of a file. A line takes about 150 bytes of memory.
#[derive(Default)]
pub struct Earlier {
    /// The first line of each email address. The key is a digest of the address in normal form.
    addresses: HashMap<[u8; 16], First>,
    /// The number of the first line of each id.
    ids: HashMap<Uuid, u64>,
}

struct First {
    number: u64,
    id: Option<Uuid>,
    content: [u8; 32],
}

/// Whether a line repeats an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// No earlier line has the address or the id.
    No,
    /// The line describes the account of an earlier line again: it has the same address and id, or
    /// it has no id and is otherwise equal.
    Same,
}

impl Earlier {
    /// Compares a line with the earlier lines, and remembers it.
    ///
    /// # Errors
    /// [`LineError`] if another account of the file has the address or the id of the line.
    pub fn compare(&mut self, line: &Line) -> Result<Repeat, LineError> {
        let taken = |member, by: u64| LineError {
            line: line.number,
            member,
            detail: format!("the account of line {by} has it"),
        };
        let mut address = [0; 16];
        address.copy_from_slice(&sha256_of(line.email.normal().as_bytes())[..16]);
        if let Some(first) = self.addresses.get(&address) {
            let is_same = match line.id {
                None => first.content == line.content(),
                id => first.id == id,
            };
            return if is_same { Ok(Repeat::Same) } else { Err(taken("email", first.number)) };
        }
        if let Some(id) = line.id {
            if let Some(by) = self.ids.get(&id) {
                return Err(taken("id", *by));
            }
            self.ids.insert(id, line.number);
        }
        let first = First { number: line.number, id: line.id, content: line.content() };
        self.addresses.insert(address, first);
        Ok(Repeat::No)
    }
}
