//! Hashing and verifying: argon2id (RFC 9106) into PHC strings, and the formats of imported hashes.
//!
//! A [`Hasher`] belongs to one worker and has memory of its own. It allocates the memory at its
//! first use and does not free it, because page faults would cost a tenth of every hash. The memory
//! is not wiped between hashes, because that costs as much again. Each hash overwrites it.

use std::error::Error;
use std::fmt;
use std::time::{Duration, Instant};

use argon2::{Algorithm, Version};

use super::argon::{Kind, Params, SALT_BYTES, Stored, TAG_BYTES, TAG_BYTES_MAX};
use super::engine::Engine;
use super::foreign::Foreign;
use super::normalized;
use super::pepper::Peppers;
use crate::config::{self, PasswordEngine};
use crate::secret::{self, Secret};

/// The longest stored string that is read, in bytes. It is five times the longest string that any
/// format has with usual parts.
pub const STORED_BYTES_MAX: usize = 1_024;
/// How long a start or `doctor` measures hashes. Five usual hashes take less.
const TIMED_WITHIN: Duration = Duration::from_millis(100);

/// How hashes are computed.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The parameters of new hashes.
    pub params: Params,
    /// Which code computes argon2.
    pub engine: PasswordEngine,
    /// The keys that are applied before argon2.
    pub peppers: Peppers,
}

impl Setup {
    /// The reference engine, without a pepper.
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

    /// Checks whether a stored string could be verified at a login, and returns its format.
    /// Computes no hash. A hash that this installation wrote itself is accepted with any parameters
    /// and pepper that are configured.
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

/// Checks whether a stored string of another system could be verified at a login, and returns its
/// format. Computes no hash. An import uses it to refuse a line and to name the reason. A hash
/// under a pepper is refused, because only [`Setup::admit`] knows the peppers.
pub fn admit(stored: &str) -> Result<Format, Unsupported> {
    Setup::plain(Params { memory_kib: 0, iterations: 0, parallelism: 0 }).admit(stored)
}

/// The formats of stored hashes. `Display` is the name that users read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// argon2id, argon2i or argon2d, version 16 or 19.
    Argon2,
    /// `$2a$`, `$2b$`, `$2y$`.
    Bcrypt,
    Scrypt,
    /// PBKDF2 over HMAC-SHA-256.
    Pbkdf2Sha256,
    /// PBKDF2 over HMAC-SHA-512.
    Pbkdf2Sha512,
    /// Firebase's variant of scrypt.
    FirebaseScrypt,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Argon2 => "argon2",
            Self::Bcrypt => "bcrypt",
            Self::Scrypt => "scrypt",
            Self::Pbkdf2Sha256 => "PBKDF2-SHA256",
            Self::Pbkdf2Sha512 => "PBKDF2-SHA512",
            Self::FirebaseScrypt => "Firebase scrypt",
        })
    }
}

/// Why a stored string cannot be verified. `Display` is a clause for the user who imports it. It
/// contains nothing of the string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsupported {
    /// The string has none of the formats.
    Algorithm,
    /// The string begins like this format, but the rest is not well-formed.
    Malformed(Format),
    /// The hash costs more than the caps: a login would take too long or too much memory.
    TooCostly(Format),
    /// It needs a pepper that is not configured.
    Pepper,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Algorithm => f.write_str(
                "the password hash uses no known algorithm (argon2, bcrypt, scrypt, \
                 PBKDF2-SHA256, PBKDF2-SHA512, Firebase scrypt)",
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
    /// The password is right, and its hash has today's parameters.
    Match,
    /// The password is right. Its hash has other parameters, another pepper or another format, so
    /// it has to be hashed again.
    MatchNeedsRehash,
    Mismatch,
}

/// Why there is no verdict or no hash. No variant contains anything about the password.
#[derive(Debug)]
pub enum HashError {
    /// The stored string is not a hash in a known format.
    Corrupt,
    /// The parameters, of a stored hash or of the settings, are above the caps.
    ParametersRefused,
    /// The stored hash needs a pepper that is not configured. To fix it, add the pepper's version
    /// to `password.pepper_previous`.
    PepperMissing,
    /// The engine failed, for example because there was no memory.
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
            Unsupported::Algorithm | Unsupported::Malformed(_) => Self::Corrupt,
            Unsupported::TooCostly(_) => Self::ParametersRefused,
            Unsupported::Pepper => Self::PepperMissing,
        }
    }
}

/// Hashes and verifies passwords, one at a time, in memory of its own. Blocks its thread for the
/// whole hash.
pub struct Hasher {
    setup: Setup,
    engine: Engine,
    decoy: String,
}

impl Hasher {
    /// A hasher for new hashes with the parameters of `setup`. Computes nothing and allocates no
    /// memory yet. Parameters that argon2 does not allow are [`HashError::ParametersRefused`].
    pub fn new(setup: Setup) -> Result<Self, HashError> {
        let tag = secret::random_bytes::<TAG_BYTES>();
        let decoy = setup
            .today()
            .phc(&secret::random_bytes::<SALT_BYTES>(), &tag)
            .ok_or(HashError::ParametersRefused)?;
        Ok(Self { engine: Engine::new(setup.engine), setup, decoy })
    }

    /// A PHC string of today's parameters that no password matches: a random salt with a random
    /// tag.
    ///
    /// It costs as much to verify as the hash of a user, so a login with an unknown address takes
    /// as long as one with a known address.
    pub fn decoy(&self) -> &str {
        &self.decoy
    }

    /// The PHC string of a password under a new salt: argon2id, version 19, 16 bytes of salt, 32
    /// bytes of tag, and the pepper's version if there is a pepper.
    pub fn hash(&mut self, password: &Secret<String>) -> Result<String, HashError> {
        let salt = secret::random_bytes::<SALT_BYTES>();
        let mut tag = [0; TAG_BYTES];
        let today = self.setup.today();
        self.compute(today, &normalized(password), &salt, &mut tag)?;
        today.phc(&salt, &tag).ok_or(HashError::Corrupt)
    }

    /// Verifies a password against a stored string of any [`Format`].
    ///
    /// A string that cannot be read is [`HashError::Corrupt`], never a mismatch. A string that asks
    /// for more than the caps (or than the configured parameters, if they are higher) is
    /// [`HashError::ParametersRefused`], before any work.
    ///
    /// A hash that is not of today's form may come from a system that hashed the password exactly
    /// as it was typed. If NFC changed the password, both forms are tried.
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

    /// Measures how long one hash of today's parameters takes on this thread. It runs at least two
    /// hashes, because the first use of the memory must not count. It runs up to five within 100
    /// ms, and returns the shortest time, because other work at a start only makes a hash slower.
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
            Any::Foreign(foreign) => foreign.matches(password.as_bytes()),
        }
    }

    fn compute(
        &mut self,
        kind: Kind,
        password: &str,
        salt: &[u8],
        tag: &mut [u8],
    ) -> Result<(), HashError> {
        let input = self.setup.peppers.input(password, kind.pepper)?;
        self.engine.compute(kind, self.setup.today(), &input, salt, tag)
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
        // Django writes its own name of the algorithm in front of the usual string.
        let stored = match stored.strip_prefix("argon2") {
            Some(rest) if rest.starts_with("$argon2") => rest,
            _ => stored.strip_prefix("bcrypt$").unwrap_or(stored),
        };
        if stored.starts_with("$argon2") {
            return Stored::parse(stored).map(Self::Argon2);
        }
        Foreign::parse(stored).map(Self::Foreign)
    }

    /// The format, if the hash is within the caps and its pepper is configured.
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
