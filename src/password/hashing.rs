//! Hashing and verifying: argon2id (RFC 9106) into PHC strings.
//!
//! A [`Hasher`] belongs to one worker and works on memory of its own, which it takes at its first use and keeps: page
//! faults would cost a tenth of every hash. The memory is not wiped between hashes, since that costs as much again;
//! each hash overwrites it.

use std::error::Error;
use std::fmt;

use argon2::password_hash::phc::{Output, ParamsString, Salt};
use argon2::{Algorithm, Argon2, Block, PasswordHash, Version};

use super::normalized;
use crate::secret::{self, Secret};

/// Memory that a stored hash may ask for, in KiB, where our own parameters ask for less: 256 MiB.
///
/// The largest that a known importer's source writes by default is libsodium's MODERATE, 256 MiB in 3 passes;
/// RFC 9106 §4's second choice is 64 MiB. Each worker may meet one such hash: workers × 256 MiB is the peak.
pub const MEMORY_KIB_MAX: u32 = 256 * 1024;

/// Work that a stored hash may ask for, memory times passes, in KiB: 1 GiB.
///
/// We fill 3 KiB a microsecond (19 456 KiB twice in 12 ms): 0.35 s, and 1.4 s where a machine is four times slower,
/// still within the 2 s of a request. libsodium's MODERATE asks for 0.75 GiB.
pub const WORK_KIB_MAX: u64 = 1024 * 1024;

/// Passes that a stored hash may ask for. Beyond it the small memory that [`WORK_KIB_MAX`] leaves makes no sense.
pub const ITERATIONS_MAX: u32 = 1024;

/// Lanes that a stored hash may ask for. We compute them one after the other, so they cost nothing of their own.
pub const PARALLELISM_MAX: u32 = 64;

/// Salt of our hashes, in bytes (RFC 9106 §3.1 recommends 16).
const SALT_BYTES: usize = 16;

/// Tag of our hashes, in bytes: 256 bits (RFC 9106 §4).
const TAG_BYTES: usize = 32;

/// What a hash costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params {
    /// argon2's m, in KiB.
    pub memory_kib: u32,
    /// argon2's t.
    pub iterations: u32,
    /// argon2's p.
    pub parallelism: u32,
}

/// What verifying found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The password is right, its hash is of today's parameters.
    Match,
    /// The password is right; its hash is of other parameters or another kind: hash it anew.
    MatchNeedsRehash,
    /// The password is wrong.
    Mismatch,
}

/// Why there is no verdict, or no hash. None of these says anything of the password.
#[derive(Debug)]
pub enum HashError {
    /// The stored string is no argon2 hash in PHC form.
    Corrupt,
    /// The parameters (a stored hash's or our own) are beyond what we compute.
    ParametersRefused,
    /// The engine failed: no memory, for one.
    Engine(argon2::Error),
}

impl fmt::Display for HashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Corrupt => f.write_str("the stored password hash cannot be read"),
            Self::ParametersRefused => {
                f.write_str("the password hash asks for parameters beyond the caps")
            }
            Self::Engine(error) => write!(f, "argon2 failed: {error}"),
        }
    }
}

impl Error for HashError {}

impl From<argon2::Error> for HashError {
    fn from(error: argon2::Error) -> Self {
        Self::Engine(error)
    }
}

/// Hashes and verifies, one at a time, on memory of its own. Blocks its thread for the whole hash.
pub struct Hasher {
    params: Params,
    /// `params.memory_kib` blocks, or none before the first use.
    blocks: Vec<Block>,
    decoy: String,
}

impl Hasher {
    /// A hasher of today's parameters. Computes nothing and takes no memory yet; refuses what argon2 does not allow
    /// with [`HashError::ParametersRefused`].
    pub fn new(params: Params) -> Result<Self, HashError> {
        let tag = secret::random_bytes::<TAG_BYTES>();
        let kind = Kind { algorithm: Algorithm::Argon2id, version: Version::V0x13, params };
        kind.engine(TAG_BYTES).map_err(|_| HashError::ParametersRefused)?;
        let decoy = kind.phc(&secret::random_bytes::<SALT_BYTES>(), &tag)?;
        Ok(Self { params, blocks: Vec::new(), decoy })
    }

    /// A PHC string of today's parameters that no password matches: a random salt with a random tag.
    ///
    /// Verifying against it costs what verifying a person's hash costs, so that an unknown address takes as long as a
    /// known one.
    pub fn decoy(&self) -> &str {
        &self.decoy
    }

    /// The PHC string of a password under a fresh salt: argon2id, version 19, 16 bytes of salt, 32 of tag.
    pub fn hash(&mut self, password: &Secret<String>) -> Result<String, HashError> {
        let salt = secret::random_bytes::<SALT_BYTES>();
        let mut tag = [0; TAG_BYTES];
        let kind = self.today();
        self.compute(kind, password, &salt, &mut tag)?;
        kind.phc(&salt, &tag)
    }

    /// Whether a password belongs to a stored PHC string of argon2id, argon2i or argon2d.
    ///
    /// A string that cannot be read is [`HashError::Corrupt`], never a mismatch; one that asks for more than the caps
    /// (or our own parameters, where they are higher) is [`HashError::ParametersRefused`], before any work.
    pub fn verify(&mut self, password: &Secret<String>, phc: &str) -> Result<Verdict, HashError> {
        let stored = Stored::parse(phc)?;
        stored.kind.check_caps(self.params)?;
        let mut tag = [0; Output::MAX_LENGTH];
        let tag = &mut tag[..stored.tag.len()];
        self.compute(stored.kind, password, &stored.salt, tag)?;
        if !secret::equal(tag, stored.tag.as_bytes()) {
            return Ok(Verdict::Mismatch);
        }
        if stored.is_of(self.today()) { Ok(Verdict::Match) } else { Ok(Verdict::MatchNeedsRehash) }
    }

