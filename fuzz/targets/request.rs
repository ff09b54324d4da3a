#![no_main]
//! The cargo-fuzz entry point of the harness in `src/request.rs`. That file describes what the
//! harness checks.

use std::sync::OnceLock;

use latchkey_fuzz::{Fixture, request};

static FIXTURE: OnceLock<Fixture> = OnceLock::new();

libfuzzer_sys::fuzz_target!(|data: &[u8]| request::run(FIXTURE.get_or_init(Fixture::start), data));
