//! The programs of PostgreSQL. They create the data of a server, copy the data for a standby, and
//! promote a standby.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::servers::must_be_told;

/// Creates the data of a new server.
pub fn init(directory: &Path) {
    give(directory);
    let made = program("initdb")
        .args([
            "--no-sync",
            "-A",
            "trust",
            "-U",
            "postgres",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "-D",
        ])
        .arg(directory.join("data"))
        .current_dir("/")
        .output()
        .expect("initdb runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// Returns a command for a program of PostgreSQL. These programs refuse to run as root, so the
/// command uses the Unix user `postgres` if the test runs as root.
pub fn program(name: &str) -> Command {
    as_account(&PathBuf::from(must_be_told("LATCHKEY_TEST_PG_BIN")).join(name))
}

/// Returns a command for a program that refuses to run as root.
pub fn as_account(program: &Path) -> Command {
    let mut command = Command::new(program);
    if let Some((user, group)) = account() {
        command.uid(user).gid(group);
    }
    command
}

/// Returns the user id and the group id of the Unix user `postgres` if the test runs as root.
fn account() -> Option<(u32, u32)> {
    if fs::metadata("/proc/self").ok()?.uid() != 0 {
        return None;
    }
    let accounts = fs::read_to_string("/etc/passwd").expect("the accounts are readable");
    let line = accounts.lines().find(|line| line.starts_with("postgres:"));
    let mut fields = line.expect("there is an account `postgres`").split(':').skip(2);
    let mut number = || fields.next()?.parse().ok();
    Some((number()?, number()?))
}

/// Gives a file or a folder to the Unix user of the PostgreSQL servers.
pub fn give(path: &Path) {
    if let Some((user, group)) = account() {
        std::os::unix::fs::chown(path, Some(user), Some(group)).expect("root may give away");
    }
}

/// Copies a program into a folder and gives the folder to the Unix user `postgres`. This user may
/// not be allowed to read the folder of the program. `cp` writes the file, so that no other thread
/// of the tests can start a process while the file is open for writing. If a process had the file
/// open for writing, the kernel would refuse to run it.
pub fn copy_program(program: &Path, folder: &Path) -> PathBuf {
    let copied = Command::new("cp")
        .arg("--remove-destination")
        .args([program, folder])
        .status()
        .expect("cp runs");
    assert!(copied.success(), "{} cannot be copied", program.display());
    give(folder);
    folder.join(program.file_name().expect("a program has a name"))
}

/// Copies the data of a running server, for a standby that follows this server (`standby.signal`).
pub fn copy(directory: &Path, port: u16) {
    give(directory);
    let copied = program("pg_basebackup")
        .args(["-h", "127.0.0.1", "-U", "postgres", "-p", &port.to_string()])
        .args(["-R", "-X", "stream", "--checkpoint=fast", "--no-sync", "-D"])
        .arg(directory.join("data"))
        .current_dir("/")
        .output()
        .expect("pg_basebackup runs");
    assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
}

/// Makes a standby the primary.
pub fn promote(directory: &Path) {
    let promoted = program("pg_ctl")
        .args(["promote", "-w", "-D"])
        .arg(directory.join("data"))
        .current_dir("/")
        .output()
        .expect("pg_ctl runs");
    assert!(promoted.status.success(), "{}", String::from_utf8_lossy(&promoted.stderr));
}
