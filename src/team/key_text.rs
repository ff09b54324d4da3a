//! The text of a project key: `lk_<public id>_<secret>`. Secret scanners can find the text by its
//! format.
//!
//! The public id is the key's id without hyphens. The secret begins with 256 random bits as 43
//! digits of base 62. The last six digits are the CRC-32 of all characters before them. So a
//! scanner can check without a request whether a text can be a key ([`PATTERN`]). The text contains
//! only letters, digits and underscores, so a double click selects the whole text.

use uuid::Uuid;
use zeroize::Zeroizing;

use crate::secret::{Secret, random_bytes, sha256};

/// The pattern that finds keys in a text. In each match, the last six characters must also be the
/// CRC-32 of the characters before them.
pub const PATTERN: &str = r"\blk_[0-9a-f]{32}_[0-9A-Za-z]{49}\b";

const PREFIX: &str = "lk_";
const ID_DIGITS: usize = 32;
/// 43 digits of base 62 can represent 256 bits, because 62^43 > 2^256.
const SECRET_DIGITS: usize = 43;
/// 6 digits of base 62 can represent 32 bits.
const CHECK_DIGITS: usize = 6;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A key that a program has sent. It is not yet compared with a stored key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyText {
    /// The key's id, which is a part of the text.
    pub id: Uuid,
    /// SHA-256 of the whole text in base64url. A secret of 256 random bits needs no slow hash.
    pub digest: String,
}

/// Creates the text of a new key.
pub fn make(id: Uuid) -> Secret<String> {
    let secret = Zeroizing::new(base62(&random_bytes::<32>(), SECRET_DIGITS));
    let unchecked = Zeroizing::new(format!("{PREFIX}{}_{}", id.simple(), *secret));
    Secret::new(format!("{}{}", *unchecked, check_digits(&unchecked)))
}

impl KeyText {
    /// Reads a text. Returns none if the text cannot be a project key of latchkey. Needs no I/O.
    pub fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let sound = id.len() == ID_DIGITS
            && id.bytes().all(is_hex)
            && secret.len() == SECRET_DIGITS + CHECK_DIGITS
            && secret.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !sound {
            return None;
        }
        let (unchecked, check) = text.split_at(text.len() - CHECK_DIGITS);
        let id = Uuid::try_parse(id).ok().filter(|_| check_digits(unchecked) == check)?;
        Some(Self { id, digest: sha256(text.as_bytes()) })
    }
}

fn check_digits(text: &str) -> String {
    base62(&crc32(text.as_bytes()).to_be_bytes(), CHECK_DIGITS)
}

/// Writes a big-endian number in base 62, with `digits` digits.
fn base62(number: &[u8], digits: usize) -> String {
    let mut left = Zeroizing::new(number.to_vec());
    let mut out = vec![ALPHABET[0]; digits];
    for digit in out.iter_mut().rev() {
        let mut remainder = 0_usize;
        for byte in left.iter_mut() {
            let part = remainder << 8 | usize::from(*byte);
            *byte = u8::try_from(part / 62).unwrap_or(u8::MAX);
            remainder = part % 62;
        }
        *digit = ALPHABET[remainder];
    }
    String::from_utf8(out).unwrap_or_default()
}

/// CRC-32 as in Ethernet, gzip and PNG (reflected, polynomial 0x04C11DB7).
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
    !bytes
        .iter()
        .fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_made_is_read_back_and_never_twice_the_same() {
        let id = Uuid::from_u128(0x0199_d2f0_3c5e_7a10_8f00_5d2f_6a1b_9c33);
        let (one, other) = (make(id), make(id));
        assert_ne!(one.expose(), other.expose());
        assert!(one.expose().starts_with("lk_0199d2f03c5e7a108f005d2f6a1b9c33_"));
        assert_eq!(one.expose().len(), 3 + 32 + 1 + 49);
        let read = KeyText::parse(one.expose()).unwrap();
        assert_eq!((read.id, read.digest), (id, sha256(one.expose().as_bytes())));
    }

    #[test]
    fn the_checksum_and_the_digits_are_the_known_ones() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(base62(&[0; 4], 6), "000000");
        assert_eq!(base62(&61_u32.to_be_bytes(), 6), "00000z");
        assert_eq!(base62(&62_u32.to_be_bytes(), 6), "000010");
        assert_eq!(base62(&u32::MAX.to_be_bytes(), 6), "4gfFC3");
        let most = base62(&[0xFF; 32], SECRET_DIGITS + 1);
        assert!(most.starts_with('0'), "43 digits hold every secret: {most}");
    }

    #[test]
    fn the_documented_pattern_is_this_one() {
        let page = include_str!("../../docs/tenancy.md");
        assert!(page.contains(PATTERN), "docs/tenancy.md has to show {PATTERN}");
        let text = make(Uuid::from_u128(1));
        let expected = ID_DIGITS + SECRET_DIGITS + CHECK_DIGITS + PREFIX.len() + 1;
        assert_eq!(text.expose().len(), expected);
        assert!(PATTERN.contains("{32}") && PATTERN.contains("{49}"));
    }

    proptest! {
        #[test]
        fn one_changed_character_is_no_key(at in 0_usize..85, to in "[0-9A-Za-z_]") {
            let text = make(Uuid::from_u128(7));
            let mut changed = text.expose().clone();
            changed.replace_range(at..=at, &to);
            prop_assume!(changed != *text.expose());
            prop_assert_eq!(KeyText::parse(&changed), None);
        }

        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            let _ = KeyText::parse(&text);
            let _ = KeyText::parse(&format!("lk_{text}"));
        }
    }
}
