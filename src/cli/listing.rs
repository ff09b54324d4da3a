//! Lists on the command line: which part is printed, and where the next part begins.

use std::error::Error;
use std::fmt::Write as _;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use uuid::Uuid;

use super::output::{Talk, print, print_json};

/// The part of a list that is printed.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct Part {
    /// Print at most this many entries, from 1 to 1000
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=1000))]
    limit: u64,
    /// List the entries after this id. The end of the previous list shows the id to use (in JSON:
    /// `next`)
    #[arg(long, value_name = "ID", default_value_t = Uuid::nil(), hide_default_value = true)]
    pub after: Uuid,
}

/// Whether something is usable, or an operator has disabled it.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Status {
    Active,
    Disabled,
}

/// The format of a list.
pub(super) struct Written<T> {
    /// The header line of the columns.
    pub head: String,
    /// Formats an item as a row of text.
    pub row: fn(&T) -> String,
    /// Formats an item as JSON.
    pub item: fn(&T) -> Value,
    /// The id of an item, after which the next part begins.
    pub id: fn(&T) -> Uuid,
}

impl Part {
    /// How many rows to read: one more than are printed, to know whether this is the last part.
    pub fn rows(self) -> u64 {
        self.limit + 1
    }

    pub fn print<T>(
        self,
        mut found: Vec<T>,
        written: &Written<T>,
        (json, talk): (bool, Talk),
    ) -> Result<ExitCode, Box<dyn Error>> {
        let more = found.len() as u64 > self.limit;
        found.truncate(usize::try_from(self.limit).unwrap_or(usize::MAX));
        let next = found.last().filter(|_| more).map(written.id);
        if json {
            let items: Vec<Value> = found.iter().map(written.item).collect();
            return Ok(print_json(talk, &json!({ "items": items, "next": next })));
        }
        let mut text = format!("{}\n", written.head);
        for each in &found {
            writeln!(text, "{}", (written.row)(each))?;
        }
        if let Some(next) = next {
            writeln!(text, "there are more entries: continue with --after {next}")?;
        }
        Ok(print(talk, &text))
    }
}
