//! Checks who may read the daemon's files, and reports the warnings of the configuration.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::{Finding, Patient, State};
use crate::config::Loaded;
use crate::daemon::files::MASTER_KEY_FILE;
use crate::database::sqlite_path;
use crate::mail::MailboxKey;

/// Reports settings that are allowed but probably not intended.
pub(super) async fn warnings(loaded: &Loaded) -> Vec<Finding> {
    if loaded.warnings.is_empty() {
        return vec![Finding::ok("is valid, without a warning")];
    }
    let warning = |it: &crate::config::Problem| {
        Finding::warning(format!("{}: {}", it.key, it.what), it.fix.as_str())
    };
    loaded.warnings.iter().map(warning).collect()
}

/// Checks file modes: only the owner may read a key or the users' data.
pub(super) async fn run(patient: &Patient<'_>) -> Vec<Finding> {
    let config = patient.config;
    let mut found = vec![mode(&config.data_dir, 0o077, "chmod 700").map(softened)];
    found.push(mode(&config.data_dir.join(MASTER_KEY_FILE), 0o077, "chmod 600"));
    // A wrong mode of the key is only a warning, because without a usable key the daemon works, but
    // keeps the mailbox closed.
    let mailbox_key = MailboxKey::file_in(&config.data_dir);
    if config.mail.smtp_url.is_none() {
        found.push(mode(&mailbox_key, 0o077, "rm").map(softened));
    }
    if config.database.is_sqlite() {
        found.push(mode(&sqlite_path(config.database.url.expose()), 0o077, "chmod 600"));
    }
    // With the profile `production` a daemon does not start if other users can read a file with a
    // secret.
    let secret = |path: &PathBuf| mode(path, 0o006, "chmod o-rw").map(softened);
    found.extend(patient.secret_files.iter().map(secret));
    if let Some(tls) = config.http.tls() {
        found.push(mode(&tls.key, 0o007, "chmod 640"));
    }
    let found: Vec<Finding> = found.into_iter().flatten().collect();
    if found.is_empty() {
        return vec![Finding::skipped(
            "no file is on this machine: all data is on other machines, or no daemon has run yet",
        )];
    }
    found
}

/// Turns a failure into a warning. If other users can read a folder, they see only names, because
/// the files in it have their own modes.
fn softened(finding: Finding) -> Finding {
    let state = if finding.state == State::Failed { State::Warning } else { finding.state };
    Finding { state, ..finding }
}

/// Checks a file or folder, if it exists. The mode must not contain a right in `forbidden`.
fn mode(path: &Path, forbidden: u32, fix: &str) -> Option<Finding> {
    let mode = path.metadata().ok()?.permissions().mode() & 0o777;
    let name = path.display();
    if mode & forbidden == 0 {
        return Some(Finding::ok(format!("{name} has mode {mode:03o}")));
    }
    let text =
        format!("{name} has mode {mode:03o}: other users of this machine can read or change it");
    Some(Finding::failed(text, &format!("run {fix} {name}")))
}
