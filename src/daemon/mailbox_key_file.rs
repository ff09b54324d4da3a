//! The file with the key of the built-in mailbox. The first start creates it, and every later start
//! reads it.
//!
//! A file that other users can read, or that contains no key, is never replaced, because the
//! operator has to examine this file first. The mailbox stays closed until then.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use zeroize::Zeroizing;

use super::files;
use crate::mail::{MAILBOX_KEY_FILE, MailboxKey};

/// The permission bits of everybody except the owner.
const OTHERS: u32 = 0o077;

/// Why a key cannot be used, and what to do.
#[derive(Debug)]
pub struct UnusableKey {
    pub what: String,
    /// What the operator can do.
    pub fix: String,
}

/// Reads the key in `data_dir`, and creates a missing one. Two daemons that start at the same time
/// get the same key, because the file appears complete or not at all, and never replaces another
/// file.
pub fn read_or_create(data_dir: &Path) -> Result<MailboxKey, UnusableKey> {
    let path = MailboxKey::file_in(data_dir);
    let unusable = |error: io::Error| UnusableKey {
        what: error.to_string(),
        fix: format!(
            "give the daemon read access to {}, or remove it: the next start creates a new key",
            path.display()
        ),
    };
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let text = Zeroizing::new(format!("{}\n", MailboxKey::random().expose()));
            files::create_whole(data_dir, MAILBOX_KEY_FILE, &text).map_err(|error| {
                UnusableKey {
                    what: format!("the file cannot be created: {error}"),
                    fix: format!("give the daemon write access to {}", data_dir.display()),
                }
            })?;
        }
        _ => {}
    }
    // The mode is read from the open file. So it is the mode of the file that is read, even if
    // another file gets the same name meanwhile.
    let mut file = File::open(&path).map_err(unusable)?;
    let mode = file.metadata().map_err(unusable)?.permissions().mode() & 0o777;
    if mode & OTHERS != 0 {
        return Err(UnusableKey {
            what: format!(
                "other users of this machine can read or change the file (mode {mode:03o})"
            ),
            fix: format!("remove {}: the next start creates a new key", path.display()),
        });
    }
    let mut text = Zeroizing::new(String::new());
    file.read_to_string(&mut text).map_err(unusable)?;
    MailboxKey::parse(&text).ok_or_else(|| UnusableKey {
        what: "the file does not contain a key (32 bytes in base64url)".to_owned(),
        fix: format!("remove {}: the next start creates a new key", path.display()),
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o777
    }

    fn set_mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn the_key_is_created_once_and_readable_by_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let first = read_or_create(dir.path()).unwrap();
        assert!(read_or_create(dir.path()).unwrap().is(first.expose()));
        assert_eq!(mode(&MailboxKey::file_in(dir.path())), 0o600);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
        std::fs::remove_file(MailboxKey::file_in(dir.path())).unwrap();
        assert!(!read_or_create(dir.path()).unwrap().is(first.expose()));
    }

    #[test]
    fn daemons_that_start_at_once_agree_on_one_key() {
        let dir = tempfile::tempdir().unwrap();
        let keys: Vec<MailboxKey> = std::thread::scope(|scope| {
            let started: Vec<_> =
                (0..8).map(|_| scope.spawn(|| read_or_create(dir.path()).unwrap())).collect();
            started.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| key.is(keys[0].expose())));
    }

    #[test]
    fn a_key_that_cannot_be_created_is_reported_with_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("missing");
        let unusable = read_or_create(&missing).unwrap_err();
        assert!(unusable.what.contains("cannot be created"), "{unusable:?}");
        assert_eq!(unusable.fix, format!("give the daemon write access to {}", missing.display()));
    }

    #[test]
    fn a_file_that_others_can_read_or_that_holds_no_key_is_reported_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let file = MailboxKey::file_in(dir.path());
        let good = MailboxKey::random().expose().to_owned();
        for (text, mode, said) in [
            (good.as_str(), 0o644, "mode 644"),
            (good.as_str(), 0o640, "mode 640"),
            (good.as_str(), 0o602, "mode 602"),
            ("", 0o600, "does not contain a key"),
            ("short", 0o600, "does not contain a key"),
        ] {
            std::fs::write(&file, text).unwrap();
            set_mode(&file, mode);
            let unusable = read_or_create(dir.path()).unwrap_err();
            assert!(unusable.what.contains(said), "{unusable:?}");
            assert!(unusable.fix.contains(&file.display().to_string()), "{unusable:?}");
            assert!(!format!("{unusable:?}").contains(&good));
            assert_eq!(std::fs::read_to_string(&file).unwrap(), text, "it is kept");
        }
        set_mode(&file, 0o600);
        std::fs::write(&file, [0xff, 0xfe]).unwrap();
        assert!(read_or_create(dir.path()).is_err(), "not UTF-8");
        std::fs::remove_file(&file).unwrap();
        std::fs::create_dir(&file).unwrap();
        assert!(read_or_create(dir.path()).is_err(), "a directory");
        std::fs::remove_dir(&file).unwrap();
        symlink(dir.path().join("nowhere"), &file).unwrap();
        assert!(read_or_create(dir.path()).is_err(), "a link to nothing");
        std::fs::write(&file, &good).unwrap();
        set_mode(&file, 0o600);
        assert!(read_or_create(dir.path()).unwrap().is(&good));
    }
}
