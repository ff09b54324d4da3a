#![no_main]
//! Cargo-fuzz's entry; what is held is said in src/client.rs.

use std::sync::OnceLock;

use latchkey_fuzz::{Fixture, client};

static FIXTURE: OnceLock<Fixture> = OnceLock::new();

libfuzzer_sys::fuzz_target!(|data: &[u8]| client::run(FIXTURE.get_or_init(Fixture::start), data));
