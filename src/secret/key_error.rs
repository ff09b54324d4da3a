//! [`KeyError`]: the error that all operations on keys return. It contains no information about the
//! key.

use aws_lc_rs::error;

/// A key cannot be created, parsed or used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyError;

impl std::fmt::Display for KeyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the key cannot be created, read or used")
    }
}

impl std::error::Error for KeyError {}

impl From<error::Unspecified> for KeyError {
    fn from(_: error::Unspecified) -> Self {
        Self
    }
}

impl From<error::KeyRejected> for KeyError {
    fn from(_: error::KeyRejected) -> Self {
        Self
    }
}
