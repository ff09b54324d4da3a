//! bcrypt hashes. A string is `$2b$12$`, then 22 characters of salt, then 31 characters of hash.
//! bcrypt has its own base64 alphabet.
//!
//! Two systems digest the password first, so that bcrypt reads all of it ([`Digest`]).
//!
//! `$2a$`, `$2b$` and `$2y$` mean the same algorithm. They also say that the hash was not written
//! by a version of one library that had a bug. `$2x$` says that the hash was written with this bug,
//! so it is refused. `$2$` is an older version without the terminating NUL, so it is also refused.
//!
//! bcrypt reads only the first 72 bytes of a password. So a longer password matches if its first 72
//! bytes are right. The new hash that replaces the bcrypt hash covers the whole password that the
//! user typed.
//!
//! A password that contains a NUL never matches. bcrypt treats a NUL as the end of the password,
//! and PHP, Python and crypt(3) refuse such a password or cut it at the NUL. bcrypt also repeats
//! the password together with its terminating NUL, so `a` and `a\0a` would give the same hash.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::alphabet::BCRYPT;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use super::super::hashing::Unsupported;
use crate::secret;

/// The maximum cost of a hash that is verified. The cost 13 takes 0.5 s. The cost 12, today's
/// common default, takes 0.24 s. Each step doubles the time.
pub const COST_MAX: u32 = 13;

/// The minimum cost that bcrypt allows.
const COST_MIN: u32 = 4;

/// The number of bytes that bcrypt reads of the password.
const KEY_BYTES: usize = 72;

/// The bits of the salt and of the hash do not fill a whole number of characters. The unused bits
/// of the last character may have any value, because C libraries ignore them.
const ALPHABET: GeneralPurpose = GeneralPurpose::new(
    &BCRYPT,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

/// The digest of the password that bcrypt gets instead of the password.
#[derive(Clone, Copy)]
enum Digest {
    None,
    /// `$wp$2y$…`: the base64 of HMAC-SHA-384 with the key `wp-sha384`, as WordPress 6.8 does.
    WordPress,
    /// `bcrypt_sha256$$2b$…`: SHA-256 in hexadecimal, as Django does.
    Django,
}

impl Digest {
    fn of(self, password: &[u8]) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(match self {
            Self::None => password.to_vec(),
            Self::WordPress => {
                let key = hmac::Key::new(hmac::HMAC_SHA384, b"wp-sha384");
                STANDARD.encode(hmac::sign(&key, password)).into_bytes()
            }
            Self::Django => {
                let digest = secret::sha256_of(password);
                digest.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect()
            }
        })
    }
}

pub struct Bcrypt {
    digest: Digest,
    cost: u32,
    salt: [u8; 16],
    tag: [u8; 23],
}

impl Bcrypt {
    /// Returns None if the string is malformed. Returns an error if the string is a variant of
    /// bcrypt that is not supported.
    pub fn parse(stored: &str) -> Result<Option<Self>, Unsupported> {
        let (digest, stored) = if let Some(rest) = stored.strip_prefix("$wp") {
            (Digest::WordPress, rest)
        } else if let Some(rest) = stored.strip_prefix("bcrypt_sha256$") {
            (Digest::Django, rest)
        } else {
            (Digest::None, stored)
        };
        let parts: Vec<&str> = stored.split('$').collect();
        let ["", version, cost, rest] = parts[..] else { return Ok(None) };
        if !["2a", "2b", "2y"].contains(&version) {
            return Err(Unsupported::Algorithm);
        }
        Ok(Self::of(digest, cost, rest))
    }

    fn of(digest: Digest, cost: &str, rest: &str) -> Option<Self> {
        let is_number = cost.len() == 2 && cost.bytes().all(|byte| byte.is_ascii_digit());
        let cost = is_number.then(|| cost.parse().ok()).flatten()?;
        if !(COST_MIN..=31).contains(&cost) || rest.len() != 53 {
            return None;
        }
        let (salt, tag) = rest.split_at_checked(22)?;
        let (salt, tag) = (ALPHABET.decode(salt).ok()?, ALPHABET.decode(tag).ok()?);
        Some(Self { digest, cost, salt: salt.try_into().ok()?, tag: tag.try_into().ok()? })
    }

    pub fn is_within_caps(&self) -> bool {
        self.cost <= COST_MAX
    }

    pub fn matches(&self, password: &[u8]) -> bool {
        let password = &self.digest.of(password)[..];
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        let length = password.len().min(KEY_BYTES);
        key[..length].copy_from_slice(&password[..length]);
        // The key includes the terminating NUL, if the password has fewer than 72 bytes.
        let key = &key[..(length + 1).min(KEY_BYTES)];
        let tag = bcrypt::bcrypt(self.cost, self.salt, key);
        secret::equal(&tag[..23], &self.tag) && !password.contains(&0)
    }
}
