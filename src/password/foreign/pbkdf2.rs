//! PBKDF2 hashes (RFC 8018) over HMAC-SHA-1, HMAC-SHA-256 or HMAC-SHA-512, in the forms that other
//! systems write. The list shows the forms for SHA-256. The forms for SHA-1 and SHA-512 have `1` or
//! `512` in place of `256`. `$pbkdf2$` is another form of `$pbkdf2-sha1$`.
//!
//! - `$pbkdf2-sha256$i=600000,l=32$salt$hash` is the PHC form.
//! - `$pbkdf2-sha256$29000$salt$hash` is passlib's form. Its base64 has `.` in place of `+`.
//! - `pbkdf2_sha256$600000$salt$hash` is Django's form. Its salt is text.
//! - `pbkdf2:sha256:600000$salt$hash` is Werkzeug's form. Its salt is text, and its hash is in
//!   hexadecimal.
//!
//! Each block of the hash is computed from the password alone, so the first block shows whether the
//! password is right. The other blocks are not computed.

use std::num::NonZeroU32;

use aws_lc_rs::pbkdf2;
use zeroize::Zeroizing;

use super::super::hashing::Format;
use super::text::{base64, fields, hex, number, salt};
use crate::secret;

/// The maximum number of iterations over SHA-1 and SHA-256. They take 0.5 s on the reference
/// machine, and four times as long without SHA extensions. Django 6 uses 1.2 million iterations,
/// and OWASP recommends 600 000.
pub const SHA256_ITERATIONS_MAX: u32 = 1_500_000;

/// The maximum number of iterations over SHA-512. They take 0.5 s. OWASP recommends 210 000
/// iterations.
pub const SHA512_ITERATIONS_MAX: u32 = 750_000;

/// The maximum length of a hash, in bytes. `passport-local-mongoose` writes 512 bytes.
const TAG_BYTES_MAX: usize = 512;

pub struct Pbkdf2 {
    format: Format,
    iterations: NonZeroU32,
    salt: Vec<u8>,
    tag: Vec<u8>,
}

/// Returns which of the three formats a string has. Only the beginning of the string is checked.
/// None if it has none of them.
pub fn format(stored: &str) -> Option<Format> {
    let is_of = |digest: &str| {
        ["$pbkdf2-", "pbkdf2_", "pbkdf2:"].iter().any(|start| {
            let rest = stored.strip_prefix(start).and_then(|rest| rest.strip_prefix(digest));
            rest.is_some_and(|rest| rest.starts_with(['$', ':']))
        })
    };
    if is_of("sha1") || stored.starts_with("$pbkdf2$") {
        return Some(Format::Pbkdf2Sha1);
    }
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
            tag: (16..=TAG_BYTES_MAX).contains(&tag_bytes.len()).then_some(tag_bytes)?,
        })
    }

    pub fn format(&self) -> Format {
        self.format
    }

    pub fn is_within_caps(&self) -> bool {
        let most = match self.format {
            Format::Pbkdf2Sha512 => SHA512_ITERATIONS_MAX,
            _ => SHA256_ITERATIONS_MAX,
        };
        self.iterations.get() <= most
    }

    pub fn matches(&self, password: &[u8]) -> bool {
        let (algorithm, block) = match self.format {
            Format::Pbkdf2Sha1 => (pbkdf2::PBKDF2_HMAC_SHA1, 20),
            Format::Pbkdf2Sha512 => (pbkdf2::PBKDF2_HMAC_SHA512, 64),
            _ => (pbkdf2::PBKDF2_HMAC_SHA256, 32),
        };
        let first = &self.tag[..self.tag.len().min(block)];
        let mut derived = Zeroizing::new(vec![0; first.len()]);
        pbkdf2::derive(algorithm, self.iterations, &self.salt, password, &mut derived);
        secret::equal(&derived, first)
    }
}
