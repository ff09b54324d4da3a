//! How much room the disk of `data_dir` has.

use super::{Finding, Patient};

/// SQLite cannot write without room for its log; a checkpoint and a backup need as much again.
const LOW_MIB: u64 = 1_024;
const FULL_MIB: u64 = 64;

pub(super) async fn run(patient: &Patient<'_>) -> Vec<Finding> {
    let config = patient.config;
    let keeps = config.database.is_sqlite() || config.mail.smtp_url.is_none();
    if !keeps {
        return vec![Finding::skipped("nothing is kept on this machine")];
    }
    // Where it is not made yet, the folder that it will be made in.
    let Some(place) = config.data_dir.ancestors().find(|path| path.exists()) else {
        return vec![Finding::skipped("there is no `data_dir` yet")];
    };
    let stat = match rustix::fs::statvfs(place) {
        Ok(stat) => stat,
        Err(error) => return vec![Finding::warning(error.to_string(), "see that it can be read")],
    };
    let free = stat.f_bavail.saturating_mul(stat.f_frsize) / (1_024 * 1_024);
    let text = format!("{free} MiB are free at {}", config.data_dir.display());
    let remedy = "make room, or move `data_dir`";
    vec![match free {
        free if free < FULL_MIB => Finding::failed(text, remedy),
        free if free < LOW_MIB => Finding::warning(text, remedy),
        _ => Finding::ok(text),
    }]
}
