//! Passwords: the rules for a new one ([`policy`]) and its storage as a hash ([`hashing`]).
//!
//! New hashes are argon2id ([`argon`]), computed by one of two engines ([`engine`]), under a secret
//! key if one is configured ([`pepper`]). Imported hashes are verified in their own format
//! (`foreign/`) and then replaced.
//!
//! Both modules use a password in NFC (`normalized`) and change nothing else in it (NIST SP
//! 800-63B-4 §3.1.1.2). Hashing blocks a thread for milliseconds, so the worker
//! ([`PasswordWorker`]) does it on a blocking thread. There are as many workers as hashes may run
//! at once, which bounds CPU and memory.

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};
use zeroize::Zeroizing;

use crate::secret::Secret;

pub mod argon;
pub mod breach;
mod common;
pub mod engine;
mod foreign;
pub mod hashing;
pub mod pepper;
pub mod policy;
mod worker;

pub use argon::Params;
pub use breach::{Breach, Breached, Finding};
pub use engine::self_test;
pub use hashing::{Format, HashError, Hasher, Setup, Unsupported, Verdict, admit};
pub use pepper::Peppers;
pub use policy::{Policy, PolicyViolation};
pub use worker::{OldHash, PasswordCommand, PasswordWorker, Passwords, ReplaceHash};

/// The password in NFC, wiped when it is dropped. It leaves no other copy, except for a few
/// characters in the normaliser's own buffer if the password was not in NFC.
fn normalized(password: &Secret<String>) -> Zeroizing<String> {
    let typed = password.expose();
    // NFC is at most three times as long (UAX #15 §1.2). With this capacity the string never has
    // to grow, which would leave copies.
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
