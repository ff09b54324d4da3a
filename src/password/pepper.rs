//! The pepper: a secret key that is applied to every password before it is hashed. An attacker that
//! has the database but not this key cannot test a password (OWASP, and "keyed hash" in NIST SP
//! 800-63B-4 §3.1.1.2).
//!
//! If a pepper is configured, argon2's input is HMAC-SHA-256(pepper, password in NFC). Each hash
//! contains the version of its pepper, so an operator can replace the pepper and users notice
//! nothing. Hashes with an earlier version can be verified while that version is listed in
//! `password.pepper_previous`. A login replaces such a hash by one with the current version. If the
//! version of a hash is not configured, verifying it is an error, because without the pepper the
//! daemon cannot find out whether the password is right.

use std::sync::Arc;

use zeroize::{Zeroize, Zeroizing};

use super::hashing::HashError;
use crate::config::Pepper;
use crate::secret::hmac_sha256;

/// The peppers from the settings. Clones are cheap. `Debug` does not show the keys.
#[derive(Clone, Debug, Default)]
pub struct Peppers {
    current: Option<u16>,
    all: Arc<[Pepper]>,
}

impl Peppers {
    /// `current` is the pepper of new hashes, if one is configured. `previous` are the earlier
    /// peppers. The check of the settings ensures that all versions are different.
    pub fn new(current: Option<&Pepper>, previous: &[Pepper]) -> Self {
        let all = current.into_iter().chain(previous).cloned().collect();
        Self { current: current.map(|pepper| pepper.version), all }
    }

    /// The version of the pepper that new hashes get. None if no pepper is configured.
    pub fn current(&self) -> Option<u16> {
        self.current
    }

    /// Whether hashes with this pepper version can be verified.
    pub fn has(&self, version: u16) -> bool {
        self.all.iter().any(|pepper| pepper.version == version)
    }

    /// argon2's input for a password. If `version` is None, the input is the password itself. If
    /// the version is not configured, the result is [`HashError::PepperMissing`].
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
