//! `latchkey doctor`: checks everything that a daemon depends on, from the machine where it runs,
//! and says what to do.
//!
//! Each file contains one check. A check creates nothing and prints no secret. It changes nothing
//! except the row and the keys that a daemon's own probe writes. A check that takes longer than
//! [`CHECK_WITHIN`] is aborted. All checks run at the same time. The result of a check is a list of
//! [`Finding`]s.

mod captcha;
mod certificate;
mod cgroup;
mod database;
mod disk;
mod files;
mod hashing;
mod keys;
mod mail;
mod network;
mod redis;
mod rights;
mod tls;

use std::error::Error;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use serde_json::{Value, json};

use super::output::{Talk, print, print_json};
use crate::config::{Config, Loaded, Problems};
use crate::database::{Db, cause, lacks_table};
use crate::exit::{BAD_CONFIGURATION, CHECK_SAYS_NO};
use crate::secret::redact;

/// How long one check may take. SMTP has four steps that use the network.
const CHECK_WITHIN: Duration = Duration::from_secs(15);

/// The state of what was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ok,
    /// What was checked works, but will cause a problem later.
    Warning,
    /// The daemon does not start, or a part of it does not work.
    Failed,
    /// There is nothing to check.
    Skipped,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// One result of a check.
#[derive(Clone, Debug)]
struct Finding {
    state: State,
    detail: String,
    /// What to do, if there is something to do.
    remedy: Option<String>,
}

impl Finding {
    fn new(state: State, detail: impl Into<String>, remedy: Option<&str>) -> Self {
        Self { state, detail: redact(&detail.into()), remedy: remedy.map(str::to_owned) }
    }
    fn ok(detail: impl Into<String>) -> Self {
        Self::new(State::Ok, detail, None)
    }
    fn skipped(detail: impl Into<String>) -> Self {
        Self::new(State::Skipped, detail, None)
    }
    fn warning(detail: impl Into<String>, remedy: &str) -> Self {
        Self::new(State::Warning, detail, Some(remedy))
    }
    fn failed(detail: impl Into<String>, remedy: &str) -> Self {
        Self::new(State::Failed, detail, Some(remedy))
    }
}

/// Reports rows that cannot be read. Before the first migration their table does not exist.
fn unread(what: &str, error: &(dyn Error + 'static)) -> Finding {
    if cause(error).is_some_and(lacks_table) {
        return Finding::skipped(format!("the database has no {what} yet"));
    }
    Finding::failed(
        format!("the {what} cannot be read: {error}"),
        "correct what the error names: a right of the role (docs/secure.md), the schema (`latchkey \
         migrate status`) or the server",
    )
}

/// The objects that the checks examine.
struct Patient<'a> {
    config: &'a Config,
    secret_files: &'a [PathBuf],
    /// `None` if the database does not respond. The check of the database reports why.
    db: Option<Db>,
}

type Check<'a> = (&'static str, BoxFuture<'a, Vec<Finding>>);

/// Runs all checks. Exits with 0 if nothing failed, even if there are warnings, and with 3 if
/// something failed. Exits with 78 if the configuration is not valid, because nothing else can be
/// checked then.
pub async fn run(loaded: Result<Loaded, Problems>, json: bool, talk: Talk) -> ExitCode {
    let loaded = match loaded {
        Ok(loaded) => loaded,
        Err(problems) => {
            if json {
                let found = Finding::failed(
                    "is not valid",
                    "run `latchkey config check` to see what is wrong",
                );
                let mut data = as_json(&[("configuration", vec![found])]);
                data["problems"] = json!(problems.0);
                print_json(talk, &data);
            }
            talk.problems(&problems);
            return ExitCode::from(BAD_CONFIGURATION);
        }
    };
    let findings = examine(&loaded).await;
    let failed = findings.iter().flat_map(|(_, all)| all).any(|it| it.state == State::Failed);
    let printed =
        if json { print_json(talk, &as_json(&findings)) } else { print(talk, &as_text(&findings)) };
    if failed { ExitCode::from(CHECK_SAYS_NO) } else { printed }
}

