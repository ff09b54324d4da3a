//! argon2 strings (PHC string format, RFC 9106): read, written, held to caps. Computing is the engine's.

use argon2::password_hash::phc::{Output, ParamsString, Salt};
use argon2::{Algorithm, Argon2, PasswordHash, Version};

use super::hashing::{Format, Unsupported};

/// Memory that a stored hash may ask for, in KiB, where our own parameters ask for less: 256 MiB.
///
/// The largest that a known importer's source writes by default is libsodium's MODERATE, 256 MiB in 3 passes;
/// RFC 9106 §4's second choice is 64 MiB. Each worker may meet one such hash: workers × 256 MiB is the peak.
pub const MEMORY_KIB_MAX: u32 = 256 * 1024;

/// Work that a stored hash may ask for, memory times passes, in KiB: 1 GiB.
///
/// On memory that is taken for it that is 0.9 s here, the second that every foreign format is allowed. libsodium's
/// MODERATE asks for 0.75 GiB; OWASP's 19 456 KiB twice, on memory that is there, take 14 ms.
pub const WORK_KIB_MAX: u64 = 1024 * 1024;

/// Passes that a stored hash may ask for. Beyond it the small memory that [`WORK_KIB_MAX`] leaves makes no sense.
pub const ITERATIONS_MAX: u32 = 1024;

/// Lanes that a stored hash may ask for. We compute them one after the other, so they cost nothing of their own.
pub const PARALLELISM_MAX: u32 = 64;

/// Salt of our hashes, in bytes (RFC 9106 §3.1 recommends 16).
pub(super) const SALT_BYTES: usize = 16;

/// Tag of our hashes, in bytes: 256 bits (RFC 9106 §4).
pub(super) const TAG_BYTES: usize = 32;

/// The longest tag that is read, in bytes.
pub(super) const TAG_BYTES_MAX: usize = Output::MAX_LENGTH;

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

/// What was computed: everything of a PHC string but salt and tag.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Kind {
    pub algorithm: Algorithm,
    pub version: Version,
    pub params: Params,
    /// The version of the pepper in front of it; in the string `keyid`, the number's digits in base64.
    pub pepper: Option<u16>,
}

impl Kind {
    /// The reference engine of this kind; refuses what argon2 does not allow.
    pub fn reference(self, tag_bytes: usize) -> Result<Argon2<'static>, argon2::Error> {
        let Params { memory_kib, iterations, parallelism } = self.params;
        let params = argon2::Params::new(memory_kib, iterations, parallelism, Some(tag_bytes))?;
        Ok(Argon2::new(self.algorithm, self.version, params))
    }

    /// Refuses costs above the caps, or above our own parameters where an operator chose higher ones.
    pub fn check_caps(self, own: Params) -> Result<(), Unsupported> {
        let work = |params: Params| u64::from(params.memory_kib) * u64::from(params.iterations);
        let it = self.params;
        let within = it.memory_kib <= MEMORY_KIB_MAX.max(own.memory_kib)
            && it.iterations <= ITERATIONS_MAX.max(own.iterations)
            && it.parallelism <= PARALLELISM_MAX.max(own.parallelism)
            && work(it) <= WORK_KIB_MAX.max(work(own));
        if within { Ok(()) } else { Err(Unsupported::TooCostly(Format::Argon2)) }
    }

    /// The PHC string; none where argon2 or the format does not allow it.
    pub fn phc(self, salt: &[u8], tag: &[u8]) -> Option<String> {
        let engine = self.reference(tag.len()).ok()?;
        let mut params = ParamsString::try_from(engine.params()).ok()?;
        if let Some(version) = self.pepper {
            params.add_b64_bytes("keyid", version.to_string().as_bytes()).ok()?;
        }
        let hash = PasswordHash {
            algorithm: self.algorithm.ident(),
            version: Some(self.version.into()),
            params,
            salt: Some(Salt::new(salt).ok()?),
            hash: Some(Output::new(tag).ok()?),
        };
        Some(hash.to_string())
    }
}

/// A stored argon2 hash, taken apart.
pub(super) struct Stored {
    pub kind: Kind,
    pub salt: Salt,
    pub tag: Output,
}

impl Stored {
    pub fn parse(phc: &str) -> Result<Self, Unsupported> {
        const MALFORMED: Unsupported = Unsupported::Malformed(Format::Argon2);
        let hash = PasswordHash::new(phc).map_err(|_| MALFORMED)?;
        let algorithm = Algorithm::new(hash.algorithm).map_err(|_| MALFORMED)?;
        // A string without a version is of the one before versions were written (the reference decoder's rule).
        let version = hash.version.map_or(Ok(Version::V0x10), Version::try_from);
        // Each of the three exactly once: the crate would fill in defaults for what is missing. `data` belongs to
        // hashes over more than a password.
        let (mut memory_kib, mut iterations, mut parallelism) = (None, None, None);
        let mut pepper = None;
        for (name, value) in hash.params.iter() {
            let slot = match name.as_str() {
                "m" => &mut memory_kib,
                "t" => &mut iterations,
                "p" => &mut parallelism,
                "keyid" if pepper.is_none() => {
                    let mut room = [0; 8];
                    let digits = value.b64_decode(&mut room).map_err(|_| MALFORMED)?;
                    pepper = Some(pepper_version(digits).ok_or(Unsupported::Pepper)?);
                    continue;
                }
                _ => return Err(MALFORMED),
            };
            let value = value.decimal().map_err(|_| MALFORMED)?;
            if slot.replace(value).is_some() {
                return Err(MALFORMED);
            }
        }
        let params = Params {
            memory_kib: memory_kib.ok_or(MALFORMED)?,
            iterations: iterations.ok_or(MALFORMED)?,
            parallelism: parallelism.ok_or(MALFORMED)?,
        };
        let version = version.map_err(|_| MALFORMED)?;
        let kind = Kind { algorithm, version, params, pepper };
        let tag = hash.hash.ok_or(MALFORMED)?;
        kind.reference(tag.len()).map_err(|_| MALFORMED)?;
        Ok(Self { kind, salt: hash.salt.ok_or(MALFORMED)?, tag })
    }

    /// Whether it is just what we would write today.
    pub fn is_of(&self, today: Kind) -> bool {
        self.kind == today && self.salt.len() == SALT_BYTES && self.tag.len() == TAG_BYTES
    }
}

/// The version out of a `keyid`; none where the key is not one of ours.
fn pepper_version(digits: &[u8]) -> Option<u16> {
    let version: u16 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (version.to_string().as_bytes() == digits).then_some(version)
}
