#![no_main]
//! The cargo-fuzz entry point of `src/address.rs`, which describes what is checked.

libfuzzer_sys::fuzz_target!(|data: &[u8]| latchkey_fuzz::address::run(data));
