#![no_main]
//! The cargo-fuzz entry point of the harness in `src/passkey.rs`. That file describes what the
//! harness checks.

libfuzzer_sys::fuzz_target!(|data: &[u8]| latchkey_fuzz::passkey::run(data));
