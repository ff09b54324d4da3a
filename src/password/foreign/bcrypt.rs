//! bcrypt: `$2b$12$` with 22 characters of salt and 31 of hash, in an alphabet of its own.
//!
//! `$2a$`, `$2b$` and `$2y$` mean the same algorithm: they only tell that an old bug of one library is not in it. `$2x$`
//! says that it is, and is refused; so is `$2$`, which predates the terminator.
//!
//! bcrypt sees 72 bytes: longer passwords match by their first 72 (the rehash then takes the whole of what was typed).
//! A NUL ends the password inside bcrypt (and PHP, Python and crypt(3) refuse or cut one there), and the key is repeated
//! with its NUL, so that `a` and `a\0a` would be one: a password that holds a NUL never matches.

use base64::Engine as _;
use base64::alphabet::BCRYPT;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use super::super::hashing::Unsupported;
use crate::secret;

/// The greatest cost that is computed: 14, 1.0 s (12, today's common default, takes 0.24 s; each step doubles).
pub const COST_MAX: u32 = 14;

/// The least cost that bcrypt knows.
const COST_MIN: u32 = 4;

/// Bytes of the password that bcrypt sees.
const KEY_BYTES: usize = 72;

/// Salt and hash fill no whole number of characters; what their last bits hold, C libraries never looked at.
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
    /// None where it is malformed; an error where it is a kind that we do not compute.
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
        // With the NUL behind it, where there is room.
        let key = &key[..(length + 1).min(KEY_BYTES)];
        let tag = bcrypt::bcrypt(self.cost, self.salt, key);
        secret::equal(&tag[..23], &self.tag) && !password.contains(&0)
    }
}
