#![no_main]
//! Cargo-fuzz's entry; what is held is said in src/request.rs.

use std::sync::OnceLock;

use latchkey_fuzz::{Fixture, request};

static FIXTURE: OnceLock<Fixture> = OnceLock::new();

libfuzzer_sys::fuzz_target!(|data: &[u8]| request::run(FIXTURE.get_or_init(Fixture::start), data));
