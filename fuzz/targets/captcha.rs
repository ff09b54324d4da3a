#![no_main]
//! The cargo-fuzz entry point of `src/captcha.rs`, which describes what is checked.

libfuzzer_sys::fuzz_target!(|data: &[u8]| latchkey_fuzz::captcha::run(data));
