//! The files of embedded mode: `data_dir`, and the master key in it.

use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::config::Config;
use crate::secret::{MasterKey, random_bytes};

pub const MASTER_KEY_FILE: &str = "master.key";

/// Creates `data_dir` with mode 0700 if it is missing.
pub fn make_data_dir(dir: &Path) -> io::Result<()> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(|error| named("cannot create", dir, &error))
}

/// Adds the name of the file and what to do to an error.
pub(super) fn named(what: &str, path: &Path, error: &io::Error) -> io::Error {
    let fix = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "delete files on its disk to make room"
        }
        _ => "give the daemon read and write access to it, or choose another `data_dir`",
    };
    io::Error::new(error.kind(), format!("{what} {}: {error}: {fix}", path.display()))
}

/// Reads the master key from the settings or from `data_dir`. Never creates a master key. Commands
/// that run beside a daemon use this function.
pub fn read_master_key(config: &Config) -> io::Result<MasterKey> {
    if let Some(master) = &config.secrets.master_key {
        return Ok(master.clone());
    }
    let file = config.data_dir.join(MASTER_KEY_FILE);
    if !file.exists() {
        let text = format!(
            "`secrets.master_key` is not set, and the file {} does not exist",
            file.display()
        );
        return Err(io::Error::new(io::ErrorKind::NotFound, text));
    }
    read(&file)
}

/// Reads the master key from the settings or from `data_dir`, where the first start creates it.
/// Only the daemon uses this function. Two daemons that start at the same time get the same key,
/// because the file appears complete or not at all, and never replaces another file.
pub fn read_or_make_master_key(config: &Config) -> io::Result<MasterKey> {
    if let Some(master) = &config.secrets.master_key {
        return Ok(master.clone());
    }
    let file = config.data_dir.join(MASTER_KEY_FILE);
    if !file.exists() {
        make(&config.data_dir).map_err(|error| named("cannot create", &file, &error))?;
    }
    read(&file)
}

fn make(dir: &Path) -> io::Result<()> {
    let fresh = Zeroizing::new(STANDARD.encode(Zeroizing::new(random_bytes::<32>())));
    create_whole(dir, MASTER_KEY_FILE, &fresh)
}

/// Creates a file with mode 0600 that appears complete or not at all. An existing file stays as it
/// is.
pub(super) fn create_whole(dir: &Path, name: &str, text: &str) -> io::Result<()> {
    let unfinished = dir.join(format!("{name}.{}", crate::secret::random_id()));
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    let linked = written.and_then(|()| std::fs::hard_link(&unfinished, dir.join(name)));
    std::fs::remove_file(&unfinished)?;
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

fn read(path: &Path) -> io::Result<MasterKey> {
    let text = std::fs::read_to_string(path).map_err(|error| named("cannot read", path, &error));
    let text = Zeroizing::new(text?);
    let bytes = Zeroizing::new(STANDARD.decode(text.trim()).unwrap_or_default());
    let key: [u8; 32] = bytes.as_slice().try_into().map_err(|_| {
        io::Error::other(format!(
            "{} does not contain a master key (32 bytes in base64): restore the file, or remove \
             it to get a new key (this makes only the signing keys and the unused links in mails \
             invalid)",
            path.display()
        ))
    })?;
    Ok(MasterKey::new(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_made_once_and_only_ours_to_read() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        make_data_dir(&data).unwrap();
        let file = data.join(MASTER_KEY_FILE);
        make(&data).unwrap();
        let first = read(&file).unwrap();
        make(&data).unwrap();
        let again = read(&file).unwrap();
        assert_eq!(first.derive("x").expose(), again.derive("x").expose());
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&data), 0o700);
        assert_eq!(mode(&data.join(MASTER_KEY_FILE)), 0o600);
        assert_eq!(std::fs::read_dir(&data).unwrap().count(), 1);
    }

    #[test]
    fn a_broken_key_is_told_and_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(MASTER_KEY_FILE), "short").unwrap();
        let error = read(&dir.path().join(MASTER_KEY_FILE)).unwrap_err().to_string();
        assert!(error.contains("does not contain a master key"), "{error}");
    }
}
