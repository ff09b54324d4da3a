//! The reference of the settings in three forms, generated from the catalogue: commented TOML, the
//! defaults as JSON, and Markdown.

use std::fmt::Write as _;

use serde_json::{Map, Value as Json};

use super::kind::{Item, Kind, split};
use super::setting::{Fallback, Section, Setting};
use super::settings::{self, SECTIONS};
use super::text::show_duration;

/// A TOML file in which every setting is commented out, with its default or an example.
pub fn toml() -> String {
    let mut out = String::from(
        "# All settings of latchkey with their defaults. Remove the # from a setting to change it.\n\
         # Each setting is also an environment variable. The variable's name is LATCHKEY_ and the\n\
         # path of the setting in capital letters, with __ between the parts. Each setting can\n\
         # also be read from a file: add _file to its name (_FILE to the name of the variable).\n",
    );
    for Section { name: section, about, .. } in SECTIONS {
        let _ = writeln!(out, "\n# {about}.");
        if !section.is_empty() {
            let _ = writeln!(out, "[{section}]");
        }
        for (setting, name) in of(section) {
            for line in wrapped(setting.doc, 100) {
                let _ = writeln!(out, "# {line}");
            }
            if let Fallback::Derived(words, _) = setting.fallback {
                let _ = writeln!(out, "# Default: {words}.");
            }
            if let Fallback::Nothing(_) = setting.fallback {
                out.push_str("# No default. An example:\n");
            }
            let _ = writeln!(out, "#{name} = {}", in_file(setting));
        }
    }
    out
}

/// The settings with a fixed default, as a JSON document that can be loaded.
pub fn json() -> String {
    let mut root = Map::new();
    for setting in settings::all() {
        if let Fallback::Is(_) = setting.fallback {
            insert(&mut root, setting.key, in_file(setting));
        }
    }
    pretty(&Json::Object(root))
}

/// Inserts a value at a dotted key.
pub(super) fn insert(root: &mut Map<String, Json>, key: &str, value: Json) {
    match key.split_once('.') {
        None => {
            root.insert(key.to_owned(), value);
        }
        Some((section, rest)) => {
            let entry = root.entry(section).or_insert_with(|| Json::Object(Map::new()));
            if let Json::Object(inner) = entry {
                insert(inner, rest, value);
            }
        }
    }
}

/// Indented JSON with a newline at its end.
pub(super) fn pretty(value: &Json) -> String {
    format!("{value:#}\n")
}

/// The content of `docs/configuration.md`.
pub fn markdown() -> String {
    let mut out = String::from(include_str!("reference.md"));
    for Section { name: section, about, .. } in SECTIONS {
        let title = if section.is_empty() {
            about.to_string()
        } else {
            format!("`{section}`: {}{}", about[..1].to_lowercase(), &about[1..])
        };
        let _ =
            writeln!(out, "\n## {title}\n\n| setting | default | what it means |\n|---|---|---|");
        for (setting, _) in of(section) {
            let default = match setting.fallback {
                Fallback::Is("") => "empty".to_owned(),
                Fallback::Is(text) => format!("`{text}`"),
                Fallback::Derived(words, _) => words.to_owned(),
                Fallback::Nothing(_) => "none".to_owned(),
            };
            let _ = writeln!(
                out,
                "| `{}` | {default} | {} {} |",
                setting.key,
                setting.doc,
                form(setting.kind)
            );
        }
    }
    out
}

/// A short sentence about the values that a kind accepts.
pub fn form(kind: Kind) -> String {
    let words = |words: &[&str]| {
        words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
    };
    let schemes = |schemes: &[&str]| {
        let forms: Vec<_> = schemes.iter().map(|scheme| format!("`{scheme}://`")).collect();
        format!("A URL: {}.", forms.join(", "))
    };
    match kind {
        Kind::Address => "An IP address and a port.".to_owned(),
        Kind::Url(known) => schemes(known),
        Kind::SecretUrl(known) => format!("{} Secret.", schemes(known)),
        Kind::BaseUrl => "`http://` or `https://`, host and port, without a path.".to_owned(),
        Kind::Duration(min, max) => {
            format!("A duration from {} to {}.", show_duration(min), show_duration(max))
        }
        Kind::Bool => "`true` or `false`.".to_owned(),
        Kind::Integer(min, max) => format!("An integer from {min} to {max}."),
        Kind::Fraction => "A number from 0 to 1.".to_owned(),
        Kind::Word(known) => format!("One of {}.", words(known)),
        Kind::List(Item::Word(known)) => format!("A list of any of {}.", words(known)),
        Kind::List(Item::Client | Item::Pepper) => "A list. Secret.".to_owned(),
        Kind::List(_) => "A list.".to_owned(),
        Kind::Path => "A path.".to_owned(),
        Kind::Text => "A string.".to_owned(),
        Kind::Mailbox => "`Name <address>` or an email address.".to_owned(),
        Kind::HeloName => "A domain name or an IP address.".to_owned(),
        Kind::DomainName => "A domain name.".to_owned(),
        Kind::Filter => "Filter directives of `tracing`.".to_owned(),
        Kind::Secret | Kind::Key | Kind::Pepper => "Secret.".to_owned(),
    }
}

/// The default or example, as a value of a configuration file.
pub fn in_file(setting: &Setting) -> Json {
    let text = setting.example();
    match setting.kind {
        Kind::List(_) => split(text).into(),
        Kind::Bool => (text == "true").into(),
        Kind::Fraction => text.parse::<f64>().map_or(Json::Null, Json::from),
        Kind::Integer(..) => text.parse::<u64>().map_or(Json::Null, Json::from),
        _ => text.into(),
    }
}

/// The settings of a section, each with its name inside the section.
fn of(section: &str) -> impl Iterator<Item = (&'static Setting, &'static str)> {
    settings::all().filter_map(move |setting| match setting.key.split_once('.') {
        None => section.is_empty().then_some((setting, setting.key)),
        Some((of, name)) => (of == section).then_some((setting, name)),
    })
}

/// Breaks text at spaces into lines of at most `width` characters.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + word.chars().count() < width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
