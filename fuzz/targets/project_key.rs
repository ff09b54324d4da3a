#![no_main]
//! Cargo-fuzz's entry; what is held is said in src/project_key.rs.

libfuzzer_sys::fuzz_target!(|data: &[u8]| latchkey_fuzz::project_key::run(data));