    fn today(&self) -> Kind {
        Kind { algorithm: Algorithm::Argon2id, version: Version::V0x13, params: self.params }
    }

    fn compute(
        &mut self,
        kind: Kind,
        password: &Secret<String>,
        salt: &[u8],
        tag: &mut [u8],
    ) -> Result<(), HashError> {
        let engine = kind.engine(tag.len()).map_err(|_| HashError::Corrupt)?;
        let needed = engine.params().block_count();
        let own = self.today().engine(TAG_BYTES)?.params().block_count();
        let text = normalized(password);
        // Memory for a foreign hash above our own size is given back at once: it is met once, then rehashed.
        let mut foreign = Vec::new();
        let blocks = if needed <= own { &mut self.blocks } else { &mut foreign };
        let size = needed.max(own);
        if blocks.len() < size {
            blocks.try_reserve_exact(size).map_err(|_| argon2::Error::OutOfMemory)?;
            blocks.resize(size, Block::new());
        }
        engine.hash_password_into_with_memory(text.as_bytes(), salt, tag, &mut blocks[..])?;
        Ok(())
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hasher").field("params", &self.params).finish_non_exhaustive()
    }
}

/// What was computed: everything of a PHC string but salt and tag.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Kind {
    algorithm: Algorithm,
    version: Version,
    params: Params,
}

impl Kind {
    fn engine(self, tag_bytes: usize) -> Result<Argon2<'static>, argon2::Error> {
        let Params { memory_kib, iterations, parallelism } = self.params;
        let params = argon2::Params::new(memory_kib, iterations, parallelism, Some(tag_bytes))?;
        Ok(Argon2::new(self.algorithm, self.version, params))
    }

    /// Refuses costs above the caps, or above our own parameters where an operator chose higher ones.
    fn check_caps(self, own: Params) -> Result<(), HashError> {
        let work = |params: Params| u64::from(params.memory_kib) * u64::from(params.iterations);
        let it = self.params;
        let within = it.memory_kib <= MEMORY_KIB_MAX.max(own.memory_kib)
            && it.iterations <= ITERATIONS_MAX.max(own.iterations)
            && it.parallelism <= PARALLELISM_MAX.max(own.parallelism)
            && work(it) <= WORK_KIB_MAX.max(work(own));
        if within { Ok(()) } else { Err(HashError::ParametersRefused) }
    }

    fn phc(self, salt: &[u8], tag: &[u8]) -> Result<String, HashError> {
        let engine = self.engine(tag.len())?;
        let hash = PasswordHash {
            algorithm: self.algorithm.ident(),
            version: Some(self.version.into()),
            params: ParamsString::try_from(engine.params()).map_err(|_| HashError::Corrupt)?,
            salt: Some(Salt::new(salt).map_err(|_| HashError::Corrupt)?),
            hash: Some(Output::new(tag).map_err(|_| HashError::Corrupt)?),
        };
        Ok(hash.to_string())
    }
}

/// A stored hash, taken apart.
struct Stored {
    kind: Kind,
    salt: Salt,
    tag: Output,
}

impl Stored {
    fn parse(phc: &str) -> Result<Self, HashError> {
        let hash = PasswordHash::new(phc).map_err(|_| HashError::Corrupt)?;
        let algorithm = Algorithm::new(hash.algorithm).map_err(|_| HashError::Corrupt)?;
        // A string without a version is of the one before versions were written (the reference decoder's rule).
        let version = hash.version.map_or(Ok(Version::V0x10), Version::try_from);
        // Each of the three exactly once: the crate would fill in defaults for what is missing. `keyid` and `data`
        // belong to hashes under a key that we do not have.
        let (mut memory_kib, mut iterations, mut parallelism) = (None, None, None);
        for (name, value) in hash.params.iter() {
            let slot = match name.as_str() {
                "m" => &mut memory_kib,
                "t" => &mut iterations,
                "p" => &mut parallelism,
                _ => return Err(HashError::Corrupt),
            };
            let value = value.decimal().map_err(|_| HashError::Corrupt)?;
            if slot.replace(value).is_some() {
                return Err(HashError::Corrupt);
            }
        }
        let params = Params {
            memory_kib: memory_kib.ok_or(HashError::Corrupt)?,
            iterations: iterations.ok_or(HashError::Corrupt)?,
            parallelism: parallelism.ok_or(HashError::Corrupt)?,
        };
        let kind = Kind { algorithm, version: version.map_err(|_| HashError::Corrupt)?, params };
        let tag = hash.hash.ok_or(HashError::Corrupt)?;
        kind.engine(tag.len()).map_err(|_| HashError::Corrupt)?;
        Ok(Self { kind, salt: hash.salt.ok_or(HashError::Corrupt)?, tag })
    }

    fn is_of(&self, today: Kind) -> bool {
        self.kind == today && self.salt.len() == SALT_BYTES && self.tag.len() == TAG_BYTES
    }
}

#[cfg(test)]
#[path = "hashing_tests.rs"]
mod tests;
