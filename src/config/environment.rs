//! Environment variables: which are ours, and the one place that reads the process's.

use std::collections::BTreeMap;

use super::setting::PREFIX;
use super::settings;
use super::source::{Given, Raw, Source};

/// Variables that Kubernetes makes for a service named latchkey.
const OF_KUBERNETES: [&str; 2] = ["LATCHKEY_SERVICE_", "LATCHKEY_PORT"];

/// The process's environment as far as it concerns us: `LATCHKEY_…`, `OTEL_…` and `NO_COLOR`.
///
/// What is not UTF-8 holds U+FFFD and is refused as a value.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub fn process_environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .map(|(name, value)| {
            (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())
        })
        .filter(|(name, _)| {
            name.starts_with(PREFIX) || name.starts_with("OTEL_") || name == "NO_COLOR"
        })
        .collect()
}

/// The words of the process's command line, without its own name.
pub fn process_arguments() -> Vec<String> {
    std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect()
}

/// Whether people want no colour (<https://no-color.org>): the variable is there and not empty.
pub fn wants_no_color(environment: &BTreeMap<String, String>) -> bool {
    environment.get("NO_COLOR").is_some_and(|value| !value.is_empty())
}

/// What the environment gives. The key of an unknown variable is its own name.
pub(super) fn given(environment: &BTreeMap<String, String>) -> Vec<Given> {
    let known: BTreeMap<String, &str> =
        settings::all().map(|setting| (setting.variable(), setting.key)).collect();
    let key = |name: &str| match (known.get(name), name.strip_suffix("_FILE")) {
        (Some(key), _) => (*key).to_owned(),
        (None, Some(stem)) => {
            known.get(stem).map_or_else(|| name.to_owned(), |key| format!("{key}_file"))
        }
        (None, None) => name.to_owned(),
    };
    environment
        .iter()
        .filter(|(name, _)| name.starts_with(PREFIX))
        .filter(|(name, _)| !OF_KUBERNETES.iter().any(|prefix| name.starts_with(prefix)))
        .map(|(name, value)| Given {
            key: key(name),
            raw: Raw::Plain(value.clone()),
            source: Source::Variable(name.clone()),
        })
        .collect()
}
