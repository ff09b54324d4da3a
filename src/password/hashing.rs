//! Hashes and verifies passwords. New hashes are argon2id (RFC 9106) in PHC strings. Imported
//! hashes are verified in their own formats.
//!
//! A [`Hasher`] belongs to one worker and has memory of its own. It allocates this memory at the
//! first hash and keeps it. If it allocated memory for every hash, page faults would take a tenth
//! of the time of each hash. The memory is not wiped between two hashes, because wiping takes
//! another tenth. The next hash overwrites the memory.

use std::error::Error;
use std::fmt;
use std::time::{Duration, Instant};

use argon2::{Algorithm, Version};

use super::argon::{Kind, Params, SALT_BYTES, Stored, TAG_BYTES, TAG_BYTES_MAX};
use super::engine::Engine;
use super::equal_work::Work;
use super::foreign::{Foreign, spelling};
use super::normalized;
use super::pepper::Peppers;
use crate::config::{self, PasswordEngine};
use crate::secret::{self, Secret};

/// The maximum length of a stored string, in bytes. The longest usual string of all formats has
/// about 1 100 bytes: a PBKDF2 hash of 512 bytes in hexadecimal.
pub const STORED_BYTES_MAX: usize = 2_048;
/// The time in which the starting daemon and `latchkey doctor` measure hashes. Five hashes with
/// usual parameters take less time.
const TIMED_WITHIN: Duration = Duration::from_millis(100);

/// The settings for computing hashes.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The parameters of new hashes.
    pub params: Params,
    /// The engine that computes argon2.
    pub engine: PasswordEngine,
    /// The secret keys that are applied to a password before argon2.
    pub peppers: Peppers,
}

impl Setup {
    /// A setup with the reference engine and without a pepper.
    pub fn plain(params: Params) -> Self {
        Self { params, engine: PasswordEngine::Argon2, peppers: Peppers::default() }
    }

    pub fn of(settings: &config::Password) -> Self {
        let params = Params {
            memory_kib: settings.memory_kib,
            iterations: settings.iterations,
            parallelism: settings.parallelism,
        };
        let peppers = Peppers::new(settings.pepper.as_ref(), &settings.pepper_previous);
        Self { params, engine: settings.engine, peppers }
    }

    /// Checks whether a login could verify a stored string, and returns the string's format.
    /// Computes no hash. A hash of this installation is accepted if its costs are not above the
    /// caps or the configured parameters, and if its pepper is configured.
    pub fn admit(&self, stored: &str) -> Result<Format, Unsupported> {
        Any::parse(stored)?.admitted(self)
    }

    fn today(&self) -> Kind {
        Kind {
            algorithm: Algorithm::Argon2id,
            version: Version::V0x13,
            params: self.params,
            pepper: self.peppers.current(),
        }
    }
}

/// Checks whether a login could verify a stored string of another system, and returns the string's
/// format. Computes no hash. If a line of an import contains a hash that this function refuses, the
/// import refuses the line and reports the reason. A hash with a pepper is refused, because only
/// [`Setup::admit`] knows the peppers.
pub fn admit(stored: &str) -> Result<Format, Unsupported> {
    Setup::plain(Params { memory_kib: 0, iterations: 0, parallelism: 0 }).admit(stored)
}

/// The formats of stored hashes. `Display` writes the name of a format that users read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// argon2id, argon2i or argon2d, version 16 or 19.
    Argon2,
    /// bcrypt with the prefix `$2a$`, `$2b$` or `$2y$`.
    Bcrypt,
    Scrypt,
    /// PBKDF2 over HMAC-SHA-1.
    Pbkdf2Sha1,
    /// PBKDF2 over HMAC-SHA-256.
    Pbkdf2Sha256,
    /// PBKDF2 over HMAC-SHA-512.
    Pbkdf2Sha512,
    /// Firebase's variant of scrypt.
    FirebaseScrypt,
    /// The portable hashes of phpass, which WordPress wrote before version 6.8.
    Phpass,
    /// `$5$` and `$6$` of crypt(3).
    ShaCrypt,
    /// SHA-1 or SHA-2 of the password and a salt, as LDAP servers write it.
    SaltedSha,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Argon2 => "argon2",
            Self::Bcrypt => "bcrypt",
            Self::Scrypt => "scrypt",
            Self::Pbkdf2Sha1 => "PBKDF2-SHA1",
            Self::Pbkdf2Sha256 => "PBKDF2-SHA256",
            Self::Pbkdf2Sha512 => "PBKDF2-SHA512",
            Self::FirebaseScrypt => "Firebase scrypt",
            Self::Phpass => "phpass",
            Self::ShaCrypt => "SHA-crypt",
            Self::SaltedSha => "salted SHA",
        })
    }
}

