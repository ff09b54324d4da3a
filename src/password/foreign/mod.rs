//! Verifies imported hashes of other systems. A login verifies such a hash and then replaces it by
//! a new hash.
//!
//! Each format has a file with its parser, its caps and its computation. Hashes that cost less than
//! a new hash are accepted, because the login replaces them. Hashes that cost more than the caps
//! are refused before anything is computed. Each cap allows about one second of one core on the
//! reference machine (2 GHz, SHA extensions). The caps have to be this low, because every attempt
//! at the password costs as much as the right password.

mod bcrypt;
mod firebase;
mod pbkdf2;
mod scrypt;
pub(super) mod text;

use super::hashing::{Format, HashError, Unsupported};

/// A parsed stored hash of another system.
pub(super) enum Foreign {
    Bcrypt(bcrypt::Bcrypt),
    Scrypt(scrypt::Scrypt),
    Pbkdf2(pbkdf2::Pbkdf2),
    Firebase(firebase::Firebase),
}

impl Foreign {
    /// Parses a stored string of any format except argon2.
    pub fn parse(stored: &str) -> Result<Self, Unsupported> {
        let (format, parsed) = if stored.starts_with("$2") {
            (Format::Bcrypt, bcrypt::Bcrypt::parse(stored)?.map(Self::Bcrypt))
        } else if stored.starts_with("$firescrypt$") || stored.starts_with("$firebasescrypt$") {
            (Format::FirebaseScrypt, firebase::Firebase::parse(stored).map(Self::Firebase))
        } else if stored.starts_with("$s0$") || stored.trim_start_matches('$').starts_with("scrypt")
        {
            (Format::Scrypt, scrypt::Scrypt::parse(stored).map(Self::Scrypt))
        } else if let Some(format) = pbkdf2::format(stored) {
            (format, pbkdf2::Pbkdf2::parse(stored).map(Self::Pbkdf2))
        } else {
            return Err(Unsupported::Algorithm);
        };
        parsed.ok_or(Unsupported::Malformed(format))
    }

    pub fn format(&self) -> Format {
        match self {
            Self::Bcrypt(_) => Format::Bcrypt,
            Self::Scrypt(_) => Format::Scrypt,
            Self::Pbkdf2(it) => it.format(),
            Self::Firebase(_) => Format::FirebaseScrypt,
        }
    }

    /// Returns an error if the hash costs more than the caps.
    pub fn check_caps(&self) -> Result<(), Unsupported> {
        let within = match self {
            Self::Bcrypt(it) => it.is_within_caps(),
            Self::Scrypt(it) => it.cost.is_within_caps(),
            Self::Pbkdf2(it) => it.is_within_caps(),
            Self::Firebase(it) => it.cost.is_within_caps(),
        };
        if within { Ok(()) } else { Err(Unsupported::TooCostly(self.format())) }
    }

    /// Whether the stored hash was computed from these bytes. Call [`Foreign::check_caps`] first.
    pub fn matches(&self, password: &[u8]) -> Result<bool, HashError> {
        match self {
            Self::Bcrypt(it) => Ok(it.matches(password)),
            Self::Scrypt(it) => it.matches(password),
            Self::Pbkdf2(it) => Ok(it.matches(password)),
            Self::Firebase(it) => it.matches(password),
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
