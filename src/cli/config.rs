//! `latchkey config …`: prints and checks the settings without starting anything.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;

use super::output::{Talk, print, print_json, say_line};
use crate::config::{self, Loaded, Problem, Problems, Shown};
use crate::exit::BAD_CONFIGURATION;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print every setting with its value and the source of the value. Secrets are hidden
    Print,
    /// Check whether the configuration is valid. The exit code is 0 if it is valid, otherwise 78
    Check,
    /// Print the JSON Schema of a configuration file
    Schema,
    /// Print a configuration file with every setting commented out
    Init {
        /// Print the page `docs/configuration.md` instead of a configuration file
        #[arg(long)]
        markdown: bool,
    },
}

pub fn run(
    command: &Command,
    load: impl FnOnce() -> Result<Loaded, Problems>,
    json: bool,
    talk: Talk,
) -> ExitCode {
    match command {
        Command::Schema => print(talk, &config::schema()),
        Command::Init { markdown: true } => print(talk, &config::reference::markdown()),
        Command::Init { markdown: false } if json => print(talk, &config::reference::json()),
        Command::Init { markdown: false } => print(talk, &config::reference::toml()),
        Command::Check => check(load(), json, talk),
        Command::Print => match load() {
            Ok(loaded) => {
                talk.warnings(&loaded.warnings);
                if json {
                    return print_json(talk, &as_json(&loaded.sources));
                }
                print(talk, &as_table(&loaded.sources))
            }
            Err(problems) => {
                talk.problems(&problems);
                ExitCode::from(BAD_CONFIGURATION)
            }
        },
    }
}

fn check(loaded: Result<Loaded, Problems>, json: bool, talk: Talk) -> ExitCode {
    let (problems, warnings): (Vec<Problem>, Vec<Problem>) = match loaded {
        Ok(loaded) => (Vec::new(), loaded.warnings),
        Err(problems) => (problems.0, Vec::new()),
    };
    let code = if problems.is_empty() { 0 } else { BAD_CONFIGURATION };
    if json {
        let data = json!({ "ok": code == 0, "problems": problems, "warnings": warnings });
        let printed = print_json(talk, &data);
        return if code == 0 { printed } else { ExitCode::from(code) };
    }
    talk.warnings(&warnings);
    if problems.is_empty() {
        say_line("the configuration is valid");
    } else {
        talk.problems(&Problems(problems));
    }
    ExitCode::from(code)
}

fn as_json(sources: &[Shown]) -> serde_json::Value {
    let entry = |shown: &Shown| json!({ "key": shown.key, "value": shown.value, "source": shown.source.to_string() });
    sources.iter().map(entry).collect()
}

/// Formats three columns: name, value as JSON, and source.
fn as_table(sources: &[Shown]) -> String {
    let value = |shown: &Shown| match &shown.value {
        serde_json::Value::Null => "-".to_owned(),
        value => value.to_string(),
    };
    let keys = sources.iter().map(|shown| shown.key.len()).max().unwrap_or(0);
    let values = sources.iter().map(|shown| value(shown).chars().count()).max().unwrap_or(0);
    sources.iter().fold(String::new(), |mut out, shown| {
        let _ = writeln!(out, "{:keys$}  {:values$}  {}", shown.key, value(shown), shown.source);
        out
    })
}
