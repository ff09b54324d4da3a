//! Passwords: the rules for new passwords ([`policy`]), and hashing and verifying ([`hashing`]).
//!
//! New hashes are argon2id ([`argon`]). One of two engines computes them ([`engine`]). If a secret
//! key is configured, it is applied to the password first ([`pepper`]). Imported hashes are
//! verified in their own format (`foreign/`) and then replaced.
//!
//! Both `policy` and `hashing` convert a password to NFC (`normalized`) and change nothing else in
//! it (NIST SP 800-63B-4 §3.1.1.2). A hash blocks a thread for milliseconds, so the worker
//! ([`PasswordWorker`]) computes it on a blocking thread. Each worker computes one hash at a time.
//! So the number of workers bounds the use of CPU and memory.

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};
use zeroize::Zeroizing;

use crate::secret::Secret;

pub mod argon;
pub mod breach;
mod common;
pub mod engine;
mod equal_work;
mod foreign;
pub mod hashing;
pub mod pepper;
pub mod policy;
mod worker;

pub use argon::Params;
pub use breach::{Breach, Breached, Finding};
pub use engine::self_test;
pub use equal_work::Checked;
pub use hashing::{Format, HashError, Hasher, Setup, Unsupported, Verdict, admit};
pub use pepper::Peppers;
pub use policy::{Policy, PolicyViolation};
pub use worker::{
    HashFaults, NoVerdict, OldHash, PasswordCommand, PasswordWorker, Passwords, ReplaceHash,
};

/// Returns the password in NFC. The returned string is wiped when it is dropped. No other copy
/// stays in memory, with one exception: if the password was not in NFC, a few characters can stay
/// in the normaliser's own buffer.
fn normalized(password: &Secret<String>) -> Zeroizing<String> {
    let typed = password.expose();
    // A password in NFC is at most three times as long as typed (UAX #15 §1.2). With this capacity
    // the string never has to grow. A string that grows would leave copies in memory.
    let mut text = Zeroizing::new(String::with_capacity(3 * typed.len()));
    match is_nfc_quick(typed.chars()) {
        IsNormalized::Yes => text.push_str(typed),
        IsNormalized::No | IsNormalized::Maybe => text.extend(typed.nfc()),
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn normalising_is_nfc_within_the_room_it_took(typed in any::<String>()) {
            let text = normalized(&Secret::new(typed.clone()));
            prop_assert_eq!(text.as_str(), typed.nfc().collect::<String>());
            prop_assert!(text.len() <= 3 * typed.len());
        }
    }
}
