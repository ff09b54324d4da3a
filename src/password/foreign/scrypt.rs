//! scrypt hashes (RFC 7914), in the forms that other systems write:
//!
//! - `$scrypt$ln=15,r=8,p=1$salt$hash` is the form of PHC, passlib and most other systems.
//! - `$s0$e0801$salt$hash` is an old form, which lambdaworks and its ports write. log₂N, r and p
//!   are in hexadecimal. r and p have two digits each.
//! - `scrypt$16384$salt$8$5$hash` is Django's form. It contains N, the salt as text, r, p and the
//!   hash.
//! - `scrypt:32768:8:1$salt$hash` is Werkzeug's form. Its salt is text, and its hash is in
//!   hexadecimal.
//! - `salt:hash` is the form of better-auth. Both are in hexadecimal, and the digits of the salt
//!   are the salt. N is 2^14, r is 16 and p is 1. The password is in NFKC.

use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

use super::super::hashing::HashError;
use super::text::{base64, fields, hex, number, salt, tag};
use crate::secret;

/// The maximum work of a hash: its memory, which is 128·N·r bytes, times its lanes. 192 MiB take
/// 0.45 s. OWASP's parameters need 128 MiB. Django's parameters need 16 MiB in 5 lanes, which take
/// 0.2 s.
pub const WORK_MAX: u64 = 192 << 20;

/// The maximum of blocks times lanes (r·p): 2¹⁴. Django's parameters have 5 lanes of 8 blocks, and
/// OWASP's have 8 blocks in all. This cap is needed because scrypt also holds 128·r·p bytes: PBKDF2
/// writes them before the first round and reads them after the last round. If N is small,
/// [`WORK_MAX`] does not bound these bytes.
pub const BLOCKS_MAX: u64 = 1 << 14;

#[derive(Clone, Copy)]
pub struct Cost {
    log_n: u32,
    r: u32,
    p: u32,
}

impl Cost {
    /// Returns None if scrypt does not allow the parameters.
    pub fn new(log_n: u32, r: u32, p: u32) -> Option<Self> {
        ((1..=63).contains(&log_n) && r >= 1 && p >= 1).then_some(Self { log_n, r, p })
    }

    pub fn is_within_caps(self) -> bool {
        // If N is below 2^32, the products stay below 2^103 and cannot overflow.
        let memory = |n: u32| (128 * u128::from(self.r)) << n;
        self.log_n < 32
            && u64::from(self.r) * u64::from(self.p) <= BLOCKS_MAX
            && memory(self.log_n) * u128::from(self.p) <= u128::from(WORK_MAX)
    }

    /// Derives the first `bytes` bytes of scrypt's result. The other bytes of the array stay zero.
    pub fn derive<const N: usize>(
        self,
        password: &[u8],
        salt: &[u8],
        bytes: usize,
    ) -> Result<Zeroizing<[u8; N]>, HashError> {
        let log_n = u8::try_from(self.log_n).map_err(HashError::engine)?;
        let params = scrypt::Params::new(log_n, self.r, self.p).map_err(HashError::engine)?;
        let mut key = Zeroizing::new([0; N]);
        scrypt::scrypt(password, salt, &params, &mut key[..bytes]).map_err(HashError::engine)?;
        Ok(key)
    }
}

/// Whether a string has the form of better-auth: 16 bytes of salt and 64 bytes of hash.
pub fn is_of_better_auth(stored: &str) -> bool {
    let is_hex = |text: &str, bytes| hex(text).is_some_and(|it| it.len() == bytes);
    stored.split_once(':').is_some_and(|(salt, tag)| is_hex(salt, 16) && is_hex(tag, 64))
}

pub struct Scrypt {
    pub cost: Cost,
    /// Whether the other system converts passwords to NFKC.
    is_nfkc: bool,
    salt: Vec<u8>,
    tag: Vec<u8>,
}

impl Scrypt {
    pub fn parse(stored: &str) -> Option<Self> {
        let parts: Vec<&str> = stored.split('$').collect();
        let is_nfkc = parts.len() == 1;
        let (cost, salt_bytes, tag_bytes) = match parts[..] {
            ["", "scrypt", params, salt, tag] => {
                let [ln, r, p] = fields(params, ["ln", "r", "p"])?;
                (Cost::new(ln?, r?, p?)?, base64(salt)?, base64(tag)?)
            }
            ["", "s0", params, salt, tag] => {
                let is_hex = params.bytes().all(|byte| byte.is_ascii_hexdigit());
                let bits = is_hex.then(|| u32::from_str_radix(params, 16).ok()).flatten()?;
                let cost = Cost::new(bits >> 16, bits >> 8 & 0xff, bits & 0xff)?;
                (cost, base64(salt)?, base64(tag)?)
            }
            ["scrypt", n, salt, r, p, tag] => {
                (Cost::new(log2(n)?, number(r)?, number(p)?)?, salt.into(), base64(tag)?)
            }
            [method, salt, tag] => {
                let [n, r, p] = method.strip_prefix("scrypt:")?.split(':').collect::<Vec<_>>()[..]
                else {
                    return None;
                };
                (Cost::new(log2(n)?, number(r)?, number(p)?)?, salt.into(), hex(tag)?)
            }
            [pair] => {
                let (salt, tag) = pair.split_once(':')?;
                (Cost::new(14, 16, 1)?, salt.into(), hex(tag)?)
            }
            _ => return None,
        };
        Some(Self { cost, is_nfkc, salt: salt(salt_bytes)?, tag: tag(tag_bytes)? })
    }

    pub fn matches(&self, password: &[u8]) -> Result<bool, HashError> {
        let length = self.tag.len();
        let nfkc = match std::str::from_utf8(password) {
            Ok(text) if self.is_nfkc => Some(Zeroizing::new(text.nfkc().collect::<String>())),
            _ => None,
        };
        let password = nfkc.as_ref().map_or(password, |text| text.as_bytes());
        let derived = self.cost.derive::<64>(password, &self.salt, length)?;
        Ok(secret::equal(&derived[..length], &self.tag))
    }
}

/// Parses a decimal N and returns log₂ N. Returns None if N is not a power of two.
fn log2(n: &str) -> Option<u32> {
    number(n).filter(|n| n.is_power_of_two()).map(u32::ilog2)
}
