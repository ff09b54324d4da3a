#![no_main]
//! The cargo-fuzz entry point of `src/client.rs`, which describes what is checked.

use std::sync::OnceLock;

use latchkey_fuzz::{Fixture, client};

static FIXTURE: OnceLock<Fixture> = OnceLock::new();

libfuzzer_sys::fuzz_target!(|data: &[u8]| client::run(FIXTURE.get_or_init(Fixture::start), data));
