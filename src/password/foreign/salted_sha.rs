//! The salted digests of LDAP and Dovecot: `{SSHA}`, `{SSHA256}`, `{SSHA384}` and `{SSHA512}`, then
//! the digest of password and salt, followed by the salt. Both are in base64, or in hexadecimal
//! after Dovecot's `{SSHA256.HEX}`.
//!
//! One digest costs almost nothing, so an attacker who has these hashes can test many passwords.
//! The first login of the user replaces the hash.

use aws_lc_rs::digest::{self, Algorithm};

use super::text::{base64, hex, salt};
use crate::secret;

pub struct SaltedSha {
    algorithm: &'static Algorithm,
    salt: Vec<u8>,
    tag: Vec<u8>,
}

impl SaltedSha {
    pub fn parse(stored: &str) -> Option<Self> {
        let (scheme, rest) = stored.strip_prefix('{')?.split_once('}')?;
        let scheme = scheme.to_ascii_lowercase();
        let (scheme, encoding) = scheme.split_once('.').unwrap_or((&scheme, "b64"));
        let algorithm = match scheme {
            "ssha" => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            "ssha256" => &digest::SHA256,
            "ssha384" => &digest::SHA384,
            "ssha512" => &digest::SHA512,
            _ => return None,
        };
        let mut tag = match encoding {
            "hex" => hex(rest)?,
            "b64" | "base64" => base64(rest)?,
            _ => return None,
        };
        if tag.len() <= algorithm.output_len() {
            return None;
        }
        let salt_bytes = tag.split_off(algorithm.output_len());
        Some(Self { algorithm, salt: salt(salt_bytes)?, tag })
    }

    pub fn matches(&self, password: &[u8]) -> bool {
        let mut context = digest::Context::new(self.algorithm);
        context.update(password);
        context.update(&self.salt);
        secret::equal(context.finish().as_ref(), &self.tag)
    }
}
