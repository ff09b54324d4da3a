//! A disk whose n-th write fails, for a real daemon on SQLite. The daemon runs with the preloaded
//! library `failing_disk.c`.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::process::Command;

use super::Fault;
use super::use_cases::UseCase;
use crate::process::Place;

/// The `errno` values of a failing disk.
const EIO: i32 = 5;
const EFBIG: i32 = 27;
const ENOSPC: i32 = 28;
const EROFS: i32 = 30;

/// A kind of failure: the `errno`, and whether all later writes fail too.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failure {
    error: i32,
    lasts: bool,
}

/// A disk that is full for one write and accepts the next write.
pub(super) const FULL_ONCE: Failure = Failure { error: ENOSPC, lasts: false };
/// A disk that stays full.
pub(super) const FULL: Failure = Failure { error: ENOSPC, lasts: true };
/// A disk that fails once.
pub(super) const BROKEN_ONCE: Failure = Failure { error: EIO, lasts: false };
/// A file that has reached its size limit.
pub(super) const TOO_BIG: Failure = Failure { error: EFBIG, lasts: true };
/// A file system that the kernel has made read-only.
pub(super) const READ_ONLY: Failure = Failure { error: EROFS, lasts: true };

/// The control file. The preloaded library reads the numbers in it.
#[derive(Debug)]
pub(super) struct Disk {
    control: PathBuf,
    failure: Failure,
}

impl Disk {
    /// Builds the library and preloads it into every program of this place.
    pub(super) fn under(place: Place, failure: Failure) -> (Place, Self) {
        let source =
            concat!(env!("CARGO_MANIFEST_DIR"), "/tests/api/process/nth_write/failing_disk.c");
        let (library, control) = (place.path("failing_disk.so"), place.path("failing_disk"));
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o"])
            .args([library.as_os_str(), source.as_ref(), "-ldl".as_ref()])
            .output()
            .expect("a C compiler, which building latchkey needs too");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        fs::write(&control, [0; 16]).expect("a control file");
        let place = place
            .variable("LD_PRELOAD", &library.display().to_string())
            .variable("FAILING_DISK", &control.display().to_string());
        (place, Self { control, failure })
    }

    fn write(&self, numbers: [i32; 4]) {
        let bytes: Vec<u8> = numbers.into_iter().flat_map(i32::to_ne_bytes).collect();
        let file = OpenOptions::new().write(true).open(&self.control).expect("the control file");
        file.write_all_at(&bytes, 0).expect("written");
    }
}

impl Fault for Disk {
    async fn arm(&self, _case: UseCase, n: i32) {
        self.write([n, self.failure.error, i32::from(self.failure.lasts), 0]);
    }

    async fn disarm(&self) -> bool {
        let bytes = fs::read(&self.control).expect("the control file");
        let failed: [u8; 4] = bytes[12..16].try_into().expect("four bytes");
        self.write([0; 4]);
        i32::from_ne_bytes(failed) > 0
    }
}
