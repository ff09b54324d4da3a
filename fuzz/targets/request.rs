#![no_main]
//! The cargo-fuzz entry point of `src/request.rs`, which describes what is checked.

use std::sync::OnceLock;

use latchkey_fuzz::{Fixture, request};

static FIXTURE: OnceLock<Fixture> = OnceLock::new();

libfuzzer_sys::fuzz_target!(|data: &[u8]| request::run(FIXTURE.get_or_init(Fixture::start), data));
