#![no_main]
//! Cargo-fuzz's entry; what is held is said in src/jwt.rs.

use std::sync::OnceLock;

use latchkey_fuzz::{Fixture, jwt};

static FIXTURE: OnceLock<Fixture> = OnceLock::new();

libfuzzer_sys::fuzz_target!(|data: &[u8]| jwt::run(FIXTURE.get_or_init(Fixture::start), data));
