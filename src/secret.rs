//! Secrets: a type for secret values, and functions for random values, digests and comparison.
//!
//! The `Debug` output of a [`Secret`] does not contain the value. The type has no `Display` and no
//! `Serialize`, and its value is wiped when it is dropped. All random values come from the CSPRNG
//! of aws-lc. [`Redactor`] removes secrets from texts that libraries and servers have written.

mod key_error;
mod redact;
pub mod seal;

use std::fmt;

use aws_lc_rs::{constant_time, digest, hmac, rand};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;
use zeroize::Zeroize;

pub use key_error::KeyError;
pub use redact::{Redactor, redact};

use crate::clock::UnixMillis;

/// A value that must not be printed, logged or serialised. It is wiped when it is dropped.
///
/// ```
/// let password = latchkey::secret::Secret::new("correct horse".to_owned());
/// assert_eq!(format!("{password:?}"), "Secret(…)");
/// assert_eq!(password.expose(), "correct horse");
/// ```
#[derive(Clone)]
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Wraps a value. Only [`Secret::expose`] returns it again.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// Returns the value itself. A reviewer must check every call of this function.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Returns random bytes from the CSPRNG.
///
/// # Panics
/// Panics if the operating system provides no entropy, because latchkey must not continue without
/// it.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).expect("the operating system's random source answers");
    bytes
}

/// Returns a random id of 128 bits in base64url. It is used for session ids, `jti` and request ids
/// (ASVS 7.2.3, 11.5.1).
pub fn random_id() -> String {
    id_of(&random_bytes::<16>())
}

/// The id with these random bytes.
pub fn id_of(random: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(random)
}

/// Whether a text has the form of a [`random_id`]: at least one character, and only characters of
/// base64url.
///
/// Callers must check this before they use a client's text as a key in a store. A store refuses
/// some texts: for example, PostgreSQL refuses NUL. Without the check, such a text would look like
/// an outage of the store.
pub fn is_id(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// Returns a UUID version 7 (RFC 9562 §5.7) for the time `now`. The ids of all rows are such UUIDs,
/// so rows are ordered by the time at which they were created.
pub fn uuid_v7(now: UnixMillis) -> Uuid {
    let millis = u64::try_from(now).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random_bytes::<10>()).into_uuid()
}

/// The SHA-256 of `data` in base64url. The token store contains this digest of a token and not the
/// token itself.
pub fn sha256(data: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, data))
}

/// The SHA-256 of `data`: 32 bytes.
pub fn sha256_of(data: &[u8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest::digest(&digest::SHA256, data).as_ref());
    bytes
}

/// The HMAC-SHA-256 (RFC 2104) of `data`: 32 bytes.
pub fn hmac_sha256(key: &[u8], data: &[u8]) -> [u8; 32] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data);
    let mut bytes = [0; 32];
    bytes.copy_from_slice(tag.as_ref());
    bytes
}

/// Whether two byte strings are equal. The duration of the comparison depends only on their length
/// and not on their content.
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(a, b).is_ok()
}

/// The master key (`secrets.master_key`): 32 bytes. All other keys are derived from the master key
/// or encrypted with it.
///
/// Each purpose has its own derived key: the HMAC of the purpose's label under the master key.
#[derive(Clone, Debug)]
pub struct MasterKey(Secret<[u8; 32]>);

impl MasterKey {
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Secret::new(bytes))
    }

    /// Derives the key for one purpose. `label` is the name of the purpose, for example
    /// `"mail-token"`, `"seal:signing-key"` or `"log-digest"`.
    pub fn derive(&self, label: &str) -> Secret<[u8; 32]> {
        Secret::new(hmac_sha256(self.0.expose(), label.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_base64url_and_nothing_else() {
        assert!(is_id(&random_id()));
        for other in ["", "a b", "a\0b", "../x", "a%00", "ä", "a=", "a+b", "{a}:*"] {
            assert!(!is_id(other), "{other:?}");
        }
    }

    #[test]
    fn a_secret_is_blind_in_debug() {
        assert_eq!(format!("{:?}", Secret::new(vec![1_u8, 2])), "Secret(…)");
        assert_eq!(format!("{:?}", MasterKey::new([7; 32])), "MasterKey(Secret(…))");
    }

    #[test]
    fn each_label_has_a_key_of_its_own() {
        let master = MasterKey::new([7; 32]);
        assert_ne!(master.derive("a").expose(), master.derive("b").expose());
        assert_eq!(master.derive("a").expose(), master.derive("a").expose());
    }

    #[test]
    fn ids_are_ordered_by_time_and_of_version_7() {
        let (early, late) = (uuid_v7(1_000), uuid_v7(2_000));
        assert!(early < late);
        assert_eq!(early.get_version_num(), 7);
        assert_ne!(uuid_v7(1_000), uuid_v7(1_000));
    }

    #[test]
    fn a_digest_is_43_characters_of_base64url() {
        assert_eq!(sha256(b"abc"), "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0");
        assert_eq!(random_id().len(), 22);
    }
}