/// Why a stored string cannot be verified. `Display` writes the reason for the operator who imports
/// the string. The reason contains no part of the string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsupported {
    /// The string has none of the supported formats.
    Algorithm,
    /// The string is a password, or a hash without a salt.
    Unsalted,
    /// The string begins like a string of this format, but the rest of it is malformed.
    Malformed(Format),
    /// The hash costs more than the caps, so a login would take too long or need too much memory.
    TooCostly(Format),
    /// The hash needs a pepper that is not configured.
    Pepper,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Algorithm => f.write_str(
                "the password hash uses no known algorithm (argon2, bcrypt, scrypt, PBKDF2, \
                 Firebase scrypt, phpass, SHA-crypt, salted SHA)",
            ),
            Self::Unsalted => f.write_str(
                "this is a password without a hash, or a hash without a salt: import the account \
                 without it, so that the user sets a new password",
            ),
            Self::Malformed(format) => {
                write!(f, "the password hash is not a well-formed {format} hash")
            }
            Self::TooCostly(format) => {
                write!(
                    f,
                    "the password hash needs more work or memory than the limits of {format} allow"
                )
            }
            Self::Pepper => f.write_str("the password hash needs a pepper that is not configured"),
        }
    }
}

impl Error for Unsupported {}

/// The result of verifying a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The password is right, and its hash has the current parameters.
    Match,
    /// The password is right. Its hash does not have the current parameters, pepper or format, so
    /// the password has to be hashed again.
    MatchNeedsRehash,
    Mismatch,
}

/// Why a password could not be verified or hashed. No variant contains anything about the password.
#[derive(Debug)]
pub enum HashError {
    /// The stored string is not a hash in a known format.
    Corrupt,
    /// The parameters of a stored hash or of the settings are above the caps, or argon2 does not
    /// allow them.
    ParametersRefused,
    /// The stored hash needs a pepper that is not configured. To fix this, add the pepper with this
    /// version to `password.pepper_previous`.
    PepperMissing,
    /// The engine failed, for example because it could not allocate memory.
    Engine(Box<dyn Error + Send + Sync>),
}

impl HashError {
    pub(super) fn engine(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Engine(error.into())
    }
}

impl fmt::Display for HashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Corrupt => f.write_str("the stored password hash cannot be read"),
            Self::ParametersRefused => {
                f.write_str("the password hash needs more work or memory than the limits allow")
            }
            Self::PepperMissing => f.write_str(
                "the password hash needs a pepper that is neither password.pepper nor in password.pepper_previous",
            ),
            Self::Engine(error) => write!(f, "hashing failed: {error}"),
        }
    }
}

impl Error for HashError {}

impl From<Unsupported> for HashError {
    fn from(unsupported: Unsupported) -> Self {
        match unsupported {
            Unsupported::Algorithm | Unsupported::Unsalted | Unsupported::Malformed(_) => {
                Self::Corrupt
            }
            Unsupported::TooCostly(_) => Self::ParametersRefused,
            Unsupported::Pepper => Self::PepperMissing,
        }
    }
}

/// Hashes and verifies passwords, one at a time, in memory of its own. A call blocks the thread
/// until the hash is computed.
pub struct Hasher {
    setup: Setup,
    engine: Engine,
    decoy: String,
    pub(super) work: Work,
}

impl Hasher {
    /// Creates a hasher that computes new hashes with the parameters of `setup`. This call computes
    /// no hash and allocates no memory for hashes. If argon2 does not allow the parameters, it
    /// returns [`HashError::ParametersRefused`].
    pub fn new(setup: Setup) -> Result<Self, HashError> {
        let tag = secret::random_bytes::<TAG_BYTES>();
        let decoy = setup
            .today()
            .phc(&secret::random_bytes::<SALT_BYTES>(), &tag)
            .ok_or(HashError::ParametersRefused)?;
        Ok(Self { engine: Engine::new(setup.engine), setup, decoy, work: Work::default() })
    }

    /// A PHC string with the current parameters, a random salt and a random tag. No password
    /// matches it. It is the hash of users without a password.
    pub fn decoy(&self) -> &str {
        &self.decoy
    }

    /// Hashes a password with a new salt, and returns the PHC string. The hash is argon2id, version
    /// 19, with 16 bytes of salt and 32 bytes of tag. If a pepper is configured, the string
    /// contains the version of the pepper.
    pub fn hash(&mut self, password: &Secret<String>) -> Result<String, HashError> {
        let salt = secret::random_bytes::<SALT_BYTES>();
        let mut tag = [0; TAG_BYTES];
        let today = self.setup.today();
        self.compute(today, &normalized(password), &salt, &mut tag)?;
        today.phc(&salt, &tag).ok_or(HashError::Corrupt)
    }

