//! The environment variables of latchkey, and the only code that reads variables from the process.

use std::collections::BTreeMap;
use std::path::Path;

use super::problems::Problem;
use super::setting::PREFIX;
use super::settings;
use super::source::{Given, Raw, Source};
use crate::authorities::Authorities;

/// Variables that Kubernetes sets for a service named latchkey.
const OF_KUBERNETES: [&str; 2] = ["LATCHKEY_SERVICE_", "LATCHKEY_PORT"];
/// `deploy/compose/compose.yaml` reads the name of the image from this variable. So it can be set
/// where an operator runs a command of latchkey.
const OF_COMPOSE: &str = "LATCHKEY_IMAGE";

/// The file that replaces the machine's certificate authorities. The TLS library reads it.
const AUTHORITIES: &str = "SSL_CERT_FILE";

/// The variables of the process that latchkey reads: `LATCHKEY_…`, `OTEL_…`, `NO_COLOR` and
/// `SSL_CERT_FILE`.
///
/// Bytes that are not UTF-8 become U+FFFD. A setting refuses a value with this character.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub fn process_environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .map(|(name, value)| {
            (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())
        })
        .filter(|(name, _)| {
            name.starts_with(PREFIX)
                || name.starts_with("OTEL_")
                || ["NO_COLOR", AUTHORITIES].contains(&name.as_str())
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

/// What is wrong with the file of certificate authorities that `SSL_CERT_FILE` names.
pub(super) fn bad_authorities(environment: &BTreeMap<String, String>) -> Option<Problem> {
    let file = environment.get(AUTHORITIES).filter(|file| !file.is_empty())?;
    let bad = Authorities::check(Path::new(file)).err()?;
    Some(Problem::new(AUTHORITIES, bad.to_string(), "correct the variable, or remove it"))
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
    let is_known = |name: &str| {
        known.contains_key(name)
            || name.strip_suffix("_FILE").is_some_and(|stem| known.contains_key(stem))
    };
    environment
        .iter()
        .filter(|(name, _)| name.starts_with(PREFIX))
        .filter(|(name, value)| is_known(name) || !is_of_others(name, value))
        .map(|(name, value)| Given {
            key: key(name),
            raw: Raw::Plain(value.clone()),
            source: Source::Variable(name.clone()),
        })
        .collect()
}

/// Whether a variable with latchkey's prefix was set for another purpose.
fn is_of_others(name: &str, value: &str) -> bool {
    name == OF_COMPOSE
        || (OF_KUBERNETES.iter().any(|prefix| name.starts_with(prefix)) && !name.contains("__"))
        || is_service_link(name, value)
}

/// Whether Kubernetes set this variable in every pod of a namespace, because the namespace has a
/// service. For a service named latchkey-db with the port 5432 it sets `LATCHKEY_DB_SERVICE_HOST`,
/// `LATCHKEY_DB_SERVICE_PORT`, `LATCHKEY_DB_SERVICE_PORT_` and the name of the port,
/// `LATCHKEY_DB_PORT`, `LATCHKEY_DB_PORT_5432_TCP`, and the last one with `_PROTO`, `_PORT` and
/// `_ADDR`.
///
/// `LATCHKEY_HTTP_PORT=8080` is more likely a setting that does not exist. The value of Kubernetes'
/// `…_PORT` is a URL: `tcp://10.0.0.1:5432`. A name with `__` is the path of a setting.
pub(super) fn is_service_link(name: &str, value: &str) -> bool {
    let is_of_port = || {
        let ends = ["_PROTO", "_PORT", "_ADDR"];
        let stem = ends.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        let port = stem.rsplit_once("_PORT_").and_then(|(_, port)| port.split_once('_'));
        port.is_some_and(|(number, protocol)| {
            number.parse::<u16>().is_ok() && ["TCP", "UDP", "SCTP"].contains(&protocol)
        })
    };
    !name.contains("__")
        && (name.ends_with("_SERVICE_HOST")
            || name.ends_with("_SERVICE_PORT")
            || name.contains("_SERVICE_PORT_")
            || (name.ends_with("_PORT") && value.contains("://"))
            || is_of_port())
}
