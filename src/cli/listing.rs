//! Lists of the command line: which part is printed, and where the next one begins.

use std::error::Error;
use std::fmt::Write as _;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use uuid::Uuid;

use super::output::{Talk, print, print_json};

/// Which part of a list.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct Part {
    /// At most so many, 1 to 1000
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=1000))]
    limit: u64,
    /// Go on after this id: `next` of the last list
    #[arg(long, value_name = "ID", default_value_t = Uuid::nil(), hide_default_value = true)]
    pub after: Uuid,
}

/// Whether something works or an operator has disabled it.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Status {
    Active,
    Disabled,
}

/// How a list is written.
pub(super) struct Written<T> {
    /// The head of its columns.
    pub head: String,
    /// A row for people.
    pub row: fn(&T) -> String,
    /// An item of the JSON.
    pub item: fn(&T) -> Value,
    /// The id that the next part begins after.
    pub id: fn(&T) -> Uuid,
}

impl Part {
    /// How many rows to read: one more than are printed, to know whether it is the last part.
    pub fn rows(self) -> u64 {
        self.limit + 1
    }

    /// Prints what was read.
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
            writeln!(text, "more: --after {next}")?;
        }
        Ok(print(talk, &text))
    }
}
