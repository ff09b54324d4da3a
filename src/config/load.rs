//! Loads a checked [`Config`] from its sources. The result depends only on the inputs and on the
//! files that values name.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::Config;
use super::check::check;
use super::check_egress::unencrypted_headers;
use super::check_roles::check_migrations;
use super::derive::derive;
use super::environment;
use super::file::ConfigFile;
use super::layers::{Values, lay};
use super::problems::{Problem, Problems};
use super::settings::{self, TelemetrySettings};
use super::show::{Shown, show};
use super::source::{Given, Raw, Source};
use super::telemetry::{telemetry, unheard};

/// The file that is read if it exists and `--config` names no other file.
pub const DEFAULT_FILE: &str = "latchkey.toml";

/// The properties of the machine that defaults depend on.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    /// The number of threads that can run at once.
    pub cores: usize,
    /// Whether the log is written to a terminal.
    pub log_on_terminal: bool,
}

/// Everything from which a configuration is loaded.
#[derive(Clone)]
pub struct Inputs<'a> {
    /// The files. A later file overrides an earlier file.
    pub files: Vec<ConfigFile>,
    /// The environment variables. Only `LATCHKEY_…`, `OTEL_…`, `NO_COLOR` and
    /// `SSL_CERT_FILE` are read.
    pub environment: &'a BTreeMap<String, String>,
    /// `key=value` pairs from the command line.
    pub flags: &'a [String],
    pub machine: Machine,
}

/// Shows the inputs without environment variables and flags, which may contain secrets.
impl fmt::Debug for Inputs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inputs").field("files", &self.files).finish_non_exhaustive()
    }
}

/// A valid configuration, with its warnings and sources.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Config,
    /// Settings that are allowed, but probably not intended.
    pub warnings: Vec<Problem>,
    /// Every setting with its value and its source, in the order of the catalogue. Secrets are
    /// redacted.
    pub sources: Vec<Shown>,
    /// The files that hold secrets: files that `…_file` settings name, and configuration files that
    /// contain secrets.
    pub secret_files: Vec<PathBuf>,
}

/// Returns the files that `--config` names. If `--config` names none, returns `latchkey.toml` in
/// the working directory, if that file exists.
pub fn files(named: &[PathBuf]) -> Vec<ConfigFile> {
    let default = Path::new(DEFAULT_FILE);
    if named.is_empty() && default.exists() {
        return vec![ConfigFile::read(default)];
    }
    named.iter().map(|path| ConfigFile::read(path)).collect()
}

/// Loads and checks a configuration.
///
/// The error contains every problem that can be found at once.
pub fn load(inputs: &Inputs<'_>) -> Result<Loaded, Problems> {
    load_checked(inputs, check)
}

/// Loads the configuration of `latchkey migrate`. This command needs only the database, so no rule
/// requires a secret of the daemon or any other setting.
pub fn load_for_migrations(inputs: &Inputs<'_>) -> Result<Loaded, Problems> {
    load_checked(inputs, check_migrations)
}

type Check = fn(&Values, &mut Vec<Problem>, &mut Vec<Problem>);

fn load_checked(inputs: &Inputs<'_>, check: Check) -> Result<Loaded, Problems> {
    let mut problems = Vec::new();
    let mut layers: Vec<Vec<Given>> =
        inputs.files.iter().map(|file| file.given(&mut problems)).collect();
    layers.push(environment::given(inputs.environment));
    layers.push(flags(inputs.flags, &mut problems));
    let mut values = lay(layers, &mut problems);
    derive(&mut values, inputs.machine);
    let mut warnings = Vec::new();
    check(&values, &mut problems, &mut warnings);
    problems.extend(environment::bad_authorities(inputs.environment));
    let settings = TelemetrySettings::read(&values);
    let telemetry = settings.map(|it| telemetry(&it, inputs.environment, &mut problems));
    warnings.extend(telemetry.as_ref().and_then(unencrypted_headers));
    unheard(&values, inputs.environment, &mut warnings);
    let is_coloured =
        inputs.machine.log_on_terminal && !environment::wants_no_color(inputs.environment);
    match telemetry.and_then(|telemetry| Config::read(&values, telemetry, is_coloured)) {
        Some(config) if problems.is_empty() => {
            let sources = settings::all().map(|setting| show(setting, &values)).collect();
            let secret_files = values.secret_files.paths();
            Ok(Loaded { config, warnings, sources, secret_files })
        }
        Some(_) => Err(Problems(problems)),
        None => {
            if problems.is_empty() {
                problems.push(Problem::new(
                    "configuration",
                    "cannot be read completely",
                    "report this as a bug",
                ));
            }
            Err(Problems(problems))
        }
    }
}

/// Reads `key=value` flags. Secrets are refused, because every process can read a command line.
fn flags(flags: &[String], problems: &mut Vec<Problem>) -> Vec<Given> {
    let mut given = Vec::new();
    for flag in flags {
        let Some((key, value)) = flag.split_once('=') else {
            problems.push(Problem::new(
                "--set",
                "is not key=value",
                "write it as --set http.listen=127.0.0.1:8080",
            ));
            continue;
        };
        if settings::find(key).is_some_and(|setting| setting.kind.is_secret()) {
            problems.push(Problem::new(
                key,
                "is a secret, and every process of this machine can read the command line",
                format!("set it in the environment, or with --set {key}_file=PATH"),
            ));
            continue;
        }
        given.push(Given {
            key: key.to_owned(),
            raw: Raw::Plain(value.to_owned()),
            source: Source::Flag,
        });
    }
    given
}
