//! The two engines that compute argon2. The default engine is RustCrypto's `argon2`, with memory
//! that is reused. The second engine is `argon2-rust`. In measurements it was 2.7 to 3 times as
//! fast, but it has much `unsafe` code and was never audited. It is used only if `password.engine`
//! selects it.
//!
//! The second engine must give the same results as the default engine. A property test checks that.
//! [`self_test`] also checks it at every start of the daemon, because the result can depend on the
//! machine and on the CPU instructions in use. If the results differ, the daemon does not start.

use std::error::Error;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use argon2::{Algorithm, Block, Version};
use argon2_rust as simd;

use super::argon::{Kind, Params, TAG_BYTES, TAG_BYTES_MAX};
use super::foreign::text::hex;
use super::hashing::HashError;
use crate::config::PasswordEngine;
use crate::secret;

/// An engine with memory of its own, for one hash at a time.
pub(super) enum Engine {
    /// RustCrypto's engine. The vector is its memory, and is empty before the first use.
    Reference(Vec<Block>),
    /// `argon2-rust`, which manages its memory itself. The hasher is None before the first use. The
    /// hasher is not `Sync`, but a worker must be `Sync`, so the hasher is inside a mutex. The
    /// mutex is locked only in tests, because other code has exclusive access to the engine.
    Simd(Mutex<Option<simd::Hasher>>),
}

impl Engine {
    pub fn new(which: PasswordEngine) -> Self {
        match which {
            PasswordEngine::Argon2 => Self::Reference(Vec::new()),
            PasswordEngine::Simd => Self::Simd(Mutex::new(None)),
        }
    }

    /// Computes a tag of the given kind. `own` is the kind of new hashes. Memory is reused only if
    /// `kind` needs no more of it than `own` does.
    pub fn compute(
        &mut self,
        kind: Kind,
        own: Kind,
        secret: &[u8],
        salt: &[u8],
        tag: &mut [u8],
    ) -> Result<(), HashError> {
        match self {
            Self::Reference(blocks) => by_reference(blocks, kind, own, secret, salt, tag),
            Self::Simd(hasher) => {
                let kept = hasher.get_mut().unwrap_or_else(PoisonError::into_inner);
                by_simd(kept, kind, own, secret, salt, tag)
            }
        }
    }

    /// The memory that stays allocated after a hash, in KiB (approximately).
    #[cfg(test)]
    pub fn kept_kib(&self) -> usize {
        match self {
            Self::Reference(blocks) => blocks.capacity(),
            Self::Simd(hasher) => {
                hasher.lock().unwrap().as_ref().map_or(0, simd::Hasher::reserved_blocks)
            }
        }
    }
}

fn by_reference(
    kept: &mut Vec<Block>,
    kind: Kind,
    own: Kind,
    secret: &[u8],
    salt: &[u8],
    tag: &mut [u8],
) -> Result<(), HashError> {
    let engine = kind.reference(tag.len()).map_err(|_| HashError::Corrupt)?;
    let needed = engine.params().block_count();
    let own = own.reference(TAG_BYTES).map_err(HashError::engine)?.params().block_count();
    // If a foreign hash needs more memory than a new hash, this memory is freed at once, because
    // such a hash is verified once and then replaced.
    let mut foreign = Vec::new();
    let blocks = if needed <= own { kept } else { &mut foreign };
    let size = needed.max(own);
    if blocks.len() < size {
        blocks.try_reserve_exact(size).map_err(HashError::engine)?;
        blocks.resize(size, Block::new());
    }
    engine
        .hash_password_into_with_memory(secret, salt, tag, &mut blocks[..])
        .map_err(HashError::engine)
}

fn by_simd(
    kept: &mut Option<simd::Hasher>,
    kind: Kind,
    own: Kind,
    secret: &[u8],
    salt: &[u8],
    tag: &mut [u8],
) -> Result<(), HashError> {
    let wanted = simd_of(kind, tag.len())?;
    if kind.params.memory_kib > own.params.memory_kib {
        // The memory for this foreign hash is freed at once, as in `by_reference`.
        return wanted.hash_into(secret, salt, tag).map_err(HashError::engine);
    }
    let own = simd_of(own, TAG_BYTES)?;
    let hasher = kept.get_or_insert_with(|| own.hasher());
    if hasher.reserved_blocks() == 0 {
        hasher.set_argon2(own);
        hasher.reserve().map_err(HashError::engine)?;
    }
    hasher.set_argon2(wanted);
    hasher.hash_into(secret, salt, tag).map_err(HashError::engine)
}

fn simd_of(kind: Kind, tag_bytes: usize) -> Result<simd::Argon2, HashError> {
    let Params { memory_kib, iterations, parallelism } = kind.params;
    let params = simd::Params::builder()
        .memory(simd::params::Memory::kib(memory_kib.into()))
        .passes(iterations)
        .lanes(parallelism)
        // Each hash uses one thread, because the pool decides how many hashes run at once.
        .threads(1)
        .tag_len(simd::params::TagLen::bytes(u64::try_from(tag_bytes).unwrap_or(u64::MAX)))
        .build()
        .map_err(|_| HashError::Corrupt)?;
    let algorithm = match kind.algorithm {
        Algorithm::Argon2d => simd::Algorithm::Argon2d,
        Algorithm::Argon2i => simd::Algorithm::Argon2i,
        Algorithm::Argon2id => simd::Algorithm::Argon2id,
    };
    let version = match kind.version {
        Version::V0x10 => simd::Version::V0x10,
        Version::V0x13 => simd::Version::V0x13,
    };
    Ok(simd::Argon2::new(algorithm, version, params))
}

