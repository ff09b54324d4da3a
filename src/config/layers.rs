//! Lays the sources over each other: files, then the environment, then flags; the later one wins.
//!
//! Here unknown keys are found, values are read out of their own files, and text becomes values. What is wrong is
//! collected, and the rest goes on, so that a person sees everything at once.

use std::collections::BTreeMap;
use std::path::Path;

use super::holds::SecretFiles;
use super::kind::{Kind, Refusal, Value, split};
use super::problems::Problem;
use super::setting::{Fallback, Setting};
use super::settings;
use super::source::{Given, Raw, Source};

/// The values of the settings that are given or have a default of fixed text.
#[derive(Default)]
pub struct Values {
    values: BTreeMap<&'static str, Option<(Value, Source)>>,
    /// Files that hold secrets.
    pub secret_files: SecretFiles,
}

impl Values {
    /// The value; `None` where there is none or it was refused.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.values.get(key).and_then(Option::as_ref).map(|(value, _)| value)
    }

    /// Where the value comes from; the default where there is none.
    pub fn source(&self, key: &str) -> Source {
        let found = self.values.get(key).and_then(Option::as_ref);
        found.map_or(Source::Default, |(_, source)| source.clone())
    }

    /// Whether somebody gave it, rightly or wrongly.
    pub fn is_given(&self, key: &str) -> bool {
        self.is_refused(key) || self.source(key) != Source::Default
    }

    /// Whether it was given and refused, so that nothing should be concluded from its absence.
    pub fn is_refused(&self, key: &str) -> bool {
        self.values.get(key).is_some_and(Option::is_none)
    }

    /// Puts a derived default where nobody gave the setting.
    pub fn derive(&mut self, key: &'static str, value: Value) {
        self.values.entry(key).or_insert(Some((value, Source::Default)));
    }

    /// Replaces a default that another setting limits.
    pub fn limit(&mut self, key: &'static str, value: Value) {
        self.values.insert(key, Some((value, Source::Default)));
    }
}

/// Lays `layers` over the defaults, the last one on top.
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
                    format!("given twice{place}")
                } else {
                    match given.source {
                        Source::Variable(_) => {
                            "given both in the environment and as a file".to_owned()
                        }
                        _ => format!("given both as a value and as a file{place}"),
                    }
                };
                problems.push(Problem::new(setting.key, what, "keep one"));
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

/// Whether the value stands where the key stands.
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
    // The unit tests hold that every default is read.
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
            // The text of a file may be a secret whatever the setting is: the wrong file may be named.
            let shows_value = through == Through::Value && !setting.kind.is_secret();
            let what = format!("{}{}", refusal.what(shows_value), given.source.place());
            problems.push(Problem::new(given.key.clone(), what, refusal.fix));
            None
        }
    }
}

/// Reads a value in the shape that its source must have: a file says integers, switches and lists as such.
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
                None => {
                    Err(Refusal::new("holds what is no text", "write a list of texts: [\"…\"]"))
                }
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
        (_, _) => mismatch("a text, in quotes"),
    }
}

/// The text of the file that a `…_file` names, without its trailing newline.
fn from_file(setting: &Setting, given: &Given, values: &mut Values) -> Result<String, Refusal> {
    let (Raw::Plain(path) | Raw::Text(path)) = &given.raw else {
        return Err(Refusal::new(format!("is {}", given.raw.name()), "write a file's path"));
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
            "put the value into it",
        ));
    }
    Ok(text.to_owned())
}

/// A file that a `…_file` names. What stands there by mistake may be the secret itself, so it is quoted only where it is
/// the path of a file in a folder that exists.
fn named(path: &str) -> String {
    let folder = Path::new(path).parent().filter(|folder| folder.components().count() > 1);
    if folder.is_some_and(Path::is_dir) { format!("`{path}`") } else { "a file".to_owned() }
}

/// How alike two names have to be (Jaro-Winkler, 0 to 1) for one to be offered for the other.
const ALIKE: f64 = 0.8;

/// No setting has a longer name.
const KEY_BYTES_MAX: usize = 64;

/// Whether a key is quoted that nobody knows: it looks like one. What is no name may be a value in the wrong place.
fn is_name(given: &Given) -> bool {
    let is_flag = given.source == Source::Flag;
    let is_plain =
        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '.' | '-');
    given.key.len() <= KEY_BYTES_MAX
        && given.key.chars().all(|c| is_plain(c) || (!is_flag && c.is_ascii_uppercase()))
}

fn unknown(given: &Given) -> Problem {
    if !is_name(given) {
        let what = format!("unknown key{}", given.source.place());
        let fix = "write KEY=VALUE with a key that `latchkey config init` lists";
        return Problem::new("(not a key)", what, fix);
    }
    let (what, names): (_, Vec<String>) = match &given.source {
        Source::Variable(_) => {
            ("unknown variable".to_owned(), settings::all().map(Setting::variable).collect())
        }
        source => (
            format!("unknown key{}", source.place()),
            settings::all().map(|setting| setting.key.to_owned()).collect(),
        ),
    };
    let section = format!("{}.", given.key);
    let fix = if settings::all().any(|setting| setting.key.starts_with(&section)) {
        format!("`{}` is a section", given.key)
    } else {
        names
            .iter()
            .map(|name| (strsim::jaro_winkler(name, &given.key), name))
            .filter(|(alike, _)| *alike >= ALIKE)
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .map_or_else(
                || "remove it; `latchkey config init` lists all".to_owned(),
                |(_, name)| format!("did you mean `{name}`?"),
            )
    };
    Problem::new(given.key.clone(), what, fix)
}
