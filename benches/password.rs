//! Benchmark: hashing and verifying a password with OWASP's parameters. It is compared with argon2
//! alone, with memory that is already allocated.

use std::hint::black_box;
use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Block, Version};
use latchkey::config::PasswordEngine;
use latchkey::password::{Hasher, Params, Setup};
use latchkey::secret::Secret;

use crate::measure::{Effort, Table, as_nanos, measured};

/// The parameters that OWASP recommends. They are also latchkey's defaults.
pub const PARAMS: Params = Params { memory_kib: 19_456, iterations: 2, parallelism: 1 };
const PASSWORD: &str = "correct horse battery";

/// The values of the setting `password.engine`.
const ENGINES: [(PasswordEngine, &str); 2] =
    [(PasswordEngine::Argon2, "argon2"), (PasswordEngine::Simd, "simd")];

pub fn run(effort: Effort) {
    Table::new("password (time for one, per thread)", effort);
    for threads in [1, 2] {
        for (engine, engine_name) in ENGINES {
            let (mut hashes, mut verifications, mut bare) = (Vec::new(), Vec::new(), Vec::new());
            for _ in 0..effort.rounds {
                bare.push(on_threads(threads, effort, bare_hash));
                hashes.push(on_threads(threads, effort, || hash(engine)));
                verifications.push(on_threads(threads, effort, || verify(engine)));
            }
            let name = |what: &str| format!("{what}, {engine_name}, {threads} at once");
            let limit = "argon2 on memory of its own";
            measured(&name("hash"), &mut hashes, limit, &mut bare);
            measured(&name("verify"), &mut verifications, limit, &mut bare);
        }
    }
}

/// Lets each of `threads` threads make calls for one round. Returns the time of one call in
/// nanoseconds.
fn on_threads<C: FnMut()>(threads: u32, effort: Effort, make: impl Fn() -> C + Sync) -> f64 {
    let took: Vec<f64> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let mut call = make();
                    // The first call allocates the memory. It is not measured, so all measured
                    // calls use memory that is already allocated.
                    call();
                    timed(effort.round, call)
                })
            })
            .collect();
        all.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    took.iter().sum::<f64>() / f64::from(threads)
}

fn timed(round: Duration, mut call: impl FnMut()) -> f64 {
    let started = Instant::now();
    let mut count = 0;
    while started.elapsed() < round {
        call();
        count += 1;
    }
    as_nanos(started.elapsed()) / f64::from(count)
}

fn hasher(engine: PasswordEngine) -> Hasher {
    Hasher::new(Setup { engine, ..Setup::plain(PARAMS) }).expect("parameters that argon2 allows")
}

fn hash(engine: PasswordEngine) -> impl FnMut() {
    let mut hasher = hasher(engine);
    let password = Secret::new(PASSWORD.to_owned());
    move || {
        black_box(hasher.hash(black_box(&password)).expect("hashed"));
    }
}

fn verify(engine: PasswordEngine) -> impl FnMut() {
    let mut hasher = hasher(engine);
    let password = Secret::new(PASSWORD.to_owned());
    let stored = hasher.hash(&password).expect("hashed");
    move || {
        black_box(hasher.verify(black_box(&password), &stored).expect("verified"));
    }
}

/// Returns a function that computes argon2 alone, with memory that was used before.
pub fn bare_hash() -> impl FnMut() {
    let Params { memory_kib, iterations, parallelism } = PARAMS;
    let params = argon2::Params::new(memory_kib, iterations, parallelism, Some(32));
    let engine = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.expect("parameters"));
    let mut blocks = vec![Block::new(); engine.params().block_count()];
    let salt = [7; 16];
    move || {
        let mut tag = [0; 32];
        engine
            .hash_password_into_with_memory(PASSWORD.as_bytes(), &salt, &mut tag, &mut blocks[..])
            .expect("hashed");
        black_box(tag);
    }
}