async fn examine(loaded: &Loaded) -> Vec<(&'static str, Vec<Finding>)> {
    let config = &loaded.config;
    let opened = tokio::time::timeout(CHECK_WITHIN, database::open(config)).await;
    let (db, reached) = opened.unwrap_or_else(|_| (None, vec![out_of_time()]));
    let patient = &Patient { config, secret_files: &loaded.secret_files, db };
    let checks: Vec<Check<'_>> = vec![
        ("configuration", Box::pin(files::warnings(loaded))),
        ("files", Box::pin(files::run(patient))),
        ("master key", Box::pin(keys::master(patient))),
        ("database", Box::pin(database::run(patient, reached))),
        ("signing keys", Box::pin(keys::signing(patient))),
        ("factors", Box::pin(keys::factors(patient))),
        ("token store", Box::pin(redis::run(patient))),
        ("smtp", Box::pin(mail::smtp(patient))),
        ("outbox", Box::pin(mail::outbox(patient))),
        ("captcha", Box::pin(captcha::run(patient))),
        ("tls", Box::pin(tls::run(patient))),
        ("public_url", Box::pin(network::public_url(patient))),
        ("ports", Box::pin(network::ports(patient))),
        ("others", Box::pin(network::others(patient))),
        ("hashing", Box::pin(hashing::run(patient))),
        ("disk", Box::pin(disk::run(patient))),
    ];
    let limited = checks.into_iter().map(|(name, check)| async move {
        let found = tokio::time::timeout(CHECK_WITHIN, check).await;
        (name, found.unwrap_or_else(|_| vec![out_of_time()]))
    });
    join_all(limited).await
}

fn out_of_time() -> Finding {
    Finding::failed(
        format!("no response within {} s", CHECK_WITHIN.as_secs()),
        "check the network between this machine and the server: dropped packets cause this",
    )
}

fn as_json(findings: &[(&'static str, Vec<Finding>)]) -> Value {
    let one = |name: &'static str, it: &Finding| json!({ "check": name, "state": it.state.name(), "detail": it.detail, "remedy": it.remedy });
    let all: Vec<Value> =
        findings.iter().flat_map(|(name, all)| all.iter().map(|it| one(name, it))).collect();
    let count =
        |state| findings.iter().flat_map(|(_, all)| all).filter(|it| it.state == state).count();
    json!({
        "ok": count(State::Failed) == 0,
        "failed": count(State::Failed),
        "warnings": count(State::Warning),
        "checks": all,
    })
}

fn as_text(findings: &[(&'static str, Vec<Finding>)]) -> String {
    let (mut out, mut failed, mut warnings) = (String::new(), 0, 0);
    for (name, all) in findings {
        for it in all {
            failed += usize::from(it.state == State::Failed);
            warnings += usize::from(it.state == State::Warning);
            let _ = writeln!(out, "{:7}  {name:13}  {}", it.state.name(), it.detail);
            if let Some(remedy) = &it.remedy {
                let _ = writeln!(out, "{:24}> {remedy}", "");
            }
        }
    }
    let _ = writeln!(out, "{failed} failed, {warnings} with a warning");
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::{Inputs, Machine, load};

    /// A configuration with these settings over the defaults.
    pub(super) fn config(settings: &[(&str, &str)]) -> Config {
        let key = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=";
        let needs_key = settings.iter().any(|(_, value)| value.starts_with("postgres"));
        let master = needs_key.then_some(("secrets.master_key", key));
        let environment: BTreeMap<String, String> = settings
            .iter()
            .chain(&master)
            .map(|(name, value)| {
                let variable = format!("LATCHKEY_{}", name.replace('.', "__").to_uppercase());
                (variable, (*value).to_owned())
            })
            .collect();
        let machine = Machine { cores: 1, log_on_terminal: false };
        let inputs = Inputs { files: Vec::new(), environment: &environment, flags: &[], machine };
        load(&inputs).unwrap_or_else(|problems| panic!("{problems}")).config
    }

    pub(super) fn states(found: &[Finding]) -> Vec<State> {
        found.iter().map(|it| it.state).collect()
    }

    #[test]
    fn what_fails_or_warns_is_counted_and_has_a_remedy_in_text_and_json() {
        let findings = [
            ("files", vec![Finding::ok("fine"), Finding::warning("odd", "chmod")]),
            ("disk", vec![Finding::failed("full", "delete files"), Finding::skipped("none")]),
        ];
        let text = as_text(&findings);
        assert!(text.ends_with("1 failed, 1 with a warning\n"), "{text}");
        assert!(text.contains("> chmod") && text.contains("> delete files"), "{text}");
        let json = as_json(&findings);
        let counts = (&json["ok"], &json["failed"], &json["warnings"]);
        assert_eq!(counts, (&json!(false), &json!(1), &json!(1)));
        assert_eq!(
            json["checks"][3],
            json!({ "check": "disk", "state": "skipped", "detail": "none", "remedy": null })
        );
    }
}
