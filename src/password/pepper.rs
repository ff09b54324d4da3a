//! The pepper: a key in front of every hash, so that a stolen database alone is no place to guess at (NIST SP 800-63B-4
//! §3.1.1.2, "keyed hash"; OWASP).
//!
//! With one, argon2's input is HMAC-SHA-256(pepper, password in NFC). Each hash carries the version of its pepper, so
//! that a pepper is replaced without anybody noticing: older versions verify while they are listed in
//! `password.pepper_previous`, and log-ins rehash. A hash whose version is not configured can be neither matched nor
//! refused.

use std::sync::Arc;

use zeroize::{Zeroize, Zeroizing};

use super::hashing::HashError;
use crate::config::Pepper;
use crate::secret::hmac_sha256;

/// The peppers of the settings. Cheap to clone; blind in `Debug`.
#[derive(Clone, Debug, Default)]
pub struct Peppers {
    current: Option<u16>,
    all: Arc<[Pepper]>,
}

impl Peppers {
    /// The pepper of new hashes, if any, and the earlier ones. Versions are different: the settings see to it.
    pub fn new(current: Option<&Pepper>, previous: &[Pepper]) -> Self {
        let all = current.into_iter().chain(previous).cloned().collect();
        Self { current: current.map(|pepper| pepper.version), all }
    }

    /// The version that new hashes get.
    pub fn current(&self) -> Option<u16> {
        self.current
    }

    /// Whether hashes of this version can be verified.
    pub fn has(&self, version: u16) -> bool {
        self.all.iter().any(|pepper| pepper.version == version)
    }

    /// argon2's input for a password. Without a version the password itself; under one that is not configured
    /// [`HashError::PepperMissing`].
    pub(super) fn input(
        &self,
        password: &str,
        version: Option<u16>,
    ) -> Result<Zeroizing<Vec<u8>>, HashError> {
        let Some(version) = version else {
            return Ok(Zeroizing::new(password.as_bytes().to_vec()));
        };
        let pepper = self
            .all
            .iter()
            .find(|pepper| pepper.version == version)
            .ok_or(HashError::PepperMissing)?;
        let mut tag = hmac_sha256(pepper.key.expose(), password.as_bytes());
        let input = Zeroizing::new(tag.to_vec());
        tag.zeroize();
        Ok(input)
    }
}

#[cfg(test)]
#[path = "pepper_tests.rs"]
mod tests;
