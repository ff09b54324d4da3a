//! bcrypt: `$2b$12$` with 22 characters of salt and 31 of hash, in an alphabet of its own.
//!
//! `$2a$`, `$2b$` and `$2y$` mean the same algorithm. They only say that the hash does not have an
//! old bug of one library. `$2x$` says that it has the bug, and is refused. `$2$` is from before
//! the terminating NUL, and is also refused.
//!
//! bcrypt reads 72 bytes, so longer passwords match by their first 72. The new hash then covers the
//! whole password that was typed. A NUL ends the password inside bcrypt, and PHP, Python and
//! crypt(3) refuse it or cut the password there. bcrypt also repeats the key with its NUL, so `a`
//! and `a\0a` would be the same. Therefore a password that contains a NUL never matches.

use base64::Engine as _;
use base64::alphabet::BCRYPT;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use super::super::hashing::Unsupported;
use crate::secret;

/// The greatest cost that is computed: 14, which takes 1.0 s. 12, today's common default, takes
/// 0.24 s. Each step doubles the time.
pub const COST_MAX: u32 = 14;

/// The least cost that bcrypt allows.
const COST_MIN: u32 = 4;

/// The bytes of the password that bcrypt reads.
const KEY_BYTES: usize = 72;

/// Salt and hash do not fill a whole number of characters. The unused last bits may have any value,
/// because C libraries ignore them.
const ALPHABET: GeneralPurpose = GeneralPurpose::new(
    &BCRYPT,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

pub struct Bcrypt {
    cost: u32,
    salt: [u8; 16],
    tag: [u8; 23],
}

impl Bcrypt {
    /// Returns None if the string is malformed, and an error if it is a variant that is not
    /// supported.
    pub fn parse(stored: &str) -> Result<Option<Self>, Unsupported> {
        let parts: Vec<&str> = stored.split('$').collect();
        let ["", version, cost, rest] = parts[..] else { return Ok(None) };
        if !["2a", "2b", "2y"].contains(&version) {
            return Err(Unsupported::Algorithm);
        }
        Ok(Self::of(cost, rest))
    }

    fn of(cost: &str, rest: &str) -> Option<Self> {
        let is_number = cost.len() == 2 && cost.bytes().all(|byte| byte.is_ascii_digit());
        let cost = is_number.then(|| cost.parse().ok()).flatten()?;
        if !(COST_MIN..=31).contains(&cost) || rest.len() != 53 {
            return None;
        }
        let (salt, tag) = rest.split_at_checked(22)?;
        let (salt, tag) = (ALPHABET.decode(salt).ok()?, ALPHABET.decode(tag).ok()?);
        Some(Self { cost, salt: salt.try_into().ok()?, tag: tag.try_into().ok()? })
    }

    pub fn is_within_caps(&self) -> bool {
        self.cost <= COST_MAX
    }

    pub fn matches(&self, password: &[u8]) -> bool {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        let length = password.len().min(KEY_BYTES);
        key[..length].copy_from_slice(&password[..length]);
        // The key includes the terminating NUL if it fits.
        let key = &key[..(length + 1).min(KEY_BYTES)];
        let tag = bcrypt::bcrypt(self.cost, self.salt, key);
        secret::equal(&tag[..23], &self.tag) && !password.contains(&0)
    }
}
