//! A test of the limit of open files.

use std::process::{Command, Stdio};

use super::{PROGRAM, Place};

/// Starts the daemon under limits of a shell (`ulimit`).
fn limited(place: &mut Place, limits: &str) -> super::Daemon {
    place.starts += 1;
    let log = place.path(&format!("stderr.{}", place.starts));
    let file = std::fs::File::create(&log).expect("a log");
    let mut command = Command::new("/bin/sh");
    command.args(["-c", &format!("{limits}; exec {PROGRAM}")]);
    command.current_dir(place.directory.path()).stdin(Stdio::null());
    command.env_clear().envs(place.settings.iter().map(|(name, value)| (name, value)));
    command.stdout(Stdio::null()).stderr(file);
    super::Daemon { child: command.spawn().expect("the shell runs"), log }
}

/// The soft and the hard limit of a process.
fn limits(daemon: &super::Daemon) -> Vec<String> {
    let path = format!("/proc/{}/limits", daemon.child.id());
    let text = std::fs::read_to_string(path).expect("it runs");
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"));
    line.expect("a limit").split_whitespace().take(2).map(str::to_owned).collect()
}

#[tokio::test]
async fn the_soft_limit_of_open_files_is_raised_and_a_low_hard_limit_is_logged_embedded() {
    const WARNING: &str =
        "all connections that the settings allow need more open files than this process may have";
    let mut place = Place::new().set("http.max_connections", "1000");
    let daemon = limited(&mut place, "ulimit -Sn 64; ulimit -Hn 1200");
    daemon.says("listening").await;
    assert_eq!(limits(&daemon), ["1200", "1200"]);
    assert!(daemon.line(WARNING).is_none(), "{}", daemon.log());
    drop(daemon);

    let daemon = limited(&mut place, "ulimit -Sn 64; ulimit -Hn 1147");
    daemon.says("listening").await;
    let warning = daemon.line(WARNING).expect("a warning");
    // 1000 clients, 64 connections to the admin listener, 20 to the database, and 64 other files.
    let numbers = ["needed", "limit"].map(|name| warning[name].as_u64());
    assert_eq!(numbers, [Some(1148), Some(1147)], "{warning}");
}
