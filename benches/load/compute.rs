//! The parts that need no I/O: hashes and signatures. They run on all cores.

use std::hint::black_box;
use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
    ParsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use hdrhistogram::Histogram;
use tokio::task::JoinSet;

use crate::Result;
use crate::load::{histogram, micros};

const MEMORY_KIB: u32 = 19_456;
const ITERATIONS: u32 = 2;

/// A message of the length of a token's header and claims.
const MESSAGE: [u8; 500] = [b'm'; 500];

/// Repeats a part on as many tasks as the machine has cores. The tasks keep the threads of the
/// runtime busy, so the threads are still there when their CPU time is read.
pub async fn on_all_cores<C: FnMut() + 'static>(
    make: fn() -> Result<C>,
    length: Duration,
) -> Result<Histogram<u64>> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut all = JoinSet::new();
    for _ in 0..cores {
        all.spawn(async move {
            let mut call = make()?;
            let mut latencies = histogram();
            let began = Instant::now();
            while began.elapsed() < length {
                let one = Instant::now();
                call();
                latencies.saturating_record(micros(one.elapsed()));
            }
            Result::Ok(latencies)
        });
    }
    let mut sum = histogram();
    for latencies in all.join_all().await {
        sum.add(latencies?)?;
    }
    Ok(sum)
}

/// The hash of a password as the database stores it, with latchkey's default parameters, which are
/// OWASP's.
pub fn stored_hash(password: &str) -> Result<String> {
    let (salt, mut tag) = ([7; 16], [0; 32]);
    let hashed = engine()?.hash_password_into(password.as_bytes(), &salt, &mut tag);
    hashed.map_err(|error| error.to_string())?;
    let (salt, tag) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(tag));
    Ok(format!("$argon2id$v=19$m={MEMORY_KIB},t={ITERATIONS},p=1${salt}${tag}"))
}

fn engine() -> Result<Argon2<'static>> {
    let params = Params::new(MEMORY_KIB, ITERATIONS, 1, Some(32)).map_err(|it| it.to_string())?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// Computes argon2id on memory that is already allocated.
pub fn hash() -> Result<impl FnMut()> {
    let engine = engine()?;
    let mut blocks = vec![Block::new(); engine.params().block_count()];
    Ok(move || {
        let mut tag = [0; 32];
        let memory = &mut blocks[..];
        let hashed = engine.hash_password_into_with_memory(&[7; 28], &[7; 16], &mut tag, memory);
        hashed.expect("the parameters are valid");
        black_box(tag);
    })
}

fn key() -> Result<EcdsaKeyPair> {
    let pkcs8 =
        EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
    let pkcs8 = pkcs8.map_err(|_| "cannot create a signing key")?;
    Ok(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref())
        .map_err(|error| error.to_string())?)
}

pub fn sign() -> Result<impl FnMut()> {
    let (key, random) = (key()?, SystemRandom::new());
    Ok(move || {
        black_box(key.sign(&random, black_box(&MESSAGE)).expect("the key signs"));
    })
}

pub fn verify() -> Result<impl FnMut()> {
    let key = key()?;
    let signature =
        key.sign(&SystemRandom::new(), &MESSAGE).map_err(|_| "the key does not sign")?;
    let public = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.public_key().as_ref())
        .map_err(|error| error.to_string())?;
    Ok(move || {
        let verified = public.verify_sig(black_box(&MESSAGE), signature.as_ref());
        verified.expect("the signature is valid");
    })
}
