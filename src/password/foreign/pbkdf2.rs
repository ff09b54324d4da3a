//! PBKDF2 (RFC 8018) over HMAC-SHA-256 or HMAC-SHA-512, in the forms that systems write. The forms
//! are shown for SHA-256, and those with `512` are the same:
//!
//! - `$pbkdf2-sha256$i=600000,l=32$salt$hash`: PHC.
//! - `$pbkdf2-sha256$29000$salt$hash`: passlib, with `.` for `+` in its base64.
//! - `pbkdf2_sha256$600000$salt$hash`: Django, with the salt as text.
//! - `pbkdf2:sha256:600000$salt$hash`: Werkzeug, with the salt as text and the hash in hexadecimal.

use std::num::NonZeroU32;

use aws_lc_rs::pbkdf2;
use zeroize::Zeroizing;

use super::super::hashing::Format;
use super::text::{base64, fields, hex, number, salt, tag};
use crate::secret;

/// The most iterations over SHA-256, times the hash's blocks of 32 bytes. They take 0.7 s on the
/// reference machine, and four times that without SHA extensions. It is twice what Django 6 uses
/// (1.2 million), and four times OWASP's 600 000.
pub const SHA256_WORK_MAX: u64 = 2_500_000;

/// The most iterations over SHA-512, times the hash's blocks of 64 bytes. They take 0.9 s. OWASP
/// asks for 210 000.
pub const SHA512_WORK_MAX: u64 = 1_500_000;

pub struct Pbkdf2 {
    format: Format,
    iterations: NonZeroU32,
    salt: Vec<u8>,
    tag: Vec<u8>,
}

/// Which of the two formats a string has, by its beginning.
pub fn format(stored: &str) -> Option<Format> {
    let is_of = |digest: &str| {
        ["$pbkdf2-", "pbkdf2_", "pbkdf2:"].iter().any(|start| {
            let rest = stored.strip_prefix(start).and_then(|rest| rest.strip_prefix(digest));
            rest.is_some_and(|rest| rest.starts_with(['$', ':']))
        })
    };
    match (is_of("sha256"), is_of("sha512")) {
        (true, _) => Some(Format::Pbkdf2Sha256),
        (_, true) => Some(Format::Pbkdf2Sha512),
        _ => None,
    }
}

impl Pbkdf2 {
    pub fn parse(stored: &str) -> Option<Self> {
        let parts: Vec<&str> = stored.split('$').collect();
        let (iterations, salt_bytes, tag_bytes) = match parts[..] {
            ["", _, params, salt, tag] => {
                let tag = base64(tag)?;
                let [phc, length] = fields(params, ["i", "l"]).unwrap_or_default();
                if length.is_some_and(|length| usize::try_from(length) != Ok(tag.len())) {
                    return None;
                }
                let iterations = number(params).or(phc)?;
                (iterations, base64(salt)?, tag)
            }
            [_, iterations, salt, tag] => (number(iterations)?, salt.into(), base64(tag)?),
            [method, salt, tag] => {
                let (_, iterations) = method.strip_prefix("pbkdf2:")?.split_once(':')?;
                (number(iterations)?, salt.into(), hex(tag)?)
            }
            _ => return None,
        };
        Some(Self {
            format: format(stored)?,
            iterations: NonZeroU32::new(iterations)?,
            salt: salt(salt_bytes)?,
            tag: tag(tag_bytes)?,
        })
    }

    pub fn format(&self) -> Format {
        self.format
    }

    pub fn is_within_caps(&self) -> bool {
        let (block, most) = match self.format {
            Format::Pbkdf2Sha512 => (64, SHA512_WORK_MAX),
            _ => (32, SHA256_WORK_MAX),
        };
        let blocks = u64::try_from(self.tag.len().div_ceil(block)).unwrap_or(u64::MAX);
        u64::from(self.iterations.get()).saturating_mul(blocks) <= most
    }

    pub fn matches(&self, password: &[u8]) -> bool {
        let algorithm = match self.format {
            Format::Pbkdf2Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
            _ => pbkdf2::PBKDF2_HMAC_SHA256,
        };
        let mut derived = Zeroizing::new(vec![0; self.tag.len()]);
        pbkdf2::derive(algorithm, self.iterations, &self.salt, password, &mut derived);
        secret::equal(&derived, &self.tag)
    }
}
