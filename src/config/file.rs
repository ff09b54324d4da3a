//! Configuration files: JSON if the file name ends in `.json`, otherwise TOML.

use std::fmt;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::json;
use super::problems::Problem;
use super::settings;
use super::source::{Given, Raw, Source};

/// A configuration file, whether it could be read or not.
#[derive(Clone)]
pub struct ConfigFile {
    /// The path, as the operator wrote it.
    pub path: PathBuf,
    /// The content, or the reason why the file cannot be read.
    pub text: Result<String, String>,
}

impl ConfigFile {
    /// Reads a file. [`super::load`] reports a failure together with all other problems.
    pub fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string());
        Self { path: path.to_owned(), text }
    }

    /// The settings in the file, in the order of their lines. Adds what is wrong with the file to
    /// `problems`.
    pub(super) fn given(&self, problems: &mut Vec<Problem>) -> Vec<Given> {
        let name = self.path.display().to_string();
        let text = match &self.text {
            Ok(text) => text,
            Err(error) => {
                problems.push(Problem::new(name, "cannot be read", error.clone()));
                return Vec::new();
            }
        };
        let mut given = Vec::new();
        let mut add = |key: String, raw: Raw, at: usize| {
            let source = Source::File(self.path.clone(), line_at(text, at));
            given.push(Given { key, raw, source });
        };
        if self.path.extension().is_some_and(|extension| extension == "json") {
            if let Err(error) = json::leaves(text, &mut add) {
                problems.push(Problem::new(name, "is not a valid JSON object", error));
            }
            return given;
        }
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let line = error.span().map_or(1, |span| line_at(text, span.start));
            problems.push(Problem::new(
                format!("{name}:{line}"),
                "is not valid TOML",
                error.message(),
            ));
        }
        if errors.is_empty() {
            table_leaves("", table.get_ref(), &mut add);
        }
        given.sort_by_key(|given| match given.source {
            Source::File(_, line) => line,
            _ => 0,
        });
        given
    }
}

/// Shows the file without its content, which may contain secrets.
impl fmt::Debug for ConfigFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigFile").field("path", &self.path).finish_non_exhaustive()
    }
}

/// The line of a byte offset, from 1.
fn line_at(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

/// The full key of `key` in the section `prefix`.
pub(super) fn join(prefix: &str, key: &str) -> String {
    if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") }
}

fn table_leaves(prefix: &str, table: &DeTable<'_>, add: &mut impl FnMut(String, Raw, usize)) {
    for (name, value) in table {
        let key = join(prefix, name.get_ref());
        match value.get_ref() {
            // An empty section is allowed. An unknown section is not reported, but each of its keys
            // is.
            DeValue::Table(inner) if settings::find(&key).is_none() => {
                table_leaves(&key, inner, add);
            }
            value => add(key, raw(value), name.span().start),
        }
    }
}

fn raw(value: &DeValue<'_>) -> Raw {
    match value {
        DeValue::String(text) => Raw::Text(text.to_string()),
        DeValue::Integer(number) => match i128::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Raw::Integer(number.to_string()),
            Err(_) => Raw::Integer(number.as_str().to_owned()),
        },
        DeValue::Float(number) => Raw::Fraction(number.as_str().to_owned()),
        DeValue::Boolean(on) => Raw::Bool(*on),
        DeValue::Datetime(_) => Raw::Other("a date"),
        DeValue::Array(items) => Raw::List(items.iter().map(|item| raw(item.get_ref())).collect()),
        DeValue::Table(_) => Raw::Other("a table"),
    }
}
