//! How much room there is at `data_dir`, and at the database where that lies elsewhere.

use std::path::Path;

use super::{Finding, Patient};
use crate::database::sqlite_path;

/// SQLite cannot write without room for its log; a checkpoint and a backup need as much again.
const LOW_MIB: u64 = 1_024;
const FULL_MIB: u64 = 64;

pub(super) async fn run(patient: &Patient<'_>) -> Vec<Finding> {
    let config = patient.config;
    let keeps = config.database.is_sqlite() || config.mail.smtp_url.is_none();
    if !keeps {
        return vec![Finding::skipped("nothing is kept on this machine")];
    }
    let mut places = vec![("data_dir", config.data_dir.as_path())];
    let file = Path::new(sqlite_path(config.database.url.expose()));
    if config.database.is_sqlite() && !file.starts_with(&config.data_dir) {
        places.push(("database.url", file.parent().unwrap_or(Path::new("."))));
    }
    places.into_iter().map(|(setting, place)| room(setting, place)).collect()
}

fn room(setting: &str, place: &Path) -> Finding {
    // Where it is not made yet, the folder that it will be made in.
    let there = if place.as_os_str().is_empty() { Path::new(".") } else { place };
    let Some(there) = there.ancestors().find(|path| path.exists()) else {
        return Finding::skipped("its folder is not there yet");
    };
    let stat = match rustix::fs::statvfs(there) {
        Ok(stat) => stat,
        Err(error) => return Finding::warning(error.to_string(), "see that it can be read"),
    };
    let free = stat.f_bavail.saturating_mul(stat.f_frsize) / (1_024 * 1_024);
    judge(setting, place, free)
}

fn judge(setting: &str, place: &Path, free_mib: u64) -> Finding {
    let text = format!("{free_mib} MiB are free at {}", place.display());
    let remedy = format!("make room, or move `{setting}`");
    match free_mib {
        free if free < FULL_MIB => Finding::failed(text, &remedy),
        free if free < LOW_MIB => Finding::warning(text, &remedy),
        _ => Finding::ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::State;

    #[test]
    fn little_room_is_a_warning_and_none_a_failure() {
        let at = |free| judge("data_dir", Path::new("data"), free).state;
        assert_eq!(at(FULL_MIB - 1), State::Failed);
        assert_eq!(at(FULL_MIB), State::Warning);
        assert_eq!(at(LOW_MIB), State::Ok);
    }
}
