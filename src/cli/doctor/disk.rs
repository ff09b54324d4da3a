//! Checks the free space of the disks that hold data: the disk of `data_dir`, and the disk of the
//! SQLite file if this file is not in `data_dir`.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::{Finding, Patient};
use crate::config::Config;
use crate::database::sqlite_path;

/// SQLite cannot write without space for its write-ahead log. A checkpoint and a backup need the
/// same space again.
const LOW_MIB: u64 = 1_024;
const FULL_MIB: u64 = 64;

pub(super) async fn run(patient: &Patient<'_>) -> Vec<Finding> {
    let places = places(patient.config);
    if places.is_empty() {
        return vec![Finding::skipped("no data is stored on this machine")];
    }
    let (mut disks, mut found) = (Vec::new(), Vec::new());
    for (setting, folder) in places {
        // If the folder does not exist yet, use the folder in which it will be created.
        let there = folder.ancestors().map(or_here).find(|path| path.exists());
        let disk = there.and_then(|path| Some((path, path.metadata().ok()?.dev())));
        let Some((path, disk)) = disk else {
            found.push(Finding::skipped(format!("{} does not exist yet", folder.display())));
            continue;
        };
        if disks.contains(&disk) {
            continue;
        }
        disks.push(disk);
        found.push(match rustix::fs::statvfs(path) {
            Ok(stat) => {
                let free = stat.f_bavail.saturating_mul(stat.f_frsize) / (1_024 * 1_024);
                room(free, setting, &folder)
            }
            Err(error) => Finding::warning(error.to_string(), "check that the folder can be read"),
        });
    }
    found
}

/// Returns the folders that hold data, each with the setting that moves it.
fn places(config: &Config) -> Vec<(&'static str, PathBuf)> {
    let mut places = Vec::new();
    if config.database.is_sqlite() {
        let file = sqlite_path(config.database.url.expose());
        places.push(("database.url", or_here(file.parent().unwrap_or(&file)).to_owned()));
    }
    if config.mail.smtp_url.is_none() || config.secrets.master_key.is_none() {
        places.push(("data_dir", config.data_dir.clone()));
    }
    places
}

/// Returns `.` for an empty path, because the last ancestor of a relative path is the empty path.
fn or_here(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}

fn room(free_mib: u64, setting: &str, folder: &Path) -> Finding {
    let text = format!("{free_mib} MiB are free at {}", folder.display());
    let remedy =
        format!("delete files to make room, or move the data to another disk (`{setting}`)");
    match free_mib {
        free if free < FULL_MIB => Finding::failed(text, &remedy),
        free if free < LOW_MIB => Finding::warning(text, &remedy),
        _ => Finding::ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::super::tests::config;
    use super::*;

    #[test]
    fn a_disk_warns_before_it_is_full() {
        let at = |free| room(free, "data_dir", Path::new("data")).state;
        for (free, state) in [
            (0, State::Failed),
            (63, State::Failed),
            (64, State::Warning),
            (1_023, State::Warning),
            (1_024, State::Ok),
        ] {
            assert_eq!(at(free), state, "{free}");
        }
    }

    #[test]
    fn every_folder_counts_in_which_something_is_kept() {
        let smtp = ("mail.smtp_url", "smtp://mail");
        let key = ("secrets.master_key", "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=");
        let places = |settings: &[(&str, &str)]| places(&config(settings));
        let data = ("data_dir", PathBuf::from("./data"));
        assert_eq!(places(&[]), [("database.url", PathBuf::from("./data")), data.clone()]);
        let elsewhere = ("database.url", "sqlite:///srv/db/a.db");
        let srv = ("database.url", PathBuf::from("/srv/db"));
        assert_eq!(places(&[elsewhere]), [srv.clone(), data.clone()]);
        assert_eq!(places(&[elsewhere, smtp, key]), [srv]);
        let here = ("database.url", PathBuf::from("."));
        assert_eq!(places(&[("database.url", "sqlite://a.db"), smtp, key]), [here]);
        let server = ("database.url", "postgres://ada@db/x");
        assert_eq!(places(&[server]), [data]);
        assert_eq!(places(&[server, smtp]), []);
    }
}
