//! The environment variables of latchkey, and the only code that reads variables from the process.

use std::collections::BTreeMap;

use super::setting::PREFIX;
use super::settings;
use super::source::{Given, Raw, Source};

/// Variables that Kubernetes sets for a service named latchkey.
const OF_KUBERNETES: [&str; 2] = ["LATCHKEY_SERVICE_", "LATCHKEY_PORT"];

/// The variables of the process that latchkey reads: `LATCHKEY_…`, `OTEL_…` and `NO_COLOR`.
///
/// Bytes that are not UTF-8 become U+FFFD. A setting refuses a value with this character.
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

/// The arguments of the command line, without the name of the program.
pub fn process_arguments() -> Vec<String> {
    std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect()
}

/// Whether the operator wants no colours (<https://no-color.org>): `NO_COLOR` is set and not empty.
pub fn wants_no_color(environment: &BTreeMap<String, String>) -> bool {
    environment.get("NO_COLOR").is_some_and(|value| !value.is_empty())
}

/// The settings in the environment. The key of an unknown variable is the name of the variable.
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
