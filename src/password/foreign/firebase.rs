//! Firebase's scrypt hashes, in the form that Ory Kratos reads:
//! `$firescrypt$ln=14,r=8,p=1$salt$hash$separator$signer_key`. A string can also begin with
//! `$firebasescrypt$`. Salt, hash, separator and signer key are in base64.
//!
//! The export of a Firebase project contains each user's `salt` and `passwordHash`. The Firebase
//! console shows the project's `base64_signer_key`, `base64_salt_separator`, `rounds` (r) and
//! `mem_cost` (ln). The hash is the signer key, encrypted with AES-256-CTR. The encryption key is
//! the first 32 bytes of scrypt(password, salt ‖ separator), and the counter starts at zero.

use aws_lc_rs::cipher::{AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;

use super::super::hashing::HashError;
use super::scrypt::Cost;
use super::text::{base64, fields, salt};
use crate::secret;

pub struct Firebase {
    pub cost: Cost,
    /// The user's salt, followed by the project's separator.
    salt: Vec<u8>,
    signer_key: Vec<u8>,
    tag: Vec<u8>,
}

impl Firebase {
    pub fn parse(stored: &str) -> Option<Self> {
        let parts: Vec<&str> = stored.split('$').collect();
        let ["", _, params, salt_text, tag, separator, signer_key] = parts[..] else { return None };
        let [ln, r, p] = fields(params, ["ln", "r", "p"])?;
        let mut salted = salt(base64(salt_text)?)?;
        salted.extend(base64(separator)?);
        let (signer_key, tag) = (base64(signer_key)?, base64(tag)?);
        // Firebase's signer keys have 64 bytes, and CTR does not change the length. So a hash whose
        // length is not that of its key was cut off or comes from another system.
        if !(16..=128).contains(&signer_key.len()) || tag.len() != signer_key.len() {
            return None;
        }
        Some(Self {
            cost: Cost::new(ln?, r?, p.unwrap_or(1))?,
            salt: salt(salted)?,
            signer_key,
            tag,
        })
    }

    pub fn matches(&self, password: &[u8]) -> Result<bool, HashError> {
        let key = self.cost.derive::<32>(password, &self.salt, 32)?;
        let key = UnboundCipherKey::new(&AES_256, &key[..]).map_err(HashError::engine)?;
        let counter = EncryptionContext::Iv128(FixedLength::from([0; 16]));
        let mut tag = self.signer_key.clone();
        EncryptingKey::ctr(key)
            .and_then(|key| key.less_safe_encrypt(&mut tag, counter))
            .map_err(HashError::engine)?;
        Ok(secret::equal(&tag, &self.tag))
    }
}
