//! The SHA-crypt hashes of crypt(3): `$5$salt$hash` (SHA-256) and `$6$salt$hash` (SHA-512), with
//! `rounds=10000$` before the salt if the number of rounds is not 5 000.

use sha_crypt::PasswordVerifier as _;
use sha_crypt::password_hash::Error;

use super::super::hashing::HashError;
use super::phpass::DIGITS;
use super::text::number;

/// The maximum number of rounds, a little more than the 656 000 of passlib. They take 0.4 s. A round
/// reads the whole password, so they take longer for a long one.
pub const ROUNDS_MAX: u32 = 700_000;

/// The maximum length of a password in bytes. crypt(3) of Linux refuses longer ones
/// (`CRYPT_MAX_PASSPHRASE_SIZE`), so a longer password never matches.
const PASSWORD_BYTES_MAX: usize = 512;

pub struct ShaCrypt {
    rounds: u32,
    stored: String,
}

impl ShaCrypt {
    pub fn parse(stored: &str) -> Option<Self> {
        let mut parts = stored.strip_prefix('$')?.split('$').peekable();
        let tag_length = if parts.next()? == "5" { 43 } else { 86 };
        let rounds = match parts.peek()?.strip_prefix("rounds=") {
            Some(rounds) => {
                parts.next();
                number(rounds)?
            }
            None => 5_000,
        };
        let (salt, tag) = (parts.next()?, parts.next()?);
        let is_text = |text: &str| text.bytes().all(|byte| DIGITS.contains(&byte));
        let is_hash = parts.next().is_none()
            && rounds >= 1_000
            && (1..=16).contains(&salt.len())
            && tag.len() == tag_length
            && is_text(salt)
            && is_text(tag);
        is_hash.then(|| Self { rounds, stored: stored.to_owned() })
    }

    pub fn is_within_caps(&self) -> bool {
        self.rounds <= ROUNDS_MAX
    }

    pub fn matches(&self, password: &[u8]) -> Result<bool, HashError> {
        if password.len() > PASSWORD_BYTES_MAX {
            return Ok(false);
        }
        match sha_crypt::ShaCrypt::default().verify_password(password, self.stored.as_str()) {
            Ok(()) => Ok(true),
            Err(Error::PasswordInvalid) => Ok(false),
            Err(error) => Err(HashError::engine(error)),
        }
    }
}