/// An engine computed a wrong result, or failed.
#[derive(Debug)]
pub struct SelfTestFailed {
    what: String,
}

impl fmt::Display for SelfTestFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the engine does not compute argon2 correctly on this machine ({}): set \
             password.engine = \"argon2\", and report this bug",
            self.what
        )
    }
}

impl Error for SelfTestFailed {}

/// Tags from the tests of the reference implementation (phc-winner-argon2, `test.c`). All of them
/// have the password `password`, the salt `somesalt`, 256 KiB of memory, 2 passes and a tag of 32
/// bytes.
const VECTORS: [(Algorithm, Version, u32, &str); 5] = [
    (
        Algorithm::Argon2id,
        Version::V0x13,
        1,
        "9dfeb910e80bad0311fee20f9c0e2b12c17987b4cac90c2ef54d5b3021c68bfe",
    ),
    (
        Algorithm::Argon2id,
        Version::V0x13,
        2,
        "6d093c501fd5999645e0ea3bf620d7b8be7fd2db59c20d9fff9539da2bf57037",
    ),
    (
        Algorithm::Argon2i,
        Version::V0x13,
        1,
        "89e9029f4637b295beb027056a7336c414fadd43f6b208645281cb214a56452f",
    ),
    (
        Algorithm::Argon2i,
        Version::V0x13,
        2,
        "4ff5ce2769a1d7f4c8a491df09d41a9fbe90e5eb02155a13e4c01e20cd4eab61",
    ),
    (
        Algorithm::Argon2i,
        Version::V0x10,
        1,
        "fd4dd83d762c49bdeaf57c47bdcd0c2f1babf863fdeb490df63ede9975fccf06",
    ),
];

/// Edge cases of the parameters, as (memory in KiB, passes, lanes). They include the smallest
/// memory, sizes that are not a power of two, and several lanes and passes. The largest have enough
/// blocks to reach every rule by which argon2 selects a reference block.
const CORNERS: [(u32, u32, u32); 6] =
    [(8, 1, 1), (37, 3, 1), (64, 2, 4), (129, 1, 3), (1_024, 2, 1), (2_048, 1, 2)];

/// Compares an engine with published test vectors. For random inputs it also compares the engine
/// with the reference engine: for all algorithms and versions at several sizes, and for the
/// configured parameters. The test takes some tens of milliseconds and twice the memory of one
/// hash. It blocks the thread.
pub fn self_test(which: PasswordEngine, params: Params) -> Result<(), SelfTestFailed> {
    let mut engine = Engine::new(which);
    let own =
        Kind { algorithm: Algorithm::Argon2id, version: Version::V0x13, params, pepper: None };
    agrees(own, |kind, secret, salt, tag| engine.compute(kind, own, secret, salt, tag))
}

/// Does the check of [`self_test`] for any function that computes a tag.
fn agrees(
    own: Kind,
    mut compute: impl FnMut(Kind, &[u8], &[u8], &mut [u8]) -> Result<(), HashError>,
) -> Result<(), SelfTestFailed> {
    let failed = |kind: Kind, why: &dyn fmt::Display| SelfTestFailed {
        what: format!("{} version {:?} {:?}: {why}", kind.algorithm, kind.version, kind.params),
    };
    for (algorithm, version, parallelism, expected) in VECTORS {
        let params = Params { memory_kib: 256, iterations: 2, parallelism };
        let kind = Kind { algorithm, version, params, pepper: None };
        let mut tag = [0; 32];
        compute(kind, b"password", b"somesalt", &mut tag).map_err(|error| failed(kind, &error))?;
        if hex(expected).as_deref() != Some(&tag) {
            return Err(failed(kind, &"the result is not the published tag"));
        }
    }
    let mut reference = Engine::new(PasswordEngine::Argon2);
    let mut kinds = vec![own];
    for (memory_kib, iterations, parallelism) in CORNERS {
        let params = Params { memory_kib, iterations, parallelism };
        for algorithm in [Algorithm::Argon2d, Algorithm::Argon2i, Algorithm::Argon2id] {
            for version in [Version::V0x10, Version::V0x13] {
                kinds.push(Kind { algorithm, version, params, pepper: None });
            }
        }
    }
    for kind in kinds {
        let (secret, salt) = (secret::random_bytes::<40>(), secret::random_bytes::<16>());
        let (mut one, mut other) = ([0; TAG_BYTES_MAX], [0; TAG_BYTES_MAX]);
        reference
            .compute(kind, own, &secret, &salt, &mut one)
            .and_then(|()| compute(kind, &secret, &salt, &mut other))
            .map_err(|error| failed(kind, &error))?;
        if one != other {
            return Err(failed(kind, &"the result differs from the reference implementation"));
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
