//! The SHA-crypt hashes of crypt(3): `$5$salt$hash` (SHA-256) and `$6$salt$hash` (SHA-512), with
//! `rounds=10000$` before the salt if the number of rounds is not 5 000.

use sha_crypt::PasswordVerifier as _;
use sha_crypt::password_hash::Error;

use super::super::hashing::HashError;
use super::phpass::DIGITS;
use super::text::number;

/// The maximum number of rounds, a little more than the 656 000 of passlib.
pub const ROUNDS_MAX: u32 = 700_000;

/// The maximum of rounds times bytes of the password. A longer password never matches, because each
/// round reads the whole password up to three times. With [`ROUNDS_MAX`] this is 64 bytes, and with
/// the usual 5 000 rounds it is 8 960 bytes.
const WORK_MAX: u64 = 64 * 700_000;

pub struct ShaCrypt {
    rounds: u32,
    stored: String,
}

impl ShaCrypt {
    pub fn parse(stored: &str) -> Option<Self> {
        let mut parts = stored.strip_prefix('$')?.split('$').peekable();
        // The last digit has two or four unused bits, which are zero.
        let (tag_length, last_digits) =
            if parts.next()? == "5" { (43, &DIGITS[..16]) } else { (86, &DIGITS[..4]) };
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
            && tag.ends_with(|c| u8::try_from(c).is_ok_and(|byte| last_digits.contains(&byte)))
            && is_text(salt)
            && is_text(tag);
        is_hash.then(|| Self { rounds, stored: stored.to_owned() })
    }

    pub fn is_within_caps(&self) -> bool {
        self.rounds <= ROUNDS_MAX
    }

    pub fn matches(&self, password: &[u8]) -> Result<bool, HashError> {
        if u64::from(self.rounds).saturating_mul(password.len() as u64) > WORK_MAX {
            return Ok(false);
        }
        match sha_crypt::ShaCrypt::default().verify_password(password, self.stored.as_str()) {
            Ok(()) => Ok(true),
            Err(Error::PasswordInvalid) => Ok(false),
            Err(error) => Err(HashError::engine(error)),
        }
    }
}
