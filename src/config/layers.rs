//! Merges the sources of settings: files, then environment variables, then flags. A later source
//! overrides an earlier one.
//!
//! This module also finds unknown keys, reads values from the files that `…_file` settings name,
//! and converts text to values. A problem does not end the merge. All problems are collected, so
//! that an operator sees them all at once.

use std::collections::BTreeMap;
use std::path::Path;

use super::holds::SecretFiles;
use super::kind::{Kind, Refusal, Value, split};
use super::problems::Problem;
use super::setting::{Fallback, PREFIX, Setting};
use super::settings;
use super::source::{Given, Raw, Source};

/// The values of the settings that a source gives or that have a fixed default.
#[derive(Default)]
pub struct Values {
    values: BTreeMap<&'static str, Option<(Value, Source)>>,
    pub secret_files: SecretFiles,
}

impl Values {
    /// The value of a setting. `None` if the setting has no value, or if its value was refused.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.values.get(key).and_then(Option::as_ref).map(|(value, _)| value)
    }

    /// The source of a setting's value. [`Source::Default`] if no source gave a valid value.
    pub fn source(&self, key: &str) -> Source {
        let found = self.values.get(key).and_then(Option::as_ref);
        found.map_or(Source::Default, |(_, source)| source.clone())
    }

    /// Whether a source gave the setting, with a valid value or not.
    pub fn is_given(&self, key: &str) -> bool {
        self.is_refused(key) || self.source(key) != Source::Default
    }

    /// Whether a source gave the setting and its value was refused. If so, no rule may treat the
    /// setting as missing.
    pub fn is_refused(&self, key: &str) -> bool {
        self.values.get(key).is_some_and(Option::is_none)
    }

    /// Sets a derived default, if no source gave the setting.
    pub fn derive(&mut self, key: &'static str, value: Value) {
        self.values.entry(key).or_insert(Some((value, Source::Default)));
    }

    /// Replaces a default that exceeds the limit of another setting.
    pub fn limit(&mut self, key: &'static str, value: Value) {
        self.values.insert(key, Some((value, Source::Default)));
    }
}

/// Merges `layers` over the defaults. A later layer overrides an earlier one.
pub fn lay(layers: Vec<Vec<Given>>, problems: &mut Vec<Problem>) -> Values {
    let mut values = Values::default();
    let mut winners: BTreeMap<&'static str, (Given, Through)> = BTreeMap::new();
    for layer in layers {
        let mut seen: BTreeMap<&'static str, Through> = BTreeMap::new();
        for given in layer {
            let Some((setting, through)) = known(&given.key) else {
                problems.push(unknown(&given));
                continue;
            };
            if through == Through::Value {
                values.secret_files.inline(setting.key, setting.kind, &given);
            }
            if let Some(before) = seen.insert(setting.key, through) {
                let place = given.source.place();
                let what = if before == through {
                    format!("is set twice{place}")
                } else {
                    match given.source {
                        Source::Variable(_) => {
                            "is set twice in the environment: as a value and as a file".to_owned()
                        }
                        _ => format!("is set both as a value and as a file{place}"),
                    }
                };
                problems.push(Problem::new(setting.key, what, "remove one of them"));
            }
            winners.insert(setting.key, (given, through));
        }
    }
    values.secret_files.judge_inline();
    for setting in settings::all() {
        let read = match winners.remove(setting.key) {
            Some((given, through)) => Some(read(setting, &given, through, &mut values, problems)),
            None => match setting.fallback {
                Fallback::Is(text) => Some(default(setting, text)),
                Fallback::Derived(..) | Fallback::Nothing(_) => None,
            },
        };
        if let Some(read) = read {
            values.values.insert(setting.key, read);
        }
    }
    values
}

/// Whether a source gives the value itself, or the path of a file that holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Through {
    Value,
    File,
}

fn known(key: &str) -> Option<(&'static Setting, Through)> {
    if let Some(setting) = settings::find(key) {
        return Some((setting, Through::Value));
    }
    let setting = settings::find(key.strip_suffix("_file")?)?;
    Some((setting, Through::File))
}

fn default(setting: &Setting, text: &str) -> Option<(Value, Source)> {
    let value = match setting.kind {
        Kind::List(_) => setting.kind.read_list(&split(text)),
        kind => kind.read(text),
    };
    // The unit tests check that every default can be read.
    value.ok().map(|value| (value, Source::Default))
}

fn read(
    setting: &Setting,
    given: &Given,
    through: Through,
    values: &mut Values,
    problems: &mut Vec<Problem>,
) -> Option<(Value, Source)> {
    let value = match through {
        Through::Value => shaped(setting.kind, &given.raw),
        Through::File => from_file(setting, given, values)
            .and_then(|text| shaped(setting.kind, &Raw::Plain(text))),
    };
    match value {
        Ok(value) => Some((value, given.source.clone())),
        Err(refusal) => {
            // The text of a file is never shown. The operator perhaps named a wrong file that holds
            // a secret.
            let shows_value = through == Through::Value && !setting.kind.is_secret();
            let what = format!("{}{}", refusal.what(shows_value), given.source.place());
            problems.push(Problem::new(given.key.clone(), what, refusal.fix));
            None
        }
    }
}