    /// Verifies a password against a stored string of any [`Format`].
    ///
    /// If the string is malformed, the result is [`HashError::Corrupt`] and never a mismatch. If
    /// the string needs more than the caps allow, the result is [`HashError::ParametersRefused`],
    /// and nothing is computed. If the configured parameters are higher than the caps, they are the
    /// limit instead.
    ///
    /// A hash that does not have the current form perhaps comes from a system that hashed passwords
    /// without NFC. So if NFC changes the password, both the password in NFC and the password as
    /// typed are tried.
    pub fn verify(&mut self, password: &Secret<String>, phc: &str) -> Result<Verdict, HashError> {
        let stored = Any::parse(phc)?;
        stored.admitted(&self.setup)?;
        let text = normalized(password);
        if matches!(&stored, Any::Argon2(stored) if stored.is_of(self.setup.today())) {
            let is_right = self.matches(&stored, &text)?;
            return Ok(if is_right { Verdict::Match } else { Verdict::Mismatch });
        }
        let typed = password.expose();
        let is_right =
            self.matches(&stored, &text)? || (*typed != *text && self.matches(&stored, typed)?);
        Ok(if is_right { Verdict::MatchNeedsRehash } else { Verdict::Mismatch })
    }

    /// Measures how long one hash with the current parameters takes on this thread. It computes at
    /// least two hashes, because the first hash also allocates the memory. It starts further hashes
    /// until five are computed or 100 ms have passed. It returns the shortest time, because other
    /// work of a starting daemon can only make a hash slower.
    pub fn time_one(&mut self) -> Result<Duration, HashError> {
        let password = Secret::new("how long does it take".to_owned());
        let (mut best, began) = (Duration::MAX, Instant::now());
        for run in 0..5 {
            if run >= 2 && began.elapsed() > TIMED_WITHIN {
                break;
            }
            let started = Instant::now();
            self.hash(&password)?;
            best = best.min(started.elapsed());
        }
        Ok(best)
    }

    fn matches(&mut self, stored: &Any, password: &str) -> Result<bool, HashError> {
        match stored {
            Any::Argon2(stored) => {
                let mut tag = [0; TAG_BYTES_MAX];
                let tag = &mut tag[..stored.tag.len()];
                self.compute(stored.kind, password, &stored.salt, tag)?;
                Ok(secret::equal(tag, stored.tag.as_bytes()))
            }
            Any::Foreign(foreign) => {
                let started = Instant::now();
                let is_right = foreign.matches(password.as_bytes());
                self.work.foreign(self.setup.params, started.elapsed());
                is_right
            }
        }
    }

    pub(super) fn today(&self) -> Kind {
        self.setup.today()
    }

    pub(super) fn compute(
        &mut self,
        kind: Kind,
        password: &str,
        salt: &[u8],
        tag: &mut [u8],
    ) -> Result<(), HashError> {
        let input = self.setup.peppers.input(password, kind.pepper)?;
        let started = Instant::now();
        self.engine.compute(kind, self.setup.today(), &input, salt, tag)?;
        self.work.argon2(kind.params, self.setup.params, started.elapsed());
        Ok(())
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hasher").field("setup", &self.setup).finish_non_exhaustive()
    }
}

/// A parsed stored string of any format.
enum Any {
    Argon2(Stored),
    Foreign(Foreign),
}

impl Any {
    fn parse(stored: &str) -> Result<Self, Unsupported> {
        if stored.len() > STORED_BYTES_MAX {
            return Err(Unsupported::Algorithm);
        }
        let stored = spelling::plain(stored)?;
        if stored.starts_with("$argon2") {
            return Stored::parse(&stored).map(Self::Argon2);
        }
        Foreign::parse(&stored).map(Self::Foreign)
    }

    /// Returns the format of the hash. Returns an error if the hash costs more than the caps, or if
    /// its pepper is not configured.
    fn admitted(&self, setup: &Setup) -> Result<Format, Unsupported> {
        match self {
            Self::Argon2(stored) => {
                if stored.kind.pepper.is_some_and(|version| !setup.peppers.has(version)) {
                    return Err(Unsupported::Pepper);
                }
                stored.kind.check_caps(setup.params)?;
                Ok(Format::Argon2)
            }
            Self::Foreign(foreign) => {
                foreign.check_caps()?;
                Ok(foreign.format())
            }
        }
    }
}

#[cfg(test)]
#[path = "hashing_tests.rs"]
mod tests;
