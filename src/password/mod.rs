//! Passwords: what makes one acceptable ([`policy`]) and how one is kept ([`hashing`]).
//!
//! New hashes are argon2id ([`argon`]), computed by one of two engines ([`engine`]), under a key where one is configured
//! ([`pepper`]). Hashes that an import brought are verified in their own format (`foreign/`) and replaced.
//!
//! Both see a password through `normalized`: NFC is the only thing that is ever done to it (NIST SP 800-63B-4
//! §3.1.1.2). Hashing blocks a thread for milliseconds: the worker ([`PasswordWorker`]) does it on a blocking one, and there
//! are as many workers as hashes may run at once, which bounds CPU and memory.

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

/// The password in NFC, wiped when dropped. No other copy of it is left behind, save a few characters in the
/// normaliser's own buffer where the password was not in NFC.
fn normalized(password: &Secret<String>) -> Zeroizing<String> {
    let typed = password.expose();
    // NFC is at most three times as long (UAX #15 §1.2): room from the start, so that growing leaves no copies.
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
