#![no_main]
//! The cargo-fuzz entry point of the harness in `src/jwt.rs`. That file describes what the harness
//! checks.

use std::sync::OnceLock;

use latchkey_fuzz::{Fixture, jwt};

static FIXTURE: OnceLock<Fixture> = OnceLock::new();

libfuzzer_sys::fuzz_target!(|data: &[u8]| jwt::run(FIXTURE.get_or_init(Fixture::start), data));
