#![no_main]
//! Cargo-fuzz's entry; what is held is said in src/device.rs.

libfuzzer_sys::fuzz_target!(|data: &[u8]| latchkey_fuzz::device::run(data));
