//! Verifies imported hashes of other systems. A login verifies such a hash and then replaces it by
//! a new hash.
//!
//! Each format has a file with its parser, its caps and its computation. [`spelling`] rewrites the
//! spellings of other systems before. Hashes that cost less than
//! a new hash are accepted, because the login replaces them. Hashes that cost more than the caps
//! are refused before anything is computed. Each cap allows about half a second of one core on the
//! reference machine (2 GHz, SHA extensions). A login perhaps tries two forms of the password
//! (NFC and as typed), so it costs at most a second: half of the deadline of the password workers.
//! Otherwise a wrong password would exceed the deadline and get a 503, and a right one would not.

mod bcrypt;
mod firebase;
mod pbkdf2;
mod phpass;
mod salted_sha;
mod scrypt;
mod sha_crypt;
pub(super) mod spelling;
pub(super) mod text;

use super::hashing::{Format, HashError, Unsupported};

/// A parsed stored hash of another system.
pub(super) enum Foreign {
    Bcrypt(bcrypt::Bcrypt),
    Scrypt(scrypt::Scrypt),
    Pbkdf2(pbkdf2::Pbkdf2),
    Firebase(firebase::Firebase),
    Phpass(phpass::Phpass),
    ShaCrypt(sha_crypt::ShaCrypt),
    SaltedSha(salted_sha::SaltedSha),
}

impl Foreign {
    /// Parses a stored string of any format except argon2. [`spelling::plain`] has rewritten it.
    pub fn parse(stored: &str) -> Result<Self, Unsupported> {
        let starts = |starts: &[&str]| starts.iter().any(|start| stored.starts_with(start));
        let (format, parsed) = if starts(&["$2", "$wp$2", "bcrypt_sha256$$2"]) {
            (Format::Bcrypt, bcrypt::Bcrypt::parse(stored)?.map(Self::Bcrypt))
        } else if starts(&["$firescrypt$", "$firebasescrypt$"]) {
            (Format::FirebaseScrypt, firebase::Firebase::parse(stored).map(Self::Firebase))
        } else if starts(&["$s0$", "$scrypt", "scrypt"]) || scrypt::is_of_better_auth(stored) {
            (Format::Scrypt, scrypt::Scrypt::parse(stored).map(Self::Scrypt))
        } else if starts(&["$P$", "$H$"]) {
            (Format::Phpass, phpass::Phpass::parse(stored).map(Self::Phpass))
        } else if starts(&["$5$", "$6$"]) {
            (Format::ShaCrypt, sha_crypt::ShaCrypt::parse(stored).map(Self::ShaCrypt))
        } else if starts(&["{"]) {
            (Format::SaltedSha, salted_sha::SaltedSha::parse(stored).map(Self::SaltedSha))
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
            Self::Phpass(_) => Format::Phpass,
            Self::ShaCrypt(_) => Format::ShaCrypt,
            Self::SaltedSha(_) => Format::SaltedSha,
        }
    }

    /// Returns an error if the hash costs more than the caps.
    pub fn check_caps(&self) -> Result<(), Unsupported> {
        let within = match self {
            Self::Bcrypt(it) => it.is_within_caps(),
            Self::Scrypt(it) => it.cost.is_within_caps(),
            Self::Pbkdf2(it) => it.is_within_caps(),
            Self::Firebase(it) => it.cost.is_within_caps(),
            Self::Phpass(it) => it.is_within_caps(),
            Self::ShaCrypt(it) => it.is_within_caps(),
            Self::SaltedSha(_) => true,
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
            Self::Phpass(it) => Ok(it.matches(password)),
            Self::ShaCrypt(it) => it.matches(password),
            Self::SaltedSha(it) => Ok(it.matches(password)),
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
