//! Parses and writes argon2 strings (PHC string format, RFC 9106), and checks whether their costs
//! are within the caps. The module `engine` computes the hashes.

use argon2::password_hash::phc::{Output, ParamsString, Salt};
use argon2::{Algorithm, Argon2, PasswordHash, Version};

use super::hashing::{Format, Unsupported};

/// The maximum memory that a stored hash may need, in KiB: 256 MiB. If the configured parameters
/// need more, their memory is the maximum.
///
/// The second choice of RFC 9106 §4 is 64 MiB. Each worker verifies one hash at a time, so such
/// hashes need at most 256 MiB for each worker.
pub const MEMORY_KIB_MAX: u32 = 256 * 1024;

/// The maximum work that a stored hash may need: memory in KiB times passes. This is 512 MiB.
///
/// On the reference machine this work takes 0.45 s with newly allocated memory. The caps allow
/// every foreign format half a second, because a login perhaps tries two forms of the password
/// (`foreign/`). OWASP recommends 19 456 KiB in two passes, which take 14 ms with memory that is
/// already allocated. libsodium's MODERATE needs 768 MiB, so it needs configured parameters of the
/// same work.
pub const WORK_KIB_MAX: u64 = 512 * 1024;

/// The maximum number of passes that a stored hash may need. With more passes, [`WORK_KIB_MAX`]
/// allows too little memory for a useful hash.
pub const ITERATIONS_MAX: u32 = 1024;

/// The maximum number of lanes that a stored hash may need. The lanes are computed one after the
/// other, so more lanes cost nothing extra.
pub const PARALLELISM_MAX: u32 = 64;

/// The length of the salt of new hashes, in bytes. RFC 9106 §3.1 recommends 16.
pub(super) const SALT_BYTES: usize = 16;

/// The length of the tag of new hashes, in bytes. RFC 9106 §4 recommends 256 bits.
pub(super) const TAG_BYTES: usize = 32;

/// The maximum length of the tag of a stored hash, in bytes.
pub(super) const TAG_BYTES_MAX: usize = Output::MAX_LENGTH;

/// The cost of a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params {
    /// The memory in KiB: argon2's parameter m.
    pub memory_kib: u32,
    /// The number of passes: argon2's parameter t.
    pub iterations: u32,
    /// The number of lanes: argon2's parameter p.
    pub parallelism: u32,
}

/// All parts of a PHC string except the salt and the tag.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Kind {
    pub algorithm: Algorithm,
    pub version: Version,
    pub params: Params,
    /// The version of the pepper that is applied before argon2. The PHC string contains it as
    /// `keyid`: the decimal digits of the version, in base64.
    pub pepper: Option<u16>,
}

impl Kind {
    /// The reference engine, configured for this kind. Returns an error if argon2 does not allow
    /// the parameters.
    pub fn reference(self, tag_bytes: usize) -> Result<Argon2<'static>, argon2::Error> {
        let Params { memory_kib, iterations, parallelism } = self.params;
        let params = argon2::Params::new(memory_kib, iterations, parallelism, Some(tag_bytes))?;
        Ok(Argon2::new(self.algorithm, self.version, params))
    }

    /// Returns an error if the costs are above the caps. If the configured parameters `own` are
    /// higher than a cap, they replace that cap.
    pub fn check_caps(self, own: Params) -> Result<(), Unsupported> {
        let work = |params: Params| u64::from(params.memory_kib) * u64::from(params.iterations);
        let it = self.params;
        let within = it.memory_kib <= MEMORY_KIB_MAX.max(own.memory_kib)
            && it.iterations <= ITERATIONS_MAX.max(own.iterations)
            && it.parallelism <= PARALLELISM_MAX.max(own.parallelism)
            && work(it) <= WORK_KIB_MAX.max(work(own));
        if within { Ok(()) } else { Err(Unsupported::TooCostly(Format::Argon2)) }
    }

    /// The PHC string of this kind, salt and tag. None if argon2 does not allow the parameters, or
    /// if the PHC format cannot represent them.
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

/// A parsed stored argon2 hash.
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
        // Old strings contain no version. As in the reference decoder, they have the version that
        // argon2 had before strings contained one.
        let version = hash.version.map_or(Ok(Version::V0x10), Version::try_from);
        // Each of these three parameters must be present exactly once, because the crate would use
        // a default for a missing parameter. A string with `data` is refused, because its hash
        // covers more than a password.
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

    /// Whether the hash has exactly the form that a new hash has.
    pub fn is_of(&self, today: Kind) -> bool {
        self.kind == today && self.salt.len() == SALT_BYTES && self.tag.len() == TAG_BYTES
    }
}

/// The version that a `keyid` contains. None if the key belongs to another system.
fn pepper_version(digits: &[u8]) -> Option<u16> {
    let version: u16 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (version.to_string().as_bytes() == digits).then_some(version)
}
