#![no_main]
//! Cargo-fuzz's entry; what is held is said in src/import.rs.

libfuzzer_sys::fuzz_target!(|data: &[u8]| latchkey_fuzz::import::run(data));
