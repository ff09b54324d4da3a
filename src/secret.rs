//! Secrets: how they are held, made, digested and compared.
//!
//! [`Secret`] has a blind `Debug`, no `Display` and no `Serialize`, and is wiped on drop. Randomness comes from
//! aws-lc's CSPRNG and from nowhere else. [`Redactor`] takes secrets out of the texts of libraries and servers.

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

/// Something that must not be printed, logged or serialised. Wiped when dropped.
///
/// ```
/// let password = latchkey::secret::Secret::new("correct horse".to_owned());
/// assert_eq!(format!("{password:?}"), "Secret(…)");
/// assert_eq!(password.expose(), "correct horse");
/// ```
#[derive(Clone)]
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Takes a value in; from here on only [`Secret::expose`] shows it.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself. Every call is a place to look at in review.
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

/// Random bytes from the CSPRNG.
///
/// # Panics
/// When the operating system has no entropy to give: nothing of ours may go on then.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).expect("the operating system's random source answers");
    bytes
}

/// A random token of 128 bits in base64url: session ids, `jti`, request ids (ASVS 7.2.3, 11.5.1).
pub fn random_id() -> String {
    URL_SAFE_NO_PAD.encode(random_bytes::<16>())
}

/// Whether a text may be a [`random_id`]: base64url and nothing else. Asked before a stranger's text becomes a key of a
/// store: not each takes any text (PostgreSQL knows no NUL), and an odd key is no outage.
pub fn is_id(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// A UUID version 7 (RFC 9562 §5.7) of this moment: every row's id, ordered by time of making.
pub fn uuid_v7(now: UnixMillis) -> Uuid {
    let millis = u64::try_from(now).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random_bytes::<10>()).into_uuid()
}

/// SHA-256 of `data` in base64url: how the store knows a token without keeping it.
pub fn sha256(data: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, data))
}

/// SHA-256 of `data`, 32 bytes.
pub fn sha256_of(data: &[u8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest::digest(&digest::SHA256, data).as_ref());
    bytes
}

/// HMAC-SHA-256 (RFC 2104) of `data`, 32 bytes.
pub fn hmac_sha256(key: &[u8], data: &[u8]) -> [u8; 32] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data);
    let mut bytes = [0; 32];
    bytes.copy_from_slice(tag.as_ref());
    bytes
}

/// Whether two byte strings are equal, in time that depends on their length alone.
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(a, b).is_ok()
}

/// The 32 bytes that everything sealed or derived hangs on (`secrets.master_key`).
///
/// Each use gets a key of its own by HMAC over a label, so that no two uses ever share one.
#[derive(Clone, Debug)]
pub struct MasterKey(Secret<[u8; 32]>);

impl MasterKey {
    /// A key from its 32 bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Secret::new(bytes))
    }

    /// The key of one use, named by `label` (`"mail-token"`, `"seal:signing-key"`, `"log-digest"`, …).
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