/// Reads a value in the form that its source requires. A configuration file must write integers,
/// booleans and lists in their own types, not as text.
fn shaped(kind: Kind, raw: &Raw) -> Result<Value, Refusal> {
    let mismatch = |wanted: &str| {
        Err(Refusal::new(format!("is {}", raw.name()), format!("write it as {wanted}")))
    };
    match (kind, raw) {
        (Kind::List(_), Raw::Plain(text)) => kind.read_list(&split(text)),
        (Kind::List(_), Raw::List(items)) => {
            let texts: Option<Vec<String>> = items
                .iter()
                .map(|item| match item {
                    Raw::Text(text) => Some(text.clone()),
                    _ => None,
                })
                .collect();
            match texts {
                Some(texts) => kind.read_list(&texts),
                None => Err(Refusal::new(
                    "contains something that is not a string",
                    "write a list of strings: [\"…\"]",
                )),
            }
        }
        (Kind::List(_), _) => mismatch("a list: [\"…\"]"),
        (kind, Raw::Plain(text)) => kind.read(text),
        (Kind::Integer(..) | Kind::Fraction, Raw::Integer(number))
        | (Kind::Fraction, Raw::Fraction(number)) => kind.read(number),
        (Kind::Integer(..), _) => mismatch("a number, without quotes"),
        (Kind::Fraction, _) => mismatch("a number from 0 to 1, without quotes"),
        (Kind::Bool, Raw::Bool(on)) => Ok(Value::Bool(*on)),
        (Kind::Bool, _) => mismatch("true or false, without quotes"),
        (Kind::Duration(..), Raw::Integer(_)) => mismatch("a number and a unit: \"15m\""),
        (kind, Raw::Text(text)) => kind.read(text),
        (_, _) => mismatch("a string, in quotes"),
    }
}

/// The content of the file that a `…_file` setting names, without its trailing newline.
fn from_file(setting: &Setting, given: &Given, values: &mut Values) -> Result<String, Refusal> {
    let (Raw::Plain(path) | Raw::Text(path)) = &given.raw else {
        return Err(Refusal::new(format!("is {}", given.raw.name()), "write the path of a file"));
    };
    let unreadable = |error: std::io::Error| {
        Refusal::new(format!("names {}, which cannot be read", named(path)), error.to_string())
    };
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    if setting.kind.is_secret() {
        values.secret_files.named(&given.key, Path::new(path)).map_err(unreadable)?;
    }
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() && !matches!(setting.kind, Kind::List(_)) {
        return Err(Refusal::new(
            format!("names {}, which is empty", named(path)),
            "write the value into the file",
        ));
    }
    Ok(text.to_owned())
}

/// The name of a file for a message. By mistake, `path` is perhaps the secret itself. So `path` is
/// quoted only if its folder exists and the path of that folder has at least two parts.
fn named(path: &str) -> String {
    let folder = Path::new(path).parent().filter(|folder| folder.components().count() > 1);
    if folder.is_some_and(Path::is_dir) { format!("`{path}`") } else { "a file".to_owned() }
}

/// How similar an unknown key and a known key must be, so that a message suggests the known key
/// (Jaro-Winkler, 0 to 1).
const ALIKE: f64 = 0.8;

/// The maximum length of a key that a message quotes, in bytes. No setting has a longer name.
const KEY_BYTES_MAX: usize = 64;

/// Whether a message quotes an unknown key. A message quotes only text that looks like a key,
/// because other text is perhaps a value in the wrong place.
fn is_name(given: &Given) -> bool {
    let is_flag = given.source == Source::Flag;
    let is_plain =
        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '.' | '-');
    given.key.len() <= KEY_BYTES_MAX
        && given.key.chars().all(|c| is_plain(c) || (!is_flag && c.is_ascii_uppercase()))
}

/// How similar two keys or two variables are. The prefix of all variables does not count, because
/// it would make any two variables similar.
fn likeness(known: &str, given: &str) -> f64 {
    let [known, given] = [known, given].map(|name| name.strip_prefix(PREFIX).unwrap_or(name));
    strsim::jaro_winkler(known, given)
}

fn unknown(given: &Given) -> Problem {
    if !is_name(given) {
        let what = format!("is an unknown key{}", given.source.place());
        let fix = "write KEY=VALUE with a key that `latchkey config init` lists";
        return Problem::new("(not a key)", what, fix);
    }
    let (what, names): (_, Vec<String>) = match &given.source {
        Source::Variable(_) => {
            ("is an unknown variable".to_owned(), settings::all().map(Setting::variable).collect())
        }
        source => (
            format!("is an unknown key{}", source.place()),
            settings::all().map(|setting| setting.key.to_owned()).collect(),
        ),
    };
    let section = format!("{}.", given.key);
    let fix = if settings::all().any(|setting| setting.key.starts_with(&section)) {
        format!("`{}` is a section: set a key of this section", given.key)
    } else {
        names
            .iter()
            .map(|name| (likeness(name, &given.key), name))
            .filter(|(alike, _)| *alike >= ALIKE)
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .map_or_else(
                || "remove it; `latchkey config init` lists all settings".to_owned(),
                |(_, name)| format!("did you mean `{name}`?"),
            )
    };
    Problem::new(given.key.clone(), what, fix)
}
